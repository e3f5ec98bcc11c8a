"""Forms: what a layer does to stored pictures, as plain data that the compiled executor plans with.

A layer type that has a form runs inside a compiled program, on codes where its numbers have a format; one without runs
its own forward between programs. All but multiply-accumulates, which have a `Geometry`, are described here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pair = tuple[int, int]


@dataclass(frozen=True)
class Same:
    """Every top is the bottom, number for number and place for place."""


@dataclass(frozen=True)
class Clamp:
    """``min(max(x, low), high)``, real units; a ReLU has no upper end."""

    low: float
    high: float


@dataclass(frozen=True)
class Pointwise:
    """A function of one number, or with `by_channel` of one number and its channel: `Op.forward` on any shape."""

    by_channel: bool = False


@dataclass(frozen=True)
class Window:
    """The largest number of each window, or the mean over its pixels within the padded picture.

    Parameters
    ----------
    mean : bool
    size, stride, pad, counts : (down, across)
        Every window holds a pixel of the picture.
    """

    mean: bool
    size: Pair
    stride: Pair
    pad: Pair
    counts: Pair

    def divisors(self, bottom: Sequence[int]) -> NDArray[Any]:
        """Give the pixels of each window that lie within the padded picture: what a mean divides by.

        Parameters
        ----------
        bottom : shape
            (n, c, h, w).

        Returns
        -------
        int array (windows down, windows across)
        """
        extents = []
        for size, length, stride, pad, count in zip(
            bottom[2:], self.size, self.stride, self.pad, self.counts, strict=True
        ):
            starts = np.arange(count) * stride - pad
            extents.append(np.minimum(starts + length, size + pad) - starts)
        return np.outer(extents[0], extents[1])


@dataclass(frozen=True)
class Join:
    """Bottoms of one shape joined number by number, from the first to the last.

    Parameters
    ----------
    operation : str
        ``SUM``, ``PROD`` or ``MAX``.
    factors : tuple of float
        What each bottom is multiplied by before it is added.
    """

    operation: str
    factors: tuple[float, ...]


@dataclass(frozen=True)
class Stack:
    """Channels of the bottoms, one bottom behind the other."""


@dataclass(frozen=True)
class Pieces:
    """Each top is a piece of the first bottom.

    Parameters
    ----------
    channels : tuple of sequence of int
        For each top which, in its order.
    corner : (down, across)
        Of all tops, in the bottom.
    """

    channels: tuple[Sequence[int], ...]
    corner: Pair = (0, 0)


@dataclass(frozen=True)
class Response:
    """``x * (k + alpha * (mean of squares)) ** -beta``, over `size` channels or over `size` by `size` pixels."""

    within: bool
    size: int
    alpha: float
    beta: float
    k: float
    factors: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    """From sums of squares, real units, to what the numbers in the middle are multiplied by."""

    @property
    def neighbours(self) -> int:
        """How many numbers there are to a mean."""
        return self.size**2 if self.within else self.size

    def reach(self, picture: tuple[int, int, int]) -> int:
        """Give how far there is anything to add up in pictures of (channels, height, width); beyond are zeros."""
        return min(self.size // 2, max(picture[1:]) - 1 if self.within else picture[0] - 1)


@dataclass(frozen=True)
class ChannelSoftmax:
    """``exp(x) / sum(exp(x))`` over the channels of each pixel: a softmax."""


@dataclass(frozen=True)
class ChannelNormalize:
    """``x / sqrt(sum(x ** 2) + eps)`` over the channels of each pixel, times a scale of each channel."""

    eps: float


@dataclass(frozen=True)
class Gate:
    """A bottom of pictures times one of a number for each of their channels, plus a third bottom if there is one.

    Parameters
    ----------
    pictures, factors : int
        Which bottoms they are; a third one is added.
    """

    pictures: int
    factors: int


@dataclass(frozen=True, eq=False)
class Channelwise:
    """What is done to every number of a channel, each operation rounded: ``(x - mean) / deviation * factor + summand``.

    Then what is not above zero is multiplied by `slope`.

    Parameters
    ----------
    mean, deviation, factor, summand, slope : array (channels,) or None
        None leaves the operation out.
    """

    mean: NDArray[Any] | None = None
    deviation: NDArray[Any] | None = None
    factor: NDArray[Any] | None = None
    summand: NDArray[Any] | None = None
    slope: NDArray[Any] | None = None

    @property
    def operands(self) -> tuple[NDArray[Any] | None, ...]:
        """Give all of them in order."""
        return self.mean, self.deviation, self.factor, self.summand, self.slope

    def then(self, other: Channelwise) -> Channelwise | None:
        """Give both, one after the other, as one; None where the order of operations would be another."""
        used, added = (
            [place for place, operand in enumerate(it.operands) if operand is not None] for it in (self, other)
        )
        if used and added and used[-1] >= added[0]:
            return None
        return Channelwise(*(b if a is None else a for a, b in zip(self.operands, other.operands, strict=True)))

    def joined(self, channels: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give factors and summands that do the same in exact numbers: float64, (channels,) each.

        Raises
        ------
        ValueError
            When there is a slope.
        """
        if self.slope is not None:
            raise ValueError("a slope is no factor")
        factors = np.ones(channels) if self.deviation is None else 1 / self.deviation.astype(np.float64)
        summands = np.zeros(channels) if self.mean is None else -self.mean.astype(np.float64) * factors
        if self.factor is not None:
            factors = factors * self.factor
            # Nothing stays nothing, whatever the factor: its sign goes into files.
            summands = summands if self.mean is None else summands * self.factor
        return factors, summands if self.summand is None else summands + self.summand

    @property
    def by_channel(self) -> bool:
        """Whether the numbers of two channels differ."""
        return any((operand != operand[0]).any() for operand in self.operands if operand is not None)

    def of(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Do it to numbers of the first channels: float32 (channels, numbers)."""

        def column(operand: NDArray[Any]) -> NDArray[np.float32]:
            return operand.astype(np.float32)[: len(x), None]

        operations = (np.subtract, np.divide, np.multiply, np.add)
        for operation, operand in zip(operations, self.operands, strict=False):
            x = x if operand is None else operation(x, column(operand))
        return x if self.slope is None else np.where(x > 0, x, x * column(self.slope))


InFloat = ChannelSoftmax | ChannelNormalize | Gate
"""Forms that the compiled executor alone knows: elsewhere such layers have none, and compute in float."""
Form = Same | Clamp | Pointwise | Window | Join | Stack | Pieces | Response | InFloat
