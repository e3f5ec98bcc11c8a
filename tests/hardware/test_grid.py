"""Grids against exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.formats import EXACT, HALF_EVEN, Arithmetic, FixedPoint
from ristretto.hardware.grid import Grid, bits_for, shifted
from tests.execute.exact import trimmed
from tests.execute.nets import formats


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    low, high = sorted(draw(st.tuples(st.integers(-300, 300), st.integers(-300, 300))))
    return Grid(draw(st.integers(-6, 8)), low, high)


def numbers(grid: Grid) -> list[Fraction]:
    return [code / Fraction(2) ** grid.fl for code in range(grid.low, grid.high + 1)]


@given(st.integers(-(1 << 40), 1 << 40), st.integers(-(1 << 40), 1 << 40))
def test_a_word_has_room_for_both_ends_and_none_narrower_has(one: int, other: int) -> None:
    low, high = min(one, other), max(one, other)
    bits = bits_for(low, high)
    assert -(1 << (bits - 1)) <= low
    assert high < 1 << (bits - 1)
    assert bits == 1 or low < -(1 << (bits - 2)) or high >= 1 << (bits - 2)


@given(st.integers(-5000, 5000), st.integers(-5, 8), st.booleans())
def test_a_shift_rounds_once(code: int, right: int, half_even: bool) -> None:
    value = code / Fraction(2) ** right
    away = math.floor(abs(value) + Fraction(1, 2)) * (-1 if value < 0 else 1)
    assert shifted(code, right, half_even=half_even) == (round(value) if half_even else away)


@given(grids(), formats(10), st.sampled_from((EXACT, HALF_EVEN)))
def test_a_trim_reaches_as_far_as_its_farthest_numbers(grid: Grid, fmt: FixedPoint, arithmetic: Arithmetic) -> None:
    exact = trimmed(np.array(numbers(grid), object), fmt, arithmetic) * Fraction(2) ** fmt.fl
    assert grid.trimmed(fmt, arithmetic) == Grid(fmt.fl, int(exact.min()), int(exact.max()))


ENDS = (-40.0, -1.5, -0.7, 0.0, 0.25, 0.3, 6.0, 50.0)


@given(grids(), st.sampled_from((-math.inf, *ENDS)), st.sampled_from((*ENDS, math.inf)))
def test_a_clamp_leaves_numbers_of_its_grid_and_the_grid_is_the_coarsest(grid: Grid, one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    left = [clamped(number, low, high) for number in numbers(grid)]
    found = grid.clamped(low, high)
    codes = [number * Fraction(2) ** found.fl for number in left]
    assert all(code.denominator == 1 for code in codes)
    assert (found.low, found.high) == (min(codes), max(codes))
    assert found.fl >= grid.fl
    if found.fl > grid.fl:
        assert any((code / 2).denominator > 1 for code in codes)


def clamped(number: Fraction, low: float, high: float) -> Fraction:
    raised = max(number, Fraction(low)) if math.isfinite(low) else number
    return min(raised, Fraction(high)) if math.isfinite(high) else raised


@given(st.lists(grids(), min_size=1, max_size=3))
def test_a_hull_holds_the_numbers_of_all(several: list[Grid]) -> None:
    hull = Grid.hull(several)
    held = [number for grid in several for number in (numbers(grid)[0], numbers(grid)[-1])]
    assert min(held) == hull.low / Fraction(2) ** hull.fl
    assert max(held) == hull.high / Fraction(2) ** hull.fl
    assert hull.fl == max(grid.fl for grid in several)


def test_a_grid_is_not_made_coarser() -> None:
    with pytest.raises(AssertionError):
        Grid(3, 0, 7).finer(2)
