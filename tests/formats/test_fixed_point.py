"""FixedPoint against its definition on fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.errors import FormatError
from ristretto.formats import EXACT, HALF_EVEN, Arithmetic, FixedPoint
from ristretto.formats.fixed_point import MAX_FRACTION
from tests.battery import check_format

ROUNDINGS = (EXACT, HALF_EVEN)
FRACTIONS = (-MAX_FRACTION, -31, -3, 0, 1, 8, 24, MAX_FRACTION)
FORMATS = st.builds(FixedPoint, st.integers(1, 32), st.integers(-MAX_FRACTION, MAX_FRACTION))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def to_code(fmt: FixedPoint, arithmetic: Arithmetic, x: Fraction) -> int:
    """The definition: scale by 2**fl, clamp, round."""
    scaled = min(max(x * Fraction(2) ** fmt.fl, Fraction(-(2 ** (fmt.bw - 1)))), Fraction(2 ** (fmt.bw - 1) - 1))
    if arithmetic.half_even:
        return round(scaled)
    size = math.floor(abs(scaled) + Fraction(1, 2))
    return -size if scaled < 0 else size


def trimmed(fmt: FixedPoint, arithmetic: Arithmetic, x: Fraction) -> Fraction:
    return to_code(fmt, arithmetic, x) * Fraction(2) ** -fmt.fl


@pytest.mark.parametrize("arithmetic", ROUNDINGS)
@pytest.mark.parametrize("fl", FRACTIONS)
@pytest.mark.parametrize("bw", range(1, 9))
def test_every_code_and_what_lies_between(bw: int, fl: int, arithmetic: Arithmetic) -> None:
    fmt = FixedPoint(bw, fl)
    codes = range(-(2 ** (bw - 1)), 2 ** (bw - 1))
    numbers = [(code, code * Fraction(2) ** -fl) for code in codes]
    check_format(fmt, numbers, lambda x: trimmed(fmt, arithmetic, x), arithmetic)
    assert fmt.encode(np.zeros(1)).dtype == np.int8


@given(FORMATS, NUMBERS, st.sampled_from(ROUNDINGS))
def test_any_width_rounds_any_number_once(fmt: FixedPoint, x: float, arithmetic: Arithmetic) -> None:
    exact = Fraction(x)
    assert fmt.encode(np.array([x]), arithmetic).tolist() == [to_code(fmt, arithmetic, exact)]
    assert fmt.trim(np.array([x]), arithmetic).tolist() == [np.float32(float(trimmed(fmt, arithmetic, exact)))]


@given(FORMATS, st.integers(-(2**31), 2**31 - 1), st.integers(-3, 3), st.sampled_from(ROUNDINGS))
def test_any_width_rounds_numbers_around_its_halves(
    fmt: FixedPoint, code: int, off: int, arithmetic: Arithmetic
) -> None:
    code = max(fmt.low_code - 1, min(code, fmt.high_code + 1))
    half = math.ldexp(code + 0.5, -fmt.fl)
    for x in (half, math.nextafter(half, off * math.inf if off else half), half + math.ldexp(off / 4, -fmt.fl)):
        assert fmt.encode(np.array([x]), arithmetic).tolist() == [to_code(fmt, arithmetic, Fraction(x))]


@given(FORMATS, st.integers(-(2**31), 2**31 - 1))
def test_a_code_survives_where_float32_holds_it(fmt: FixedPoint, code: int) -> None:
    code = max(fmt.low_code, min(code, fmt.high_code))
    number = fmt.decode(np.array([code], fmt.code_type))
    assert number.dtype == np.float32
    assert number.tolist() == [np.float32(math.ldexp(code, -fmt.fl))]
    if abs(code) <= 1 << 24:
        assert fmt.encode(number).tolist() == [code]
    assert fmt.trim(number).tolist() == number.tolist()
    assert fmt.trim(fmt.trim(number)).tolist() == fmt.trim(number).tolist()


@pytest.mark.parametrize(("bw", "kind"), [(1, np.int8), (8, np.int8), (9, np.int16), (16, np.int16), (17, np.int32)])
def test_codes_come_in_the_smallest_integer_that_holds_them(bw: int, kind: type) -> None:
    assert FixedPoint(bw, 0).code_type == kind
    assert FixedPoint(bw, 0).encode(np.zeros(2, np.float32)).dtype == kind


def test_the_examples_of_the_definition() -> None:
    """What the fork's CPU code gives, and halves to even as its GPU code has them."""
    x = np.float32([-0.5, 0.5, 2.5, 0.49999997, 7.5, -8.5])
    assert FixedPoint(4, 0).trim(x).tolist() == [-1, 1, 3, 0, 7, -8]
    assert FixedPoint(4, 0).trim(x, HALF_EVEN).tolist() == [0, 0, 2, 0, 7, -8]
    assert FixedPoint(4, -3).trim(np.float32([4, 12, 70, -68])).tolist() == [8, 16, 56, -64]
    one = FixedPoint(1, 0)
    assert (one.low_code, one.high_code) == (-1, 0)
    assert one.trim(np.float32([3, 0.2, -0.5, -7])).tolist() == [0, 0, -1, -1]
    ends = FixedPoint(4, 0).trim(np.float32([np.inf, -np.inf, np.nan]))
    assert ends[:2].tolist() == [7, -8]
    assert np.isnan(ends[2])


