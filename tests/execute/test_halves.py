"""Sums of 16-bit codes by 16-bit weights in two halves, joined in 32 bits, against Python's integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.execute.compiled import depthwise, multiplication
from ristretto.execute.compiled.accumulator import Halves, in_halves
from ristretto.formats import HALF_EVEN, FixedPoint
from ristretto.kernels.cpu import TIER
from ristretto.layers import Convolution, InnerProduct, ReLU
from tests.execute.test_exact_sums import F16, GREATEST, LEAST, Job

MOST = 2**30


def noted(patch: pytest.MonkeyPatch) -> list[bool]:
    """Give the list in which it is noted from now on whether layers join halves that they could split sums in."""
    joined = []

    def noting(*arguments: object) -> Halves | None:
        found = in_halves(*arguments)
        joined.append(found is not None)
        return found

    for module in (multiplication, depthwise):
        patch.setattr(module, "in_halves", noting)
    return joined


def shared_out(total: int) -> np.ndarray:
    """Give inputs of which three weigh the most and one weighs 1, so that their sum is the total."""
    most, rest = divmod(abs(total), GREATEST)
    parts = [min(max(most - GREATEST * i, 0), GREATEST) for i in range(3)]
    return np.array([[*parts, rest]]) * (1 if total > 0 else -1)


@given(st.integers(9, 32), st.integers(-4, 4), st.integers(-1, 1), st.integers(-MOST, MOST))
@settings(max_examples=200)
def test_ties_and_their_neighbours(shift: int, half_steps: int, beside: int, bias: int) -> None:
    """Totals of half steps of the output, of one more and of one less; the bias is of both signs and any size."""
    total = max(-2 * MOST, min((half_steps << (shift - 1)) + beside, 2 * MOST))
    # The bias has the weights' format, so it is short: here it only moves what the products must come to.
    short = bias >> 15
    weights = np.array([[GREATEST] * 3 + [1]])
    with pytest.MonkeyPatch.context() as patch:
        joined = noted(patch)
        x = shared_out(total - short)
        Job(InnerProduct(1), F16, FixedPoint(16, -shift), F16, x, weights, np.array([short])).check()
    assert joined == [True]


@pytest.mark.parametrize("upper", [-128, -127, 0, 127])
@pytest.mark.parametrize("lower", [-128, -1, 0, 127])
@pytest.mark.parametrize("inputs", [505, 511, 512, 513, 520])
@pytest.mark.parametrize("bias", [LEAST, GREATEST])
def test_up_to_the_ends_of_both_halves(upper: int, lower: int, inputs: int, bias: int) -> None:
    """``2**31`` is 512 times the largest half of a weight by the largest input."""
    weight = max(upper * 2**8 + lower, LEAST)
    rng = np.random.default_rng(inputs)
    with pytest.MonkeyPatch.context() as patch:
        joined = noted(patch)
        for x in (np.full((1, inputs), LEAST), np.full((1, inputs), GREATEST), rng.choice((LEAST, -1, 0), (2, inputs))):
            weights = np.full((3, inputs), weight)
            Job(InnerProduct(3), F16, FixedPoint(16, -18), F16, x, weights, np.full(3, bias)).check()
    if inputs > 512 and min(upper, lower) == -128 and weight > LEAST:
        assert not any(joined)
    elif min(abs(upper), abs(lower)) > 1 and inputs < 511:
        assert all(joined)
        assert joined


@pytest.mark.parametrize("kernel", [(3, 3), (2, 5), (1, 1), (5, 5)])
@pytest.mark.parametrize("vectors", [1, 3])
@pytest.mark.parametrize("clamp", [None, ReLU()])
def test_depthwise(kernel: tuple[int, int], vectors: int, clamp: ReLU | None) -> None:
    """Whole vectors of channels, which are joined in registers; windows of as many pairs as 3x3, and of others."""
    channels = vectors * TIER.lanes
    op, shape = Convolution(channels, kernel, pad=(0, 1), group=channels), (2, channels, 6, 40)
    weights, bias = op.blob_shapes([shape])
    rng = np.random.default_rng(5)
    with pytest.MonkeyPatch.context() as patch:
        joined = noted(patch)
        for w in (rng.integers(LEAST, GREATEST, weights, endpoint=True), rng.choice((LEAST, GREATEST), weights)):
            b = rng.integers(LEAST, GREATEST, bias, endpoint=True)
            x = rng.integers(LEAST, GREATEST, shape, endpoint=True)
            w.reshape(channels, -1)[:, 0] = GREATEST
            Job(op, F16, FixedPoint(16, -17), F16, x, w, b, clamp).check()
    assert all(joined)
    assert bool(joined) == (kernel != (1, 1))


@pytest.mark.parametrize("shift", [8, 9, 39, 40])
def test_only_shifts_that_leave_one_of_up_to_31_bits(shift: int) -> None:
    row = np.full((1, 4), GREATEST)
    weights, x = np.full((1, 4), GREATEST), np.full((1, 4), LEAST)
    layer_in = FixedPoint(16, 20)
    with pytest.MonkeyPatch.context() as patch:
        joined = noted(patch)
        Job(InnerProduct(1), layer_in, FixedPoint(16, 20 - shift), F16, x, weights, np.zeros(1, int)).check()
        # Halves to even are joined in 64 bits.
        job = Job(InnerProduct(1), F16, FixedPoint(16, -18), F16, x, row, np.zeros(1, int), arithmetic=HALF_EVEN)
        job.check()
    assert joined == [shift in (9, 39)]
