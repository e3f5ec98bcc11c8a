"""Format: a set of numbers, as a value."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ristretto.errors import FormatError

FLOAT_BITS = 32

FloatArray = NDArray[Any]
CodeArray = NDArray[Any]


@dataclass(frozen=True)
class Arithmetic:
    """How numbers are trimmed where the original's two builds and the definition of a format disagree.

    Parameters
    ----------
    half_even : bool
        Whether a number half-way between two codes of fixed point goes to the even one (the fork's GPU code), and not
        away from zero (Caffe's CPU code).
    minifloat_stops_at_zero : bool
        Whether the first zero of a blob ends its trimming to minifloat.
    minifloat_passes_top : bool
        Whether a minifloat may round up to the power of two behind its largest number.
    power_of_two_trims_activations : bool
        Whether layers with power-of-two weights trim their input and output.
    sums_in_float32 : bool
        Whether sums are rounded to float32 as they grow, where products do not lie on one grid of integers.
    """

    half_even: bool = False
    minifloat_stops_at_zero: bool = False
    minifloat_passes_top: bool = False
    power_of_two_trims_activations: bool = True
    sums_in_float32: bool = False


EXACT = Arithmetic()
"""What the formats' definitions say; halves go away from zero."""
HALF_EVEN = Arithmetic(half_even=True)
"""The same, with halves to the even code."""
EMULATIONS = {
    "fork-cpu": Arithmetic(
        minifloat_stops_at_zero=True,
        minifloat_passes_top=True,
        power_of_two_trims_activations=False,
        sums_in_float32=True,
    ),
    "fork-gpu": Arithmetic(half_even=True, minifloat_passes_top=True, sums_in_float32=True),
}
"""The original's CPU and GPU code, defects included, by the name that ``--emulate`` has for them."""


@dataclass(frozen=True)
class Format(ABC):
    """A number format: which numbers exist, and how to reach them.

    A format is one subclass in one file and one entry in ``ristretto.formats.FORMATS``.
    """

    name: ClassVar[str]
    """The format's name in messages and reports."""
    legend: ClassVar[str]
    """How to read `describe`."""
    covers_bias: ClassVar[bool] = True
    """Whether a layer whose weights have this format trims its bias to it, too."""
    on_one_grid: ClassVar[bool] = True
    """Whether all numbers are multiples of the smallest one, few enough to be summed as integers."""
    packing: ClassVar[str] = "twos_complement"
    """What the bits of a word mean in files for hardware; see `pack`."""

    @property
    @abstractmethod
    def bits(self) -> int:
        """Bits of one number, sign included."""

    @property
    @abstractmethod
    def low(self) -> float:
        """The smallest number, in real units."""

    @property
    @abstractmethod
    def high(self) -> float:
        """The largest number, in real units."""

    @abstractmethod
    def trim(self, x: FloatArray, arithmetic: Arithmetic = EXACT) -> FloatArray:
        """Round to the nearest number of this format, saturating at its ends."""

    @abstractmethod
    def encode(self, x: FloatArray, arithmetic: Arithmetic = EXACT) -> CodeArray:
        """Give the integer codes of the trimmed numbers; a FormatError where one is NaN."""

    @abstractmethod
    def decode(self, codes: CodeArray) -> FloatArray:
        """Give the numbers of integer codes, as float32 in real units."""

    @abstractmethod
    def describe(self) -> str:
        """Give the format in a few characters, for tables."""

    @property
    def word_bits(self) -> int:
        """Bits of one word as `pack` gives it: those that a memory needs for each number."""
        return self.bits

    def pack(self, codes: CodeArray) -> CodeArray:
        """Give the words that hardware stores for codes.

        Parameters
        ----------
        codes : integer array, any shape, in codes

        Returns
        -------
        int64 array, same shape
            Words of `word_bits`; of two's complement with their sign, of any other `packing` not negative.
        """
        return codes.astype(np.int64)

    @property
    def stands_for_float(self) -> bool:
        """Whether a word is as wide as a float32: the fork's way to leave a place in float."""
        return self.bits >= FLOAT_BITS

    @abstractmethod
    def rounded(self, xp: Any, x: Any, noise: Any = None) -> Any:
        """Give what `trim` gives, computed by the operations of an array library, on whatever device it works.

        Parameters
        ----------
        xp : module
            numpy or torch.
        x : float32 or float64 array of that library, real units
            Infinities saturate; NaN stays NaN.
        noise : array of that library or None
            Numbers of [0, 1), in the shape and type of `x`, by which it is rounded up or down at random, as the
            fork's STOCHASTIC does: codes of fixed point, mantissas and logarithms become ``floor(value + noise)``.
            None rounds to the nearest number, as `trim` does.

        Returns
        -------
        array of that library, shape and type of `x`, real units
        """

    @property
    def range_exponent(self) -> int | None:
        """The power of two at which the range ends, where it can be moved without a change of width; else None."""
        return None

    def with_range(self, exponent: int) -> Format:
        """Give the format of this width whose range ends at ``2**exponent``; for those with a `range_exponent`.

        Raises
        ------
        FormatError
            When the width alone decides on the range, or no format has this one.
        """
        raise FormatError(f"{self.name} has no radix point to move", hint="its width decides on its range")

    def trims_activations(self, arithmetic: Arithmetic) -> bool:
        """Whether a layer whose weights have this format trims its input and output."""
        return True

    @staticmethod
    def refuse_nan(x: FloatArray) -> None:
        """Raise a FormatError when a number is NaN."""
        if np.isnan(x).any():
            raise FormatError("NaN has no code", hint="which layer computes it? are weights and data finite?")


def whole(xp: Any, x: Any, noise: Any = None) -> Any:
    """Round to whole numbers: halves away from zero, or by chance.

    Parameters
    ----------
    xp : module
        numpy or torch.
    x : float array of that library, finite
    noise : array of that library or None
        Numbers of [0, 1): ``floor(x + noise)``. None rounds to the nearest.

    Returns
    -------
    array of that library, shape and type of `x`
        Without the error that a half or the noise, added to a large number, would bring in: rests are exact.
    """
    if noise is None:
        near = xp.trunc(x)
        return near + xp.trunc(2 * (x - near))
    low = xp.floor(x)
    return low + xp.floor(x - low + noise)
