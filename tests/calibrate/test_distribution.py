"""Ranges and histograms, against numpy on the whole of the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ristretto.calibrate import Accumulator, Distribution
from ristretto.calibrate.distribution import BINS
from ristretto.formats import FixedPoint

BATCHES = st.lists(
    hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-1e4, 1e4, width=32)), min_size=1, max_size=5
)


def spread(*batches: np.ndarray) -> Distribution:
    found = Accumulator()
    for batch in batches:
        found.add(np.asarray(batch, np.float32))
    return found.finish()


@given(BATCHES)
def test_range_is_that_of_all_numbers(batches: list[np.ndarray]) -> None:
    everything = np.concatenate(batches)
    found = spread(*batches).range
    assert (found.min, found.max) == (everything.min(), everything.max())
    assert found.magnitude == np.abs(everything).max()


@given(BATCHES)
def test_no_number_is_lost_and_none_is_counted_far_from_where_it_is(batches: list[np.ndarray]) -> None:
    everything = np.sort(np.concatenate(batches).astype(np.float64))
    found = spread(*batches)
    values, counts = found.values()
    assert counts.sum() == everything.size
    # A bin was at most doubled once for each widening, and each widening moves a number by half a bin at most.
    assert np.abs(np.repeat(values, counts) - everything).max() <= found.step


@given(BATCHES, st.integers(2, 12), st.integers(-6, 8), st.booleans())
def test_squared_error_is_near_the_one_over_all_numbers(
    batches: list[np.ndarray], bw: int, fl: int, rectified: bool
) -> None:
    x = np.concatenate(batches).astype(np.float64)
    fmt = FixedPoint(bw, fl)
    trimmed = fmt.trim(x).astype(np.float64)
    if rectified:
        trimmed, x = np.maximum(trimmed, 0), np.maximum(x, 0)
    found = spread(*batches)
    # A number moved by up to one bin within its histogram changes its error by about that much.
    reach = float(np.abs(trimmed - x).max()) + 2.0**-fl + found.step
    bound = 2 * reach * found.step + found.step**2 + 2.0**-fl * reach
    assert abs(found.squared_error(fmt, rectified=rectified) - ((trimmed - x) ** 2).mean()) <= bound


def test_zero_is_met_exactly_whatever_the_bins_are() -> None:
    values, counts = spread([0, 0, 0], [1000.3], [0, -7]).values()
    assert counts[values == 0] == [4]


def test_order_of_batches_changes_the_counts_by_nothing_when_no_bin_widens() -> None:
    rng = np.random.default_rng(1)
    one, two = rng.uniform(0.6, 0.9, 50), rng.uniform(-0.9, 0.9, 50)
    assert (spread(one, two).counts == spread(two, one).counts).all()


def test_only_zeros_have_a_distribution_too() -> None:
    found = spread([0, 0], [0])
    assert found.range.magnitude == 0
    assert found.mean_square() == 0
    assert found.squared_error(FixedPoint(8, 7)) == 0


@pytest.mark.parametrize("magnitude", [1e-30, 1.0, 3e38])
def test_bins_reach_from_the_smallest_to_the_largest_magnitude(magnitude: float) -> None:
    found = spread([magnitude, -magnitude])
    values, counts = found.values()
    assert counts.tolist() == [1, 1]
    assert np.allclose(values, [-magnitude, magnitude], rtol=1 / BINS)


def test_mean_square_is_that_of_the_numbers() -> None:
    x = np.random.default_rng(2).normal(size=10_000)
    assert np.isclose(spread(x).mean_square(), (x**2).mean(), rtol=1e-4)
