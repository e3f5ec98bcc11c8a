"""Multiply-accumulate kernels against Python's integers."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ristretto.kernels import mac
from ristretto.kernels.mac import KERNELS, Epilogue, Walk, choose
from ristretto.kernels.shift import ShiftAccumulate

LEAST, GREATEST = -(2**15), 2**15 - 1


def summed(x: np.ndarray, weights: np.ndarray, walk: Walk) -> np.ndarray:
    """Give the sums of products, (n, channels, height, width), in Python's integers."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = walk.window, walk.stride, walk.pad, walk.dilation
    channels, height, width = walk.in_shape
    inputs, outputs = channels // walk.groups, walk.out_shape[0] // walk.groups
    sums = np.zeros((len(x), *walk.out_shape), object)
    for n, o, i, j in itertools.product(*(range(size) for size in sums.shape)):
        taps = itertools.product(range(inputs), range(kh), range(kw))
        for term, (c, u, v) in enumerate(taps):
            y, z = i * sh - ph + u * dh, j * sw - pw + v * dw
            if 0 <= y < height and 0 <= z < width:
                sums[n, o, i, j] += int(x[n, o // outputs * inputs + c, y, z]) * int(weights[o, term])
    return sums


def finished(sums: np.ndarray, bias: np.ndarray, end: Epilogue) -> np.ndarray:
    def finish(total: int) -> int:
        scaled = Fraction(total) / Fraction(2) ** end.shift
        half_away = math.floor(abs(scaled) + Fraction(1, 2)) * (-1 if scaled < 0 else 1)
        return min(max(round(scaled) if end.half_even else half_away, end.low), end.high)

    totals = sums * (1 << end.lift) + bias.astype(object).reshape(-1, 1, 1)
    return np.array([finish(total) for total in totals.flat], np.int64).reshape(sums.shape)


def check(kernel: type, x: np.ndarray, weights: np.ndarray, bias: np.ndarray, walk: Walk, end: Epilogue) -> None:
    """Run a kernel with the narrowest sums that are safe, and with the wide ones."""
    code = np.dtype(np.int8 if end.high < 2**7 else np.int16 if end.high < 2**15 else np.int32)
    wanted = finished(summed(x, weights, walk), bias, end)
    largest = int(np.abs(weights.astype(np.int64)).sum(axis=1).max()) * -np.iinfo(x.dtype).min
    kinds = [np.int64] if largest >= 2**31 else [np.int32, np.int64]
    assert kernel.accepts(walk, weights)
    for kind in kinds:
        job = kernel(walk, weights, bias, end, code, np.dtype(kind))
        got = job.run(x)
        assert got.dtype == code
        np.testing.assert_array_equal(got, wanted)
        np.testing.assert_array_equal(job.run(x), got)


@st.composite
def jobs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, Walk, Epilogue]:
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    groups, window, stride, dilation = draw(st.sampled_from([1, 1, 2, 3])), draw(pair), draw(pair), draw(pair)
    pad = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    channels, outputs = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 6))
    size = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    reach = [s + 2 * p - d * (k - 1) - 1 for s, p, d, k in zip(size, pad, dilation, window, strict=True)]
    assume(min(reach) >= 0)
    out = tuple(r // s + 1 for r, s in zip(reach, stride, strict=True))
    walk = Walk(groups, (channels, *size), (outputs, *out), window, stride, pad, dilation)
    bits = draw(st.integers(1, 32))
    end = Epilogue(
        lift=draw(st.integers(0, 10)),
        shift=draw(st.integers(-32, 45)),
        low=-(1 << (bits - 1)),
        high=(1 << (bits - 1)) - 1,
        half_even=draw(st.booleans()),
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = codes(rng, (draw(st.integers(1, 3)), channels, *size), draw(st.sampled_from([np.int8, np.int16])), draw)
    terms = channels // groups * window[0] * window[1]
    weights = codes(rng, (outputs, terms), draw(st.sampled_from([np.int8, np.int16])), draw)
    bias = rng.integers(-(2**40), 2**40, outputs)
    return x, weights, bias, walk, end


def codes(rng: np.random.Generator, shape: tuple[int, ...], kind: type, draw: st.DrawFn) -> np.ndarray:
    ends = np.iinfo(kind)
    if draw(st.booleans()):
        return np.full(shape, ends.min, kind)
    return rng.integers(ends.min, ends.max, shape, kind, endpoint=True)


@pytest.mark.parametrize("kernel", KERNELS)
@given(jobs())
def test_any_walk_gives_the_exact_sums(kernel, job) -> None:
    x, weights, bias, walk, end = job
    check(kernel, x, weights, bias, walk, end)


def flat(terms: int, outputs: int) -> Walk:
    """The walk of an inner product."""
    return Walk(1, (terms, 1, 1), (outputs, 1, 1), (1, 1), (1, 1), (0, 0), (1, 1))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("outputs", [1, 3, 4, 5, 8])
@pytest.mark.parametrize("terms", [1, 2, 31, 32, 33, 200])
@pytest.mark.parametrize("shift", [0, 16, 31])
def test_the_least_codes_everywhere(kernel, outputs: int, terms: int, shift: int) -> None:
    """Every product has the greatest size there is, 2**30, and every sum is the largest one."""
    x = np.full((2, terms, 1, 1), LEAST, np.int16)
    weights = np.full((outputs, terms), LEAST, np.int16)
    end = Epilogue(0, shift, -(2**31), 2**31 - 1, False)
    check(kernel, x, weights, np.zeros(outputs, np.int64), flat(terms, outputs), end)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("sign", [-1, 1])
def test_sums_at_the_very_end_of_int32(kernel, sign: int) -> None:
    """``sum|w| * max|x|`` is 2**31 - 2**15, the largest that may still be summed in 32 bits; one more may not."""
    row = np.array([[sign * GREATEST, sign * GREATEST, sign]], np.int16)
    x = np.full((1, 3, 1, 1), LEAST, np.int16)
    end = Epilogue(0, 0, -(2**31), 2**31 - 1, False)
    assert np.abs(row.astype(int)).sum() * 2**15 == 2**31 - 2**15
    job = kernel(flat(3, 1), row, np.zeros(1, np.int64), end, np.dtype(np.int32), np.dtype(np.int32))
    assert job.run(x).item() == -sign * (2**31 - 2**15)
    row[0, 2] *= 2
    check(kernel, x, row, np.zeros(1, np.int64), flat(3, 1), end)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_bias_may_be_far_larger_than_the_sums(kernel) -> None:
    bias = np.array([2**61, -(2**61), 2**61 - 1], np.int64)
    x, weights = np.full((1, 2, 1, 1), -1, np.int8), np.ones((3, 2), np.int8)
    check(kernel, x, weights, bias, flat(2, 3), Epilogue(3, 62, -128, 127, False))
    check(kernel, x, weights, bias, flat(2, 3), Epilogue(3, 60, -128, 127, True))


def test_the_first_kernel_that_accepts_is_chosen() -> None:
    assert choose(flat(1, 1), np.ones((1, 1), np.int8)) is KERNELS[0]


@pytest.mark.parametrize("kernel", KERNELS)
def test_pictures_may_lie_in_memory_as_they_like(kernel) -> None:
    rng = np.random.default_rng(3)
    walk = Walk(1, (2, 4, 5), (3, 3, 4), (2, 2), (1, 1), (0, 0), (1, 1))
    x = rng.integers(-128, 127, (5, 4, 2, 3), np.int8).transpose(3, 2, 1, 0)
    weights = rng.integers(-128, 127, (8, 3), np.int8).T
    check(kernel, x, weights, rng.integers(-99, 99, 3), walk, Epilogue(0, 5, -128, 127, False))


def test_windows_gathered_in_several_goes_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    walk = mac.Walk(2, (4, 7, 6), (6, 7, 6), (3, 3), (1, 1), (1, 1), (1, 1))
    weights = rng.integers(-9, 10, (6, 18)).astype(np.int8)
    x = rng.integers(-128, 128, (2, 4, 7, 6)).astype(np.int8)
    end = mac.Epilogue(0, 3, -128, 127, half_even=False)
    bias = np.arange(6, dtype=np.int64)
    results, sums = [], []
    for scratch in (mac.SCRATCH, 100, 1):
        monkeypatch.setattr(mac, "SCRATCH", scratch)
        results.append(mac.PlainMac(walk, weights, bias, end, np.dtype(np.int8), np.dtype(np.int32)).run(x))
        sums.append(ShiftAccumulate(walk, weights).run(x))
    for found in (results, sums):
        np.testing.assert_array_equal(found[1], found[0])
        np.testing.assert_array_equal(found[2], found[0])
