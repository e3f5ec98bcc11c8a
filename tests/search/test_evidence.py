"""Intervals of differences, against tables, plain formulas and their promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.search import Marks
from ristretto.search.evidence import Estimate, estimate, matched, normal_quantile, t_quantile


@pytest.mark.parametrize(
    ("freedom", "of_975", "of_95"),
    [
        (1, 12.706, 6.314),
        (2, 4.303, 2.920),
        (3, 3.182, 2.353),
        (4, 2.776, 2.132),
        (5, 2.571, 2.015),
        (9, 2.262, 1.833),
        (10, 2.228, 1.812),
        (29, 2.045, 1.699),
        (120, 1.980, 1.658),
    ],
)
def test_students_quantiles_are_those_of_the_tables(freedom: int, of_975: float, of_95: float) -> None:
    assert t_quantile(0.975, freedom) == pytest.approx(of_975, abs=6e-4)
    assert t_quantile(0.95, freedom) == pytest.approx(of_95, abs=6e-4)


@given(st.floats(0.51, 0.9999), st.integers(1, 300))
def test_students_quantile_turns_the_distribution_around(probability: float, freedom: int) -> None:
    """The density, integrated up to the quantile by Simpson's rule."""
    t = t_quantile(probability, freedom)
    # In the angle, where the tail is short: t = sqrt(freedom) tan(angle).
    angles = np.linspace(0, math.atan(t / math.sqrt(freedom)), 4001)
    heights = np.cos(angles) ** (freedom - 1)
    weights = np.ones(4001)
    weights[1:-1:2], weights[2:-1:2] = 4, 2
    area = float((heights * weights).sum()) * angles[1] / 3
    log_scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(math.pi) / 2
    assert 0.5 + area * math.exp(log_scale) == pytest.approx(probability, abs=1e-9)


def test_student_comes_down_to_the_normal_distribution() -> None:
    found = [t_quantile(0.975, freedom) for freedom in (1, 2, 3, 10, 100, 10_000)]
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(normal_quantile(0.975), abs=3e-4)
    assert normal_quantile(0.975) == pytest.approx(1.959963984540)
    assert t_quantile(0.5, 7) == normal_quantile(0.5) == 0


def test_matched_shares_by_hand() -> None:
    """Of 86 pictures 53 are right in both nets, 8 in none; half a picture is added to each of the four cells."""
    found = matched(9, 16, 86)
    n11, n12, n21, n22 = 53 + 0.5, 16 + 0.5, 9 + 0.5, 8 + 0.5
    total = n11 + n12 + n21 + n22
    assert found.centre == pytest.approx((n12 - n21) / total)
    assert found.error == pytest.approx(math.sqrt((n12 + n21) - (n12 - n21) ** 2 / total) / total)
    interval = found.interval()
    assert interval.low == pytest.approx(found.centre - 1.959964 * found.error)
    assert interval.high == pytest.approx(found.centre + 1.959964 * found.error)
    assert interval.level == 0.95


def test_no_difference_at_all_is_no_certainty() -> None:
    few, many = matched(0, 0, 10).interval(), matched(0, 0, 10_000).interval()
    assert few.low < -0.1
    assert few.high > 0.1
    assert 0 < many.high < 3e-4
    assert many.low == -many.high


def test_pictures_are_compared_one_by_one() -> None:
    baseline = np.array([True, True, True, False, False, True])
    trial = np.array([True, False, True, True, False, False])
    found = estimate(Marks(2, baseline), Marks(2, trial))
    assert found == matched(lost=2, gained=1, pictures=6)
    assert found.freedom is None


def test_the_upper_bound_of_a_loss_looks_to_one_side() -> None:
    found = matched(lost=20, gained=5, pictures=500)
    bound = found.loss(0.975, higher_is_better=True)
    assert bound == pytest.approx(-found.interval(0.95).low)
    assert found.loss(0.5, higher_is_better=True) == -found.centre > 0
    worse = Estimate(0.25, 0.125, 9)
    assert worse.loss(0.95, higher_is_better=False) == pytest.approx(0.25 + 0.125 * 1.8331, abs=1e-4)


def test_batches_are_compared_by_students_t() -> None:
    baseline, trial = np.array([1.0, 2, 3, 4]), np.array([1.5, 2, 4, 4.5])
    found = estimate(Marks(4, baseline), Marks(4, trial))
    assert found is not None
    differences = [0.5, 0, 1, 0.5]
    assert found.centre == np.mean(differences)
    assert found.error == pytest.approx(np.std(differences, ddof=1) / 2)
    assert found.freedom == 3
    interval = found.interval()
    assert interval.high - interval.low == pytest.approx(2 * 3.18245 * found.error, rel=1e-5)


def test_one_batch_tells_no_error() -> None:
    assert estimate(Marks(1, np.array([1.0])), Marks(1, np.array([1.5]))) is None
    assert estimate(Marks(1, np.array([True, False])), Marks(1, np.array([True, True]))) is not None


@pytest.mark.parametrize(("lost", "gained", "pictures"), [(0.03, 0.02, 400), (0.005, 0.005, 400), (0.1, 0.01, 1000)])
def test_intervals_hold_the_true_difference_as_often_as_they_say(lost: float, gained: float, pictures: int) -> None:
    rng = np.random.default_rng(1)
    shares = [lost, gained, 1 - lost - gained]
    inside = 0
    for cells in rng.multinomial(pictures, shares, size=4000):
        interval = matched(int(cells[0]), int(cells[1]), pictures).interval()
        inside += interval.low <= gained - lost <= interval.high
    assert inside / 4000 > 0.935


def test_intervals_of_batches_do_so_too() -> None:
    rng = np.random.default_rng(2)
    inside = 0
    for _ in range(2000):
        baseline = rng.normal(size=6)
        found = estimate(Marks(6, baseline), Marks(6, baseline + rng.normal(0.3, 0.1, size=6)))
        assert found is not None
        inside += found.interval().low <= 0.3 <= found.interval().high
    assert inside / 2000 == pytest.approx(0.95, abs=0.015)
