"""Softmax: how near its exponentials come, and what is no number."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.kernels.softmax import LEAST, softmax


def exponential(x: Fraction) -> Fraction:
    """Give exp(x) for x <= 0 far beyond float64: a series, then squared."""
    halvings = 10
    x /= 2**halvings
    term = total = Fraction(1)
    for k in range(1, 20):
        term *= x / k
        total += term
    for _ in range(halvings):
        total = Fraction(round(total * total * 10**120), 10**120)
    return total


def of_row(*numbers: float, kind: type = np.float64) -> np.ndarray:
    x = np.array([numbers], kind)
    out = np.empty_like(x)
    softmax(x, out)
    return out[0]


@given(st.lists(st.floats(-60, 60), min_size=1, max_size=20))
def test_shares_are_right_to_the_last_bits(numbers: list[float]) -> None:
    powers = [exponential(Fraction(x) - Fraction(max(numbers))) for x in numbers]
    wanted = [float(power / sum(powers)) for power in powers]
    # Taking the greatest off is rounded by half of its last bit, which the exponential passes on.
    rounded = np.spacing(120.0) / 2 + len(numbers) * 4e-16
    np.testing.assert_allclose(of_row(*numbers), wanted, rtol=rounded, atol=1e-300)


@given(st.lists(st.floats(-80, 80, width=32), min_size=1, max_size=40))
def test_float32_is_float64_rounded(numbers: list[float]) -> None:
    assert of_row(*numbers, kind=np.float32).tolist() == of_row(*numbers).astype(np.float32).tolist()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("numbers", "wanted"),
    [
        ([0.0, -np.inf], [1, 0]),
        ([0.0, LEAST - 1], [1, 0]),
        ([3e38, -3e38], [1, 0]),
        ([np.nan, 1.0, 2.0], [np.nan] * 3),
        ([1.0, 2.0, np.nan], [np.nan] * 3),
        ([1.0, np.inf], [np.nan] * 2),
        ([-np.inf, -np.inf], [np.nan] * 2),
    ],
)
def test_what_is_no_number(kind: type, numbers: list[float], wanted: list[float]) -> None:
    np.testing.assert_array_equal(of_row(*numbers, kind=kind), np.array(wanted, kind))


def test_the_least_that_counts_is_no_denormal() -> None:
    assert of_row(0.0, LEAST)[1] == pytest.approx(9.859676543759770e-305, rel=1e-12)
