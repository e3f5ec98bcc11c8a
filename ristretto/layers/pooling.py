"""Pooling: the maximum or the mean of a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.kernels.pool import max_pool
from ristretto.net.fields import Fields
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class Pooling(Op):
    """Max or average pooling with Caffe's shapes.

    The number of windows is rounded up; with padding, a last window that would start beyond the bottom and its padding
    is dropped. An average divides by the size of the window within the padded bottom (Caffe's ``PoolingLayer``).
    """

    type = "Pooling"

    method: str = "MAX"
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    pad: tuple[int, int] = (0, 0)
    global_pooling: bool = False
    round_up: bool = True

    @classmethod
    def parse(cls, fields: Fields) -> Pooling:
        """Read ``pooling_param``."""
        param = fields.message("pooling_param")
        method = param.text("pool")
        if method not in ("MAX", "AVE"):
            raise ModelError(f"pooling method {method} is not supported", hint="known are MAX and AVE")
        whole = param.flag("global_pooling")
        kernel = param.height_width("kernel_size", height="kernel_h", width="kernel_w", default=1 if whole else None)
        op = cls(
            method=method,
            kernel=kernel,
            stride=param.height_width("stride", height="stride_h", width="stride_w", default=1),
            pad=param.height_width("pad", height="pad_h", width="pad_w", default=0),
            global_pooling=whole,
            round_up=param.text("round_mode") == "CEIL",
        )
        if min(*op.kernel, *op.stride) < 1:
            raise ModelError("kernel_size and stride must be at least 1")
        if not whole and any(p >= k for p, k in zip(op.pad, op.kernel, strict=True)):
            raise ModelError(f"pad {op.pad} reaches the kernel's size {op.kernel}", hint="pad must be smaller")
        return op

    def _windows(self, bottom: Shape) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Give the window's size, the number of windows, and the padding after the bottom that the last one needs."""
        if len(bottom) != 4:
            raise ModelError(f"its bottom has {len(bottom)} axes; (n, c, h, w) is needed")
        kernel = (bottom[2], bottom[3]) if self.global_pooling else self.kernel
        counts, after = [], []
        for size, k, s, p in zip(bottom[2:], kernel, self.stride, self.pad, strict=True):
            room = size + 2 * p - k
            if room < 0:
                raise ModelError(f"its kernel spans {k} pixels, its padded bottom has {size + 2 * p}")
            count = (room + s - 1 if self.round_up else room) // s + 1
            if any(self.pad) and (count - 1) * s >= size + p:
                count -= 1
            counts.append(count)
            after.append(max((count - 1) * s + k - size - p, 0))
        return kernel, (counts[0], counts[1]), (after[0], after[1])

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give (n, c, windows down, windows across)."""
        return ((*bottoms[0][:2], *self._windows(bottoms[0])[1]),)

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Walk the offsets within the window; each adds (or maximises) a strided slice to all windows at once."""
        x = bottoms[0]
        (kh, kw), (oh, ow), (bottom, right) = self._windows(x.shape)
        (sh, sw), (ph, pw) = self.stride, self.pad
        largest = self.method == "MAX"
        fill = -np.inf if largest else 0.0
        padded = np.pad(x, ((0, 0), (0, 0), (ph, bottom), (pw, right)), constant_values=fill)
        y = np.full((*x.shape[:2], oh, ow), fill, x.dtype)
        for i in range(kh):
            for j in range(kw):
                part = padded[:, :, i : i + sh * (oh - 1) + 1 : sh, j : j + sw * (ow - 1) + 1 : sw]
                if largest:
                    np.maximum(y, part, out=y)
                else:
                    y += part
        return (y,) if largest else (y / self._divisors(x.shape).astype(x.dtype),)

    def _divisors(self, bottom: Shape) -> Array:
        """Give the pixels of each window that lie within the padded bottom, (windows down, windows across)."""
        kernel, counts, _ = self._windows(bottom)
        extents = []
        for size, k, s, p, count in zip(bottom[2:], kernel, self.stride, self.pad, counts, strict=True):
            starts = np.arange(count) * s - p
            extents.append(np.minimum(starts + k, size + p) - starts)
        return np.outer(extents[0], extents[1])

    def forward_codes(self, bottoms: Sequence[Array]) -> tuple[Array, ...] | None:
        """Take the maximum of codes; a mean leaves the grid."""
        if self.method != "MAX":
            return None
        kernel, counts, _ = self._windows(bottoms[0].shape)
        return (max_pool(bottoms[0], kernel, self.stride, self.pad, counts),)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a pool with the padding spelled out, since ONNX's own ceil mode differs between runtimes."""
        kernel, counts, after = self._windows(bottoms[0])
        attributes = {"kernel_shape": list(kernel), "strides": list(self.stride), "pads": [*self.pad, *after]}
        if self.method == "MAX":
            return (OnnxNode("MaxPool", ("b0",), ("t0",), attributes),)
        # The mean over all of the kernel, then one factor for the windows that Caffe divides by less.
        area = kernel[0] * kernel[1]
        divisors = self._divisors(bottoms[0])
        mean = OnnxNode("AveragePool", ("b0",), ("t0",), attributes | {"count_include_pad": 1})
        if (divisors == area).all():
            return (mean,)
        factor = (area / divisors).astype(np.float32).reshape(1, 1, *counts)
        return (
            OnnxNode("AveragePool", mean.inputs, ("mean",), mean.attributes),
            OnnxNode("Mul", ("mean", "factor"), ("t0",), constants={"factor": factor}),
        )
