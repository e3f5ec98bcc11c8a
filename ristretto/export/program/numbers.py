"""Which numbers a blob of the program holds, codes or float32's; and what trims and clamps make of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.formats import Arithmetic, FixedPoint
from ristretto.hardware.grid import Grid

LONGEST_SHIFT, LONGEST_LEFT = 62, 30
"""Bits; a longer shift to the right only gives zero, one to the left only saturates."""
ABOUT_ONE = 1.001
"""More than what rounding adds to a sum of positive numbers, to their product or to a power."""


def fits(grid: Grid) -> bool:
    """Whether 32 bits hold every code."""
    return grid.bits <= 32


@dataclass(frozen=True)
class Words:
    """Numbers of float32 that lie on no grid short enough for codes.

    Parameters
    ----------
    largest : float
        No absolute value is greater; infinite where that is not known.
    """

    largest: float = math.inf


Numbers = Grid | Words


def largest_of(numbers: Numbers) -> float:
    """Give the greatest absolute value, real units."""
    return numbers.largest if isinstance(numbers, Words) else math.ldexp(numbers.largest, -numbers.fl)


def word_of(number: float) -> int:
    """Give the word of the float32 nearest to a number."""
    return int(np.float32(number).view(np.uint32))


@dataclass(frozen=True)
class Stage:
    """One trim of integers: ``round(x * 2**-shift)``, to the left where `shift` is negative; then saturated."""

    shift: int
    low: int
    high: int


@dataclass(frozen=True)
class Trim:
    """A trim to a format, as a step behind an operation."""

    fmt: FixedPoint


@dataclass(frozen=True)
class Bound:
    """A clamp between two numbers, real units, as a step behind an operation."""

    low: float
    high: float


Step = Trim | Bound


def in_order(steps: Sequence[Step], arithmetic: Arithmetic) -> tuple[list[FixedPoint], Bound | None]:
    """Give trims, and one clamp behind them, that do what steps do in their order.

    Rounding and saturation keep numbers in order. So a trim behind a clamp does what it does before one, between ends
    that are trimmed, too.
    """
    trims: list[FixedPoint] = []
    bound: Bound | None = None
    for step in steps:
        if isinstance(step, Trim):
            trims.append(step.fmt)
            if bound:
                low, high = step.fmt.trim(np.array([bound.low, bound.high]), arithmetic).tolist()
                bound = Bound(low, high)
        else:
            low, high = (float(np.float32(end)) for end in (step.low, step.high))
            ends = (min(max(end, low), high) for end in ((bound.low, bound.high) if bound else (-math.inf, math.inf)))
            bound = Bound(*ends)
    return trims, bound


@dataclass(frozen=True)
class Finish:
    """What becomes of an operation's results before they are stored.

    Parameters
    ----------
    numbers : Grid or Words
        What is stored.
    stages : tuple of Stage
        Trims of integers.
    encode : FixedPoint or None
        Before them, the trim of a float32 to a code.
    bound : Bound or None
        Before all, or instead, a clamp of a float32.
    """

    numbers: Numbers
    stages: tuple[Stage, ...] = ()
    encode: FixedPoint | None = None
    bound: Bound | None = None


def finished(raw: Numbers, steps: Sequence[Step], arithmetic: Arithmetic, *, divides: bool = False) -> Finish:
    """Give how steps act on an operation's results.

    Parameters
    ----------
    raw : Grid or Words
        The results.
    steps : sequence of Step
    arithmetic : Arithmetic
    divides : bool
        Whether the first trim divides, too, and so must be done even where it saturates nothing.
    """
    trims, bound = in_order(steps, arithmetic)
    encode = None
    if isinstance(raw, Words):
        if not trims:
            return Finish(_bounded(raw, bound), bound=bound)
        encode, *trims = trims
        raw = Grid.of(encode)
    stages: list[Stage] = []
    for fmt in trims:
        trimmed = raw.trimmed(fmt, arithmetic)
        if trimmed != raw or (divides and not stages):
            shift = max(-LONGEST_LEFT, min(raw.fl - fmt.fl, LONGEST_SHIFT))
            stages.append(Stage(shift, fmt.low_code, fmt.high_code))
        raw = trimmed
    if bound is None:
        return Finish(raw, tuple(stages), encode)
    clamped = _clamped(raw, bound)
    if clamped is None:
        # Some end lies between two codes: what it stands for is a float32 only.
        return Finish(_bounded(Words(largest_of(raw)), bound), bound=bound)
    if stages and clamped.low <= stages[-1].high and clamped.high >= stages[-1].low:
        last = stages.pop()
        stages.append(Stage(last.shift, max(last.low, clamped.low), min(last.high, clamped.high)))
    elif clamped != raw:
        stages.append(Stage(0, clamped.low, clamped.high))
    return Finish(clamped, tuple(stages), encode)


def _clamped(grid: Grid, bound: Bound) -> Grid | None:
    """Give what a clamp leaves of codes; None where one of its ends acts and is no code of 32 bits."""
    if math.inf in (bound.low, -bound.high):
        return None
    clamped = grid.clamped(bound.low, bound.high)
    return clamped if clamped.fl == grid.fl and fits(clamped) else None


def _bounded(words: Words, bound: Bound | None) -> Words:
    if bound is None:
        return words
    # Whatever lies between the ends is no larger than they are, nor than it was, unless an end lifts it.
    ends = max(abs(bound.low), abs(bound.high))
    return Words(min(max(words.largest, *(abs(e) for e in (bound.low, bound.high) if not math.isinf(e)), 0.0), ends))
