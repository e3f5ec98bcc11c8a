"""Pooling: the maximum or the mean of a window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.form import Form, Window
from ristretto.net.op import FLOAT32, Array, OnnxNode, Op, Shape
from ristretto.net.phase import Phase

LEAST, TINY = float(np.finfo(np.float32).min), float(np.finfo(np.float32).tiny)
"""The maximum of no number, and what keeps a sum from being a divisor of zero; both are Caffe's."""
NOWHERE = -1
"""The place of the maximum of no number."""


class Windows(NamedTuple):
    """How windows lie over a bottom; pairs are (down, across).

    Parameters
    ----------
    size : (int, int)
        Of each window.
    counts : (int, int)
        How many there are.
    after : (int, int)
        Padding beyond the bottom that the last one reaches into.
    """

    size: tuple[int, int]
    counts: tuple[int, int]
    after: tuple[int, int]

    @property
    def some_are_empty(self) -> bool:
        """Whether a last window lies wholly beyond the bottom."""
        return any(beyond >= size for beyond, size in zip(self.after, self.size, strict=True))


def _met(size: int, kernel: int, stride: int, pad: int, count: int) -> Iterator[tuple[int, slice, slice]]:
    """Give each place along one axis of a window that lies on the picture for some window.

    With it: for which windows, and on which of the picture's pixels.
    """
    met = {pad - window * stride + pixel for window in range(count) for pixel in range(size)}
    for place in sorted(p for p in met if 0 <= p < kernel):
        first = max(-(-(pad - place) // stride), 0)
        last = min((size - 1 + pad - place) // stride, count - 1)
        start = first * stride - pad + place
        yield place, slice(first, last + 1), slice(start, start + (last - first) * stride + 1, stride)


@dataclass(frozen=True)
class Pooling(Op):
    """Max, average or stochastic pooling with Caffe's shapes.

    The number of windows is rounded up; with padding, a last window that would start beyond the bottom is dropped. An
    average divides by the size of the window within the padded bottom (Caffe's ``PoolingLayer``). Without padding, a
    stride that is longer than the kernel may put the last window wholly beyond the bottom: its maximum is the least
    number of float32, as in Caffe; its mean would be 0 / 0 and is refused.

    With `places` a maximum comes with where it stood: a second top with ``row * width + column`` within the channel,
    of equal numbers the first.

    STOCHASTIC picks one number of a window, each as likely as it is large. TEST takes what that gives on average,
    ``sum(x**2) / sum(x)``; for TRAIN the random choice is left out, and the largest number that it may take is taken
    (`at_random` says so).
    """

    type = "Pooling"

    method: str = "MAX"
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    pad: tuple[int, int] = (0, 0)
    global_pooling: bool = False
    round_up: bool = True
    places: bool = False
    at_random: bool = False

    @property
    def commutes_with_relu(self) -> bool:
        """True for a maximum."""
        return self.method == "MAX"

    @classmethod
    def parse(cls, fields: Fields) -> Pooling:
        """Read ``pooling_param``; ``ceil_mode: false`` is what some forks say for ``round_mode: FLOOR``."""
        param = fields.message("pooling_param")
        whole = param.flag("global_pooling")
        if whole and any(param.has(name) for name in ("kernel_size", "kernel_h", "kernel_w")):
            raise ModelError("global_pooling stands beside a kernel size", hint="keep one of the two")
        for one, other in (("pad_h", "pad_w"), ("stride_h", "stride_w")):
            if param.has(one) != param.has(other):
                raise ModelError(f"{one} and {other} must stand together", hint="set both, or one value for both axes")
        kernel = param.height_width("kernel_size", height="kernel_h", width="kernel_w", default=1 if whole else None)
        op = cls(
            method=param.text("pool"),
            kernel=kernel,
            stride=param.height_width("stride", height="stride_h", width="stride_w", default=1),
            pad=param.height_width("pad", height="pad_h", width="pad_w", default=0),
            global_pooling=whole,
            round_up=param.text("round_mode") == "CEIL" and param.flag("ceil_mode"),
            places=len(fields.values["top"]) > 1,
        )
        if min(*op.kernel, *op.stride) < 1:
            raise ModelError("kernel_size and stride must be at least 1")
        if whole and (op.pad != (0, 0) or op.stride != (1, 1)):
            raise ModelError("global_pooling takes no pad and no stride", hint="there is one window, the whole bottom")
        if not whole and any(p >= k for p, k in zip(op.pad, op.kernel, strict=True)):
            raise ModelError(f"pad {op.pad} reaches the kernel's size {op.kernel}", hint="pad must be smaller")
        if op.method == "STOCHASTIC" and any(op.pad):
            raise ModelError("STOCHASTIC pooling takes no pad", hint="Caffe pads for MAX and AVE only")
        if op.method != "MAX" and op.places:
            raise ModelError(f"{op.method} pooling with a second top", hint="only a maximum has a place")
        return op

    def in_phase(self, phase: Phase) -> Op:
        """Take the largest number for the one that training picks."""
        if self.method != "STOCHASTIC" or phase is not Phase.TRAIN:
            return self
        return replace(self, method="MAX", at_random=True)

    def training_form(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...] | None:
        """Give the same; but for a random choice, which is not there."""
        if self.at_random:
            raise ModelError("STOCHASTIC pooling cannot be trained here", hint="set pool: MAX or pool: AVE")
        return self.onnx(bottoms)

    def _windows(self, bottom: Shape) -> Windows:
        if len(bottom) != 4:
            raise ModelError(f"its bottom has {len(bottom)} axes; (n, c, h, w) is needed")
        kernel = (bottom[2], bottom[3]) if self.global_pooling else self.kernel
        counts, after = [], []
        for size, k, s, p in zip(bottom[2:], kernel, self.stride, self.pad, strict=True):
            room = size + 2 * p - k
            # A kernel larger than the bottom still gets a window where rounding up gives it one.
            count = (-(-room // s) if self.round_up else room // s) + 1
            if any(self.pad) and (count - 1) * s >= size + p:
                count -= 1
            if count < 1:
                raise ModelError(f"its kernel spans {k} pixels, its padded bottom has {size + 2 * p}")
            counts.append(count)
            after.append(max((count - 1) * s + k - size - p, 0))
        windows = Windows(kernel, (counts[0], counts[1]), (after[0], after[1]))
        if self.method == "AVE" and windows.some_are_empty:
            raise ModelError(
                f"its last window lies beyond the bottom of {bottom[2]}x{bottom[3]} and has no mean",
                hint="shorten the stride to the kernel's size",
            )
        return windows

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give (n, c, windows down, windows across), for the places too."""
        top = (*bottoms[0][:2], *self._windows(bottoms[0]).counts)
        return (top, top) if self.places else (top,)

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Join the numbers of each window."""
        x = bottoms[0]
        if self.method == "AVE":
            return (self._join(x, 0.0, np.add) / self._form(x.shape).divisors(x.shape).astype(x.dtype),)
        if self.method == "STOCHASTIC":
            return (self._join(x * x, 0.0, np.add) / (self._join(x, 0.0, np.add) + x.dtype.type(TINY)),)
        largest = self._join(x, LEAST, np.maximum)
        return (largest, self._find(x, largest)) if self.places else (largest,)

    def _places(self, x: Array) -> Iterator[tuple[int, int, tuple[slice, slice], Array]]:
        """Give each place within a window, (row, column), that any window has within the picture.

        With it: which windows have it there, (down, across), and the numbers that they have there.
        """
        windows = self._windows(x.shape)
        rows, columns = (
            list(_met(*walk))
            for walk in zip(x.shape[2:], windows.size, self.stride, self.pad, windows.counts, strict=True)
        )
        for i, down, taken in rows:
            for j, across, beside in columns:
                yield i, j, (down, across), x[:, :, taken, beside]

    def _join(self, x: Array, start: float, join: np.ufunc) -> Array:
        y = np.full((*x.shape[:2], *self._windows(x.shape).counts), start, x.dtype)
        for _, _, (down, across), part in self._places(x):
            join(y[:, :, down, across], part, out=y[:, :, down, across])
        return y

    def _find(self, x: Array, largest: Array) -> Array:
        """Give the first place in each window where its maximum stands."""
        found = np.full(largest.shape, NOWHERE, x.dtype)
        rows = (np.arange(largest.shape[2]) * self.stride[0] - self.pad[0])[:, None]
        columns = np.arange(largest.shape[3]) * self.stride[1] - self.pad[1]
        # Backwards, so that the first of equal numbers is noted last.
        for i, j, (down, across), part in reversed(list(self._places(x))):
            best, noted = largest[:, :, down, across], found[:, :, down, across]
            here = (part == best) & (best > LEAST)
            place = ((rows[down] + i) * x.shape[3] + columns[across] + j).astype(x.dtype)
            noted[...] = np.where(here, place, noted)
        return found

    def channel_starts(self, bottoms: Sequence[Shape]) -> tuple[int, ...] | None:
        """Stay in place; None for places and random choices, and where the maximum of no number stands."""
        return None if self.form(bottoms) is None else (0,)

    def form(self, bottoms: Sequence[Shape]) -> Form | None:
        """Give the windows of a maximum or a mean; None for places, and where a window is empty."""
        if self.method not in ("MAX", "AVE") or self.places or self._windows(bottoms[0]).some_are_empty:
            return None
        return self._form(bottoms[0])

    def _form(self, bottom: Shape) -> Window:
        windows = self._windows(bottom)
        return Window(self.method == "AVE", windows.size, self.stride, self.pad, windows.counts)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...] | None:
        """Give a pool with the padding spelled out, since ONNX's own ceil mode differs between runtimes.

        None for the places of maxima where windows are empty.
        """
        windows = self._windows(bottoms[0])
        size = {"kernel_shape": list(windows.size), "strides": list(self.stride)}
        pads = [*self.pad, *windows.after]
        area = windows.size[0] * windows.size[1]
        if self.method == "STOCHASTIC":
            return (
                self._padded(windows, 0.0),
                OnnxNode("Mul", ("padded", "padded"), ("squares",)),
                OnnxNode("AveragePool", ("squares",), ("square",), size),
                OnnxNode("AveragePool", ("padded",), ("mean",), size),
                # Means instead of sums: the divisor's guard shrinks with them.
                OnnxNode("Add", ("mean", "tiny"), ("safe",), constants={"tiny": np.array(TINY / area, np.float32)}),
                OnnxNode("Div", ("square", "safe"), ("t0",)),
            )
        if self.method == "MAX":
            if self.places:
                return None if windows.some_are_empty else self._max_with_places(bottoms[0], size | {"pads": pads})
            if windows.some_are_empty:
                return self._padded(windows, LEAST), OnnxNode("MaxPool", ("padded",), ("t0",), size)
            return (OnnxNode("MaxPool", ("b0",), ("t0",), size | {"pads": pads}),)
        # The mean over all of the kernel, then one factor for the windows that Caffe divides by less.
        attributes = size | {"pads": pads, "count_include_pad": 1}
        divisors = self._form(bottoms[0]).divisors(bottoms[0])
        if (divisors == area).all():
            return (OnnxNode("AveragePool", ("b0",), ("t0",), attributes),)
        factor = (area / divisors).astype(np.float32).reshape(1, 1, *windows.counts)
        return (
            OnnxNode("AveragePool", ("b0",), ("mean",), attributes),
            OnnxNode("Mul", ("mean", "factor"), ("t0",), constants={"factor": factor}),
        )

    @staticmethod
    def _padded(windows: Windows, value: float) -> OnnxNode:
        """Give the node that pads behind the bottom: onnxruntime's pools take no padding as large as the kernel."""
        pads: Array = np.array([0, 0, 0, 0, 0, 0, *windows.after], np.int64)
        constants = {"pads": pads, "value": np.array(value, np.float32)}
        return OnnxNode("Pad", ("b0", "pads", "value"), ("padded",), constants=constants)

    @staticmethod
    def _max_with_places(bottom: Shape, attributes: dict[str, list[int]]) -> tuple[OnnxNode, ...]:
        """Give a MaxPool whose places, which ONNX counts through the whole blob, are counted within a channel."""
        pixels = {"pixels": np.array(bottom[2] * bottom[3], np.int64)}
        return (
            OnnxNode("MaxPool", ("b0",), ("t0", "everywhere"), attributes),
            OnnxNode("Mod", ("everywhere", "pixels"), ("within",), constants=pixels),
            OnnxNode("Cast", ("within",), ("t1",), {"to": FLOAT32}),
        )
