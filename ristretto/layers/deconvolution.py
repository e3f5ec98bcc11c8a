"""Deconvolution: a convolution run backwards; each pixel stamps the kernel onto the output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.layers.convolution import Convolution
from ristretto.net.op import Array, Geometry, Shape


@dataclass(frozen=True)
class Deconvolution(Convolution):
    """Convolution's transpose, with the same settings: stride widens the picture, pad cuts its rim off."""

    type = "Deconvolution"
    quantized_type = "DeconvolutionRistretto"
    in_original_search = False
    onnx_type = "ConvTranspose"

    def blob_shapes(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give (channels, num_output / group, kernel h, kernel w), and (num_output,) for the bias."""
        weights = (bottoms[0][1], self.num_output // self.group, *self.kernel)
        return (weights, (self.num_output,)) if self.bias_term else (weights,)

    def macs(self, bottoms: Sequence[Shape]) -> int:
        """Give the products for one picture: every pixel with every weight that reads its channel."""
        channels, height, width = self._picture(bottoms[0])
        return channels * height * width * (self.num_output // self.group) * self.kernel[0] * self.kernel[1]

    def geometry(self, bottom: Shape) -> Geometry:
        """Give the same sums as those of a convolution.

        It walks, one pixel at a time, over the picture with ``stride - 1`` zeros between its pixels; the kernel is
        turned by 180 degrees (`weight_rows`), and the padding is what completes `pad` to the kernel's extent.
        """
        channels, height, width = self._picture(bottom)
        reach = [d * (k - 1) for k, d in zip(self.kernel, self.dilation, strict=True)]
        out = [
            stride * (size - 1) + r + 1 - 2 * pad
            for size, stride, r, pad in zip((height, width), self.stride, reach, self.pad, strict=True)
        ]
        if min(out) < 1:
            raise ModelError(f"pad {self.pad} leaves nothing of its output", hint="pad is cut off from the output here")
        return Geometry(
            groups=self.group,
            in_shape=(channels, height, width),
            out_shape=(self.num_output, out[0], out[1]),
            kernel=self.kernel,
            stride=(1, 1),
            pad=(reach[0] - self.pad[0], reach[1] - self.pad[1]),
            dilation=self.dilation,
            spread=self.stride,
        )

    def weight_rows(self, weights: Array, walk: Geometry) -> Array:
        """Turn each kernel by 180 degrees, and put outputs before inputs."""
        inputs, outputs = walk.in_shape[0] // self.group, self.num_output // self.group
        turned = weights.reshape(self.group, inputs, outputs, *self.kernel)[..., ::-1, ::-1]
        return np.ascontiguousarray(turned.swapaxes(1, 2)).reshape(self.num_output, walk.terms)

    @property
    def weight_axes(self) -> tuple[str, ...]:
        """Inputs first; outputs are those of a group."""
        return ("input", "output", "kernel_row", "kernel_column")

    def _by_output(self) -> tuple[Shape, Shape]:
        """Give a shape of the weights in which the outputs have axes of their own, and that of a number for each."""
        outputs = self.num_output // self.group
        return (self.group, -1, outputs, self.kernel[0] * self.kernel[1]), (self.group, 1, outputs, 1)

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Multiply each pixel by the kernels, and add the products up where they land."""
        x = bottoms[0]
        count, channels, height, width = x.shape
        (kh, kw), (sh, sw), (ph, pw), (dh, dw) = self.kernel, self.stride, self.pad, self.dilation
        _, oh, ow = self.geometry(x.shape).out_shape
        pixels = x.reshape(count, self.group, channels // self.group, height * width)
        weights = blobs[0].reshape(self.group, channels // self.group, self.num_output // self.group, kh, kw)
        whole = np.zeros((count, self.num_output, oh + 2 * ph, ow + 2 * pw), x.dtype)
        for i in range(kh):
            for j in range(kw):
                products = np.matmul(weights[..., i, j].swapaxes(1, 2), pixels)
                top, left = i * dh, j * dw
                bottom, right = top + sh * (height - 1) + 1, left + sw * (width - 1) + 1
                whole[:, :, top:bottom:sh, left:right:sw] += products.reshape(count, self.num_output, height, width)
        y = whole[:, :, ph : ph + oh, pw : pw + ow]
        return (y + blobs[1].reshape(-1, 1, 1) if self.bias_term else np.ascontiguousarray(y),)