@given(st.integers(1, 32), st.floats(1e-20, 1e20))
def test_the_covering_format_is_the_finest_that_saturates_nothing(bw: int, magnitude: float) -> None:
    fmt = FixedPoint.covering(bw, magnitude)
    assert not saturates(fmt, magnitude)
    assert fmt.fl == MAX_FRACTION or saturates(FixedPoint(bw, fmt.fl + 1), magnitude)


@pytest.mark.parametrize("bw", [2, 8, 16, 32])
@pytest.mark.parametrize("exponent", [-20, -1, 0, 7, 20])
def test_the_covering_format_is_exact_around_a_step(bw: int, exponent: int) -> None:
    top = math.ldexp(2 ** (bw - 1) - 0.5, exponent - bw + 1)
    for magnitude in (top, math.nextafter(top, 0), math.nextafter(top, math.inf), 2.0**exponent):
        fmt = FixedPoint.covering(bw, magnitude)
        assert not saturates(fmt, magnitude)
        assert saturates(FixedPoint(bw, fmt.fl + 1), magnitude)


def saturates(fmt: FixedPoint, magnitude: float) -> bool:
    """Whether clamping moves a number of this magnitude to another code than rounding alone would."""
    scaled = Fraction(magnitude) * Fraction(2) ** fmt.fl
    rounded = math.floor(scaled + Fraction(1, 2))
    return -rounded < fmt.low_code or (fmt.bw > 1 and rounded > fmt.high_code)


def test_a_blob_of_zeros_is_covered() -> None:
    assert FixedPoint.covering(8, 0) == FixedPoint(8, 7)


@pytest.mark.parametrize("magnitude", [-1.0, math.inf, math.nan, 1e38])
def test_what_no_format_covers_is_named(magnitude: float) -> None:
    with pytest.raises(FormatError, match="covers numbers of magnitude"):
        FixedPoint.covering(8, magnitude)


@pytest.mark.parametrize(
    ("bw", "fl", "fault"),
    [(0, 0, "0 bits"), (33, 0, "33 bits"), (-1, 0, "-1 bits"), (8, 97, "97 bits"), (8, -97, "-97 bits")],
)
def test_words_that_cannot_be_are_named(bw: int, fl: int, fault: str) -> None:
    with pytest.raises(FormatError, match=fault):
        FixedPoint(bw, fl)


@given(FORMATS)
def test_every_number_is_finite_in_float32(fmt: FixedPoint) -> None:
    ends = fmt.trim(np.float32([-np.inf, np.inf]))
    assert np.isfinite(ends).all()
    assert fmt.decode(np.array([fmt.low_code, fmt.high_code])).tolist() == ends.tolist()
    assert (fmt.low, fmt.high) == (
        math.ldexp(-(2 ** (fmt.bw - 1)), -fmt.fl),
        math.ldexp(2 ** (fmt.bw - 1) - 1, -fmt.fl),
    )


def test_a_format_is_a_value() -> None:
    assert FixedPoint(8, 5) == FixedPoint(8, 5)
    assert len({FixedPoint(8, 5), FixedPoint(8, 5), FixedPoint(8, 6)}) == 2
    assert (FixedPoint(8, 5).bits, FixedPoint(8, 5).il, FixedPoint(8, 5).describe()) == (8, 3, "8.5")
