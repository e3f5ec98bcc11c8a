"""PowerOfTwo against its definition on fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.errors import FormatError
from ristretto.formats import EMULATIONS, EXACT, PowerOfTwo
from tests.battery import check_format

RANGES = st.tuples(st.integers(-100, 100), st.integers(0, 20)).map(lambda t: PowerOfTwo(t[0], t[0] + t[1]))


def trimmed(fmt: PowerOfTwo, x: Fraction) -> Fraction:
    """The definition: round(log2|x|) is e where 2**(2e - 1) <= x**2 < 2**(2e + 1)."""
    e = fmt.exp_min
    while x and e < fmt.exp_max and x * x >= Fraction(2) ** (2 * e + 1):
        e += 1
    value = Fraction(2) ** e
    return -value if x < 0 else value


def numbers(fmt: PowerOfTwo) -> list[tuple[int, Fraction]]:
    positive = [(1 + e - fmt.exp_min, Fraction(2) ** e) for e in range(fmt.exp_min, fmt.exp_max + 1)]
    return [(-code, -value) for code, value in reversed(positive)] + positive


@pytest.mark.parametrize(("exp_min", "exp_max"), [(-8, -1), (-3, 4), (0, 0), (-100, -90), (20, 27)])
def test_every_code_and_what_lies_between(exp_min: int, exp_max: int) -> None:
    fmt = PowerOfTwo(exp_min, exp_max)
    check_format(fmt, numbers(fmt), lambda x: trimmed(fmt, x))


@given(RANGES, st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_any_range_rounds_any_number(fmt: PowerOfTwo, x: float) -> None:
    assert fmt.trim(np.float32([x])).tolist() == [float(trimmed(fmt, Fraction(x)))]
    assert fmt.decode(fmt.encode(np.float32([x]))).tolist() == fmt.trim(np.float32([x])).tolist()


def test_the_originals_exponents_take_four_bits() -> None:
    assert PowerOfTwo(-8, -1).bits == 4
    assert [PowerOfTwo(0, n).bits for n in (0, 1, 2, 3, 4, 7, 8)] == [1, 2, 3, 3, 4, 4, 5]


def test_biases_are_left_alone_and_activations_too_on_the_originals_cpu() -> None:
    fmt = PowerOfTwo(-8, -1)
    assert not fmt.covers_bias
    assert fmt.trims_activations(EXACT)
    assert fmt.trims_activations(EMULATIONS["fork-gpu"])
    assert not fmt.trims_activations(EMULATIONS["fork-cpu"])


def test_nan_stays_nan_and_has_no_code() -> None:
    assert np.isnan(PowerOfTwo(-8, -1).trim(np.float32([np.nan, 1]))).tolist() == [True, False]
    with pytest.raises(FormatError, match="NaN"):
        PowerOfTwo(-8, -1).encode(np.float32([np.nan]))


@pytest.mark.parametrize(("exp_min", "exp_max"), [(0, -1), (-127, 0), (0, 127)])
def test_impossible_exponents_are_named(exp_min: int, exp_max: int) -> None:
    with pytest.raises(FormatError, match="powers of two"):
        PowerOfTwo(exp_min, exp_max)
