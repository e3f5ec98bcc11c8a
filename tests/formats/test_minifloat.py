"""MiniFloat against its definition on fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.errors import FormatError
from ristretto.formats import EMULATIONS, MiniFloat
from tests.battery import check_format

CPU, GPU = EMULATIONS["fork-cpu"], EMULATIONS["fork-gpu"]


def power(x: Fraction) -> int:
    """floor(log2(x)) of a positive fraction."""
    exponent = 0
    while x >= Fraction(2) ** (exponent + 1):
        exponent += 1
    while x < Fraction(2) ** exponent:
        exponent -= 1
    return exponent


def trimmed(fmt: MiniFloat, x: Fraction, *, past_top: bool = False) -> Fraction:
    """The definition: the exponent first, then the mantissa rounded with halves away from zero."""
    bias = 2 ** (fmt.exp_bits - 1) - 1
    largest = (2 - Fraction(1, 2**fmt.mant_bits)) * Fraction(2) ** (2**fmt.exp_bits - 1 - bias)
    size = abs(x)
    if size == 0 or power(size) + bias < 0:
        return Fraction(0)
    e = power(size)
    if e + bias > 2**fmt.exp_bits - 1:
        value = largest
    else:
        m = math.floor((size / Fraction(2) ** e - 1) * 2**fmt.mant_bits + Fraction(1, 2))
        value = (1 + Fraction(m, 2**fmt.mant_bits)) * Fraction(2) ** e
        if not past_top:
            value = min(value, largest)
    return -value if x < 0 else value


def numbers(fmt: MiniFloat) -> list[tuple[int, Fraction]]:
    bias = 2 ** (fmt.exp_bits - 1) - 1
    positive = [
        (1 + e * 2**fmt.mant_bits + m, (1 + Fraction(m, 2**fmt.mant_bits)) * Fraction(2) ** (e - bias))
        for e in range(2**fmt.exp_bits)
        for m in range(2**fmt.mant_bits)
    ]
    return [(-code, -value) for code, value in reversed(positive)] + [(0, Fraction(0))] + positive


@pytest.mark.parametrize(("exp_bits", "mant_bits"), [(e, m) for e in range(1, 7) for m in range(7) if 1 + e + m <= 8])
def test_every_code_and_what_lies_between(exp_bits: int, mant_bits: int) -> None:
    fmt = MiniFloat(exp_bits, mant_bits)
    assert fmt.bits == 1 + exp_bits + mant_bits
    check_format(fmt, numbers(fmt), lambda x: trimmed(fmt, x))


@given(
    st.builds(MiniFloat, st.integers(1, 8), st.integers(0, 23)),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)
def test_any_width_rounds_any_number(fmt: MiniFloat, x: float) -> None:
    assert fmt.trim(np.float32([x])).tolist() == [np.float32(float(trimmed(fmt, Fraction(x))))]


def test_the_examples_of_the_definition() -> None:
    fmt = MiniFloat(exp_bits=4, mant_bits=3)
    x = np.float32([250, 511, 512, -1e30, np.inf, 2.0**-7, 2.0**-7 * 0.999])
    assert fmt.trim(x).tolist() == [256, 480, 480, -480, 480, 2.0**-7, 0]
    for arithmetic in (CPU, GPU):
        assert fmt.trim(x[:4], arithmetic).tolist() == [256, 512, 480, -480]
    assert math.isnan(fmt.trim(np.float32([np.nan]))[0])


@pytest.mark.parametrize("small", [0.0, 1e-6])
def test_the_originals_cpu_code_stops_at_the_first_zero(small: float) -> None:
    fmt = MiniFloat(exp_bits=4, mant_bits=3)
    x = np.float32([[1.03, -3.3], [small, 1.03], [-3.3, 1.03]])
    whole = [[1.0, -3.25], [0.0, 1.0], [-3.25, 1.0]]
    assert fmt.trim(x).tolist() == whole
    assert fmt.trim(x, GPU).tolist() == whole
    wanted = x.copy()
    wanted[0] = [1.0, -3.25]
    wanted[1, 0] = 0
    assert fmt.trim(x, CPU).tolist() == wanted.tolist()


def test_nan_has_no_code() -> None:
    with pytest.raises(FormatError, match="NaN"):
        MiniFloat(4, 3).encode(np.float32([1, np.nan]))


@pytest.mark.parametrize(("exp_bits", "mant_bits"), [(0, 3), (9, 3), (4, -1), (4, 24)])
def test_impossible_widths_are_named(exp_bits: int, mant_bits: int) -> None:
    with pytest.raises(FormatError, match=r"(exp|mant)_bits"):
        MiniFloat(exp_bits, mant_bits)
