"""Grid: the integers that stand for a blob's numbers, and how far they reach."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from ristretto.formats import Arithmetic, FixedPoint


def bits_for(low: int, high: int) -> int:
    """Give the width of the narrowest two's-complement word that holds an interval of integers, bits.

    Examples
    --------
    >>> bits_for(-128, 127), bits_for(0, 128), bits_for(0, 0)
    (8, 9, 1)
    """
    return 1 + max(high if high >= 0 else ~high, low if low >= 0 else ~low).bit_length()


def shifted(code: int, right: int, *, half_even: bool = False) -> int:
    """Shift an integer to the right and round it; to the left, which is exact, for a shift below zero.

    Parameters
    ----------
    code : int
    right : int
        Bits.
    half_even : bool
        Whether halves go to the even integer, and not away from zero.

    Examples
    --------
    >>> shifted(5, 1), shifted(-5, 1), shifted(5, 1, half_even=True), shifted(5, -2)
    (3, -3, 2, 20)
    """
    if right <= 0:
        return code << -right
    whole, rest = divmod(abs(code), 1 << right)
    twice = 2 * rest - (1 << right)
    up = twice > 0 or (twice == 0 and (not half_even or whole % 2 == 1))
    return (whole + up) * (1 if code >= 0 else -1)


@dataclass(frozen=True)
class Grid:
    """The numbers ``k * 2**-fl`` for integers ``low <= k <= high``, both of which may occur.

    Parameters
    ----------
    fl : int
        Fractional length, bits.
    low, high : int
        The ends, in codes. They are bounds that follow from formats and weights, whatever the pictures.
    """

    fl: int
    low: int
    high: int

    @classmethod
    def of(cls, fmt: FixedPoint) -> Grid:
        """Give all numbers of a format."""
        return cls(fmt.fl, fmt.low_code, fmt.high_code)

    @property
    def bits(self) -> int:
        """The width of the narrowest word for its codes, bits, sign included."""
        return bits_for(self.low, self.high)

    @property
    def largest(self) -> int:
        """The greatest absolute value of a code."""
        return max(abs(self.low), abs(self.high))

    def finer(self, fl: int) -> Grid:
        """Give the same numbers in codes of a longer fractional length, bits."""
        assert fl >= self.fl, "codes would be lost"
        return Grid(fl, self.low << (fl - self.fl), self.high << (fl - self.fl))

    def trimmed(self, fmt: FixedPoint, arithmetic: Arithmetic) -> Grid:
        """Give what trimming to a format leaves."""
        right = self.fl - fmt.fl
        low, high = (
            min(max(shifted(code, right, half_even=arithmetic.half_even), fmt.low_code), fmt.high_code)
            for code in (self.low, self.high)
        )
        return Grid(fmt.fl, low, high)

    def clamped(self, low: float, high: float) -> Grid:
        """Give what a clamp leaves, its ends in real units; on a finer grid where an end that matters is not on it."""
        scale = Fraction(2) ** self.fl
        ends = [Fraction(low) * scale if math.isfinite(low) and Fraction(low) * scale > self.low else None]
        ends += [Fraction(high) * scale if math.isfinite(high) and Fraction(high) * scale < self.high else None]
        # A float's denominator is a power of two, and so is that of its multiple.
        finer = max(0, *(end.denominator.bit_length() - 1 for end in ends if end is not None), 0)
        grid = self.finer(self.fl + finer)
        least, most = (None if end is None else int(end * 2**finer) for end in ends)
        codes = []
        for code in (grid.low, grid.high):
            raised = code if least is None else max(code, least)
            codes.append(raised if most is None else min(raised, most))
        return Grid(grid.fl, *codes)

    def times(self, other: Grid) -> Grid:
        """Give the products of its numbers and another's."""
        ends = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Grid(self.fl + other.fl, min(ends), max(ends))

    @staticmethod
    def hull(grids: Iterable[Grid]) -> Grid:
        """Give the grid that holds the numbers of several: as fine as the finest, from the least to the greatest."""
        every = list(grids)
        finest = max(grid.fl for grid in every)
        aligned = [grid.finer(finest) for grid in every]
        return Grid(finest, min(grid.low for grid in aligned), max(grid.high for grid in aligned))
