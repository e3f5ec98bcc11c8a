"""What numbers lose in a format, against sums of fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.calibrate import Accumulator, Distribution, TrimLoss
from ristretto.formats import FixedPoint, Format, MiniFloat, PowerOfTwo
from ristretto.formats.ends import saturates

numbers = st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=40)
fixed = st.builds(FixedPoint, bw=st.integers(1, 10), fl=st.integers(-3, 8))


def seen(values: list[float]) -> Distribution:
    found = Accumulator()
    found.add(np.float32(values))
    return found.finish()


def errors(fmt: Format, values: list[float]) -> list[Fraction]:
    trimmed = fmt.trim(np.float32(values))
    return [(Fraction(float(new)) - Fraction(old)) ** 2 for old, new in zip(values, trimmed, strict=True)]


@given(numbers, fixed)
def test_on_numbers_themselves(values: list[float], fmt: FixedPoint) -> None:
    before = np.float32(values)
    loss = TrimLoss.of_numbers(before, fmt.trim(before), fmt)
    count = len(values)
    error = sum(errors(fmt, values)) / count
    assert loss.mean_square == pytest.approx(float(sum(Fraction(value) ** 2 for value in values) / count))
    assert loss.squared_error == pytest.approx(float(error))
    # Half a step beyond the greatest or the least number, or more.
    step = Fraction(2) ** -fmt.fl
    low, high = fmt.low_code * step - step / 2, fmt.high_code * step + step / 2
    assert loss.saturated == pytest.approx(sum(not low < Fraction(value) < high for value in values) / count)
    if error == 0:
        assert loss.sqnr == math.inf
    elif loss.mean_square:
        assert loss.sqnr == pytest.approx(10 * math.log10(loss.mean_square / loss.squared_error))


@given(st.lists(st.integers(-(2**12), 2**12), min_size=1, max_size=40), fixed, st.booleans())
def test_on_a_blob_whose_numbers_are_centres_of_bins(codes: list[int], fmt: FixedPoint, rectified: bool) -> None:
    """There the histogram has the numbers themselves; all of them are kept, too."""
    values = [code / 2**9 for code in codes]
    loss = TrimLoss.of_blob(seen(values), np.float32(values), fmt, rectified=rectified)
    counted = [max(value, 0.0) for value in values] if rectified else values
    exact = TrimLoss.of_numbers(np.float32(counted), fmt.trim(np.float32(counted)), fmt)
    assert loss.mean_square == pytest.approx(exact.mean_square)
    assert loss.squared_error == pytest.approx(exact.squared_error)
    assert loss.saturated == pytest.approx(exact.saturated)


def test_a_fine_format_costs_something_on_a_blob() -> None:
    """All centres of bins are numbers of 16 bits: by the histogram alone nothing would be lost."""
    values = np.random.default_rng(0).uniform(-1, 1, 20_000).astype(np.float32)
    fmt = FixedPoint(16, 15)
    loss = TrimLoss.of_blob(seen(values.tolist()), values[:5000], fmt)
    # A step of 2**-15, evenly spread: a twelfth of its square.
    assert loss.squared_error == pytest.approx(2.0**-30 / 12, rel=0.05)
    assert loss.sqnr == pytest.approx(10 * math.log10((1 / 3) / (2.0**-30 / 12)), abs=0.3)


def test_what_saturates_counts_for_all_pictures_not_only_those_kept() -> None:
    values = [0.25] * 99 + [5.0]
    loss = TrimLoss.of_blob(seen(values), np.float32([0.25]), FixedPoint(4, 2))
    assert loss.saturated == pytest.approx(0.01)
    assert loss.squared_error == pytest.approx(0.01 * (5 - 1.75) ** 2)


def test_nothing_but_zeros_loses_nothing() -> None:
    loss = TrimLoss.of_blob(seen([0.0] * 5), np.float32([0.0]), FixedPoint(4, 2))
    assert (loss.sqnr, loss.saturated) == (math.inf, 0)


def test_zeros_may_cost_where_there_is_no_zero() -> None:
    fmt = PowerOfTwo(-8, -1)
    before = np.zeros(3, np.float32)
    assert TrimLoss.of_numbers(before, fmt.trim(before), fmt).sqnr == -math.inf


@pytest.mark.parametrize(
    ("fmt", "x", "wanted"),
    [
        # Steps of 1/4 up to 1.75: from 1.875 on there is a nearer number, had the format one.
        (FixedPoint(4, 2), [1.75, 1.87, 1.875, 9.0, -2.0, -2.12, -2.125], [0, 0, 1, 1, 0, 0, 1]),
        (FixedPoint(1, 0), [0.49, 0.5, -1.49, -1.5], [0, 1, 0, 1]),
        # Steps of 32 below 480.
        (MiniFloat(4, 3), [480, 495, 496, -600], [0, 0, 1, 1]),
        (PowerOfTwo(-8, -1), [0.5, 0.62, 0.625, -1.0], [0, 0, 1, 1]),
        (FixedPoint(4, 2), [math.inf, -math.inf], [1, 1]),
    ],
)
def test_numbers_saturate_from_half_a_step_on(fmt: Format, x: list[float], wanted: list[int]) -> None:
    assert saturates(fmt, np.array(x)).tolist() == [bool(flag) for flag in wanted]


@given(numbers, st.integers(2, 64))
def test_few_bins_hold_all_numbers(values: list[float], most: int) -> None:
    fine = seen(values)
    found = fine.coarse(most)
    assert sum(found.counts) == len(values)
    assert 1 <= len(found.counts) <= most
    assert found.counts[0]
    assert found.counts[-1]
    assert math.log2(found.width / fine.step).is_integer()
    # Each number lies in its bin, but for the half of a fine bin by which it may have been moved.
    for index, count in enumerate(found.counts):
        low, high = found.start + index * found.width, found.start + (index + 1) * found.width
        centres, counts = fine.values()
        assert count == counts[(low < centres) & (centres < high)].sum()
    assert len(found.counts) > most // 2 or found.width == fine.step or len(found.counts) * 2 + 1 >= most
