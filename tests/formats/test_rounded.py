"""`Format.rounded`, in numpy and in torch, against `trim` and against the definition of stochastic rounding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ristretto.errors import FormatError
from ristretto.formats import FORMATS, FixedPoint, Format, MiniFloat, PowerOfTwo

LIBRARIES = {"numpy": (np, np.asarray), "torch": (torch, torch.from_numpy)}
KINDS = [np.float32, np.float64]
OFTEN: list[Format] = [
    *(FixedPoint(bw, fl) for bw in (1, 2, 4, 8, 16, 24, 25, 31, 32) for fl in (-96, -3, 0, 2, 7, 30, 96)),
    *(MiniFloat(exp_bits, mant_bits) for exp_bits in range(1, 9) for mant_bits in (0, 1, 3, 22, 23)),
    *(PowerOfTwo(low, high) for low, high in ((-8, -1), (-126, 126), (0, 0), (-126, -126), (126, 126), (-30, 5))),
]
ANY = st.one_of(
    st.builds(FixedPoint, st.integers(1, 32), st.integers(-96, 96)),
    st.builds(MiniFloat, st.integers(1, 8), st.integers(0, 23)),
    st.tuples(st.integers(-126, 126), st.integers(-126, 126)).map(lambda ends: PowerOfTwo(min(ends), max(ends))),
)


def test_every_format_is_among_them() -> None:
    assert {type(fmt) for fmt in OFTEN} == set(FORMATS)


def rounded(library: str, fmt: Format, x: np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
    """Round in a library; give numpy's array of it."""
    module, of = LIBRARIES[library]
    with np.errstate(over="ignore"):
        result: Any = fmt.rounded(module, of(x), None if noise is None else of(noise))
    found = np.asarray(result)
    assert found.dtype == x.dtype
    assert found.shape == x.shape
    return found


def check_trim(library: str, fmt: Format, x: np.ndarray) -> None:
    """The same bits; NaN is NaN, whatever its bits."""
    with np.errstate(over="ignore"):
        got = rounded(library, fmt, x).astype(np.float32)
        wanted = fmt.trim(x)
    np.testing.assert_array_equal(got, wanted)
    missing = np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(got)[~missing], np.signbit(wanted)[~missing])


def probes(fmt: Format, kind: type) -> np.ndarray:
    """Give numbers of every size, halves, what the format ends at, and the neighbours of all these."""
    rng = np.random.default_rng(1)
    sizes = 2.0 ** rng.uniform(-140, 127, 1000) * rng.choice([-1, 1], 1000)
    halves = [(k + 0.5) * 2.0**e for k in range(-9, 9) for e in range(-12, 12)]
    odd = [0.0, -0.0, math.inf, -math.inf, math.nan, 3.4028234e38, -3.4028234e38, 1e-45, 2.0**-126, 2.0**-127]
    roots = [s * math.sqrt(2.0**e) for e in (-9, -3, -1, 1, 5) for s in (-1, 1)]
    ends = [fmt.low, fmt.high, fmt.low * 1.01, fmt.high * 1.01]
    with np.errstate(over="ignore"):
        x = np.concatenate([rng.normal(size=1000), sizes, halves, odd, roots, ends]).astype(kind)
        return np.concatenate([x, np.nextafter(x, kind(np.inf)), np.nextafter(x, kind(-np.inf))])


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fmt", OFTEN, ids=lambda fmt: f"{fmt.name}-{fmt.describe()}")
def test_to_the_nearest_it_is_trim(fmt: Format, kind: type, library: str) -> None:
    check_trim(library, fmt, probes(fmt, kind))


@given(ANY, st.floats(width=32), st.sampled_from(KINDS), st.sampled_from(list(LIBRARIES)))
def test_any_number_is_rounded_to_any_format_as_trim_does(fmt: Format, x: float, kind: type, library: str) -> None:
    check_trim(library, fmt, np.array([x], kind))


def by_chance(fmt: Format, x: float, noise: float) -> float:
    """The fork's stochastic rounding, of one number in plain Python."""
    if isinstance(fmt, FixedPoint):
        scaled = min(max(x, fmt.low), fmt.high) * 2.0**fmt.fl
        return math.floor(scaled + noise) * 2.0**-fmt.fl
    if isinstance(fmt, PowerOfTwo):
        exponent = math.floor(math.log2(abs(x)) + noise) if x else fmt.exp_min
        return math.copysign(2.0 ** min(max(exponent, fmt.exp_min), fmt.exp_max), x)
    assert isinstance(fmt, MiniFloat)
    exponent = math.frexp(x)[1] - 1
    if not x or exponent < -fmt.bias:
        return 0.0
    mantissa = math.floor((abs(x) / 2.0**exponent - 1) * 2**fmt.mant_bits + noise)
    return math.copysign(min((1 + mantissa / 2**fmt.mant_bits) * 2.0**exponent, fmt.high), x)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fmt", [FixedPoint(6, 3), FixedPoint(3, -2), MiniFloat(3, 2), PowerOfTwo(-4, 2)], ids=str)
def test_by_chance_it_is_the_definition(fmt: Format, kind: type, library: str) -> None:
    """Noise in 64ths: no sum of a number and its noise lies so near to a whole one that float32 loses it."""
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(0, s, 500) for s in (0.01, 0.5, 3, 40)] + [np.zeros(1)]).astype(kind)
    noise = (rng.integers(0, 64, x.size) / 64).astype(kind)
    wanted = [by_chance(fmt, float(v), float(u)) for v, u in zip(x, noise, strict=True)]
    np.testing.assert_array_equal(rounded(library, fmt, x, noise), wanted)


@given(ANY, st.floats(width=32, allow_nan=False), st.floats(0, 1, exclude_max=True, width=32))
def test_a_number_of_the_format_stays_whatever_the_noise(fmt: Format, x: float, noise: float) -> None:
    with np.errstate(over="ignore"):
        number = fmt.trim(np.float32([x]))
    if np.isfinite(number).all():
        np.testing.assert_array_equal(rounded("torch", fmt, number, np.float32([noise])), number)


def test_noise_beside_a_large_code_is_not_rounded_up() -> None:
    """Float32 has no number between 5,000,001.5 and the next whole one: their sum must not be formed."""
    fmt, most = FixedPoint(24, 0), np.nextafter(np.float32([1]), np.float32(0))
    for library in LIBRARIES:
        assert rounded(library, fmt, np.float32([5000001]), most).item() == 5000001


def test_by_chance_the_mean_is_the_number_itself() -> None:
    x = np.full(20000, 0.3, np.float32)
    noise = np.random.default_rng(4).random(20000, np.float32)
    for fmt in (FixedPoint(8, 2), MiniFloat(4, 1)):
        # Two values a quarter, or an eighth, apart: the mean of so many lies within a hundredth.
        assert rounded("numpy", fmt, x, noise).mean() == pytest.approx(0.3, abs=0.005)


def test_the_end_of_a_range_can_be_moved_where_there_is_a_radix_point() -> None:
    assert {fmt for fmt in FORMATS if fmt.range_exponent is not Format.range_exponent} == {FixedPoint}
    fmt = FixedPoint(8, 5)
    assert fmt.range_exponent == 2
    assert fmt.low == -(2**2)
    assert fmt.with_range(2) == fmt
    assert fmt.with_range(-1) == FixedPoint(8, 8)
    for other in (MiniFloat(4, 3), PowerOfTwo(-8, -1)):
        assert other.range_exponent is None
        with pytest.raises(FormatError, match=f"{other.name} has no radix point"):
            other.with_range(0)
