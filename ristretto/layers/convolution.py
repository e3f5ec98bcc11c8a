"""Convolution: sums of products over a window of each group of channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ristretto.errors import ModelError
from ristretto.layers.scaling import scaled_blobs
from ristretto.layers.sums import matmul
from ristretto.net.fields import Fields
from ristretto.net.filler import Filler
from ristretto.net.op import Array, Geometry, OnnxNode, Op, Part, Shape

MOST_COLUMNS = 1 << 26
"""Numbers in the columns that are multiplied at a time: more than any layer of VGG-16 has for one picture."""


@dataclass(frozen=True)
class Convolution(Op):
    """Two-dimensional convolution in Caffe's sense (a correlation), with groups and dilation."""

    type = "Convolution"
    quantized_type = "ConvolutionRistretto"
    part = Part.CONV_PARAMS
    in_original_search = True
    onnx_type: ClassVar[str] = "Conv"

    num_output: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    pad: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    group: int = 1
    bias_term: bool = True

    @classmethod
    def parse(cls, fields: Fields) -> Convolution:
        """Read ``convolution_param``."""
        param = fields.message("convolution_param")
        if param.integer("axis") not in (1, -3):
            raise ModelError(f"axis {param.integer('axis')} is not supported", hint="channels stand on axis 1")
        op = cls(
            num_output=param.integer("num_output"),
            kernel=param.height_width("kernel_size", height="kernel_h", width="kernel_w", default=None),
            stride=param.height_width("stride", height="stride_h", width="stride_w", default=1),
            pad=param.height_width("pad", height="pad_h", width="pad_w", default=0),
            dilation=param.height_width("dilation", height="", width="", default=1),
            group=param.integer("group"),
            bias_term=param.flag("bias_term"),
        )
        if min(op.num_output, op.group, *op.kernel, *op.stride, *op.dilation) < 1:
            raise ModelError("num_output, group, kernel_size, stride and dilation must be at least 1")
        if op.num_output % op.group:
            raise ModelError(f"group {op.group} does not divide num_output {op.num_output}")
        return op

    @classmethod
    def parse_fillers(cls, fields: Fields) -> tuple[Filler, ...]:
        """Read those of weights and bias."""
        param = fields.message("convolution_param")
        return Filler.of(param, "weight_filler"), Filler.of(param, "bias_filler")

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give (n, num_output, h, w)."""
        walk = self.geometry(bottoms[0])
        return ((bottoms[0][0], *walk.out_shape),)

    def blob_shapes(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give (num_output, channels / group, kernel h, kernel w), and (num_output,) for the bias."""
        weights = (self.num_output, bottoms[0][1] // self.group, *self.kernel)
        return (weights, (self.num_output,)) if self.bias_term else (weights,)

    def macs(self, bottoms: Sequence[Shape]) -> int:
        """Give the products for one picture."""
        return self.geometry(bottoms[0]).macs

    def geometry(self, bottom: Shape) -> Geometry:
        """Give the walk of the window over a picture."""
        channels, height, width = self._picture(bottom)
        out = []
        for size, k, s, p, d in zip((height, width), self.kernel, self.stride, self.pad, self.dilation, strict=True):
            extent = d * (k - 1) + 1
            if size + 2 * p < extent:
                raise ModelError(f"its kernel spans {extent} pixels, its padded bottom has {size + 2 * p}")
            out.append((size + 2 * p - extent) // s + 1)
        return Geometry(
            groups=self.group,
            in_shape=(channels, height, width),
            out_shape=(self.num_output, out[0], out[1]),
            kernel=self.kernel,
            stride=self.stride,
            pad=self.pad,
            dilation=self.dilation,
        )

    def _picture(self, bottom: Shape) -> tuple[int, int, int]:
        """Give channels, height and width of a bottom that the layer can take."""
        if len(bottom) != 4:
            raise ModelError(f"its bottom has {len(bottom)} axes; (n, c, h, w) is needed")
        _, channels, height, width = bottom
        if channels % self.group:
            raise ModelError(f"group {self.group} does not divide the {channels} channels of its bottom")
        return channels, height, width

    @property
    def output_channels(self) -> int:
        """All outputs."""
        return self.num_output

    def scaled(self, blobs: Sequence[Array], factors: Array, summands: Array) -> tuple[Op, tuple[Array, ...]]:
        """Multiply each output's kernel."""
        view, aligned = self._by_output()
        blobs = scaled_blobs(blobs, factors, summands, view=view, aligned=aligned, bias_term=self.bias_term)
        return replace(self, bias_term=len(blobs) > 1), blobs

    @property
    def weight_axes(self) -> tuple[str, ...]:
        """Outputs first; inputs are those of a group."""
        return ("output", "input", "kernel_row", "kernel_column")

    def _by_output(self) -> tuple[Shape, Shape]:
        """Give a shape of the weights in which the outputs have axes of their own, and that of a number for each."""
        return (self.num_output, -1), (self.num_output, 1)

    def settings_since(self, before: Op) -> Mapping[str, Mapping[str, str]]:
        """Name a bias that has come in."""
        assert isinstance(before, Convolution)
        return {"convolution_param": {"bias_term": "true"}} if self.bias_term > before.bias_term else {}

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Gather the windows of each picture as columns and multiply."""
        x, weights = bottoms[0], blobs[0]
        walk = self.geometry(x.shape)
        (kh, kw), (sh, sw), (ph, pw), (dh, dw) = self.kernel, self.stride, self.pad, self.dilation
        _, oh, ow = walk.out_shape
        rows = weights.reshape(self.group, self.num_output // self.group, walk.terms)
        y = np.empty((len(x), *walk.out_shape), x.dtype)
        # One picture at a time: the columns of a batch of 50 through VGG-16 would take 11 GB in float64.
        for picture, result in zip(x, y, strict=True):
            padded = np.pad(picture, ((0, 0), (ph, ph), (pw, pw)))
            windows = sliding_window_view(padded, (dh * (kh - 1) + 1, dw * (kw - 1) + 1), axis=(1, 2))
            windows = windows[:, ::sh, ::sw, ::dh, ::dw]
            # And a few rows of it at a time, where a large kernel would make many columns.
            few = max(1, MOST_COLUMNS // (walk.terms * self.group * ow))
            for top in range(0, oh, few):
                part = windows[:, top : top + few].transpose(0, 3, 4, 1, 2)
                columns = part.reshape(self.group, walk.terms, -1)
                sums = matmul(rows, columns)
                result[:, top : top + few] = sums.reshape(self.num_output, -1, ow)
        if self.bias_term:
            y += blobs[1].reshape(-1, 1, 1)
        return (y,)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give the one node of `onnx_type`."""
        attributes = {
            "kernel_shape": list(self.kernel),
            "strides": list(self.stride),
            "pads": [*self.pad, *self.pad],
            "dilations": list(self.dilation),
            "group": self.group,
        }
        operands = ("b0", "w0", "w1") if self.bias_term else ("b0", "w0")
        return (OnnxNode(self.onnx_type, operands, ("t0",), attributes),)
