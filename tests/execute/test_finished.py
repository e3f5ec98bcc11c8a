"""Sums that become codes in registers, ties and all, against Python's integers: in int32, and in two joined halves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.execute.compiled.accumulator import Accumulator
from ristretto.formats import HALF_EVEN, FixedPoint
from ristretto.kernels.cpu import TIER
from ristretto.layers import Convolution, InnerProduct, ReLU
from tests.execute.test_exact_sums import F8, F16, GREATEST, LEAST, Job, noted

MOST = 2**30


def where_finished(accumulator: Accumulator) -> str:
    """Name its kind; "stored" where sums do not become codes in registers."""
    return accumulator.name if accumulator.in_registers else "stored"


def kinds_of(*jobs: Job) -> list[str]:
    """Check jobs, and give the kind of each one's accumulator."""
    found = []
    for job in jobs:
        with pytest.MonkeyPatch.context() as patch:
            kinds = noted(patch, where_finished)
            job.check()
            found.append(kinds[0])
    return found


def shared_out(total: int) -> np.ndarray:
    """Give inputs of which three weigh the most and one weighs 1, so that their sum is the total."""
    most, rest = divmod(abs(total), GREATEST)
    parts = [min(max(most - GREATEST * i, 0), GREATEST) for i in range(3)]
    return np.array([[*parts, rest]]) * (1 if total > 0 else -1)


THEN = st.one_of(st.none(), st.tuples(st.integers(2, 16), st.integers(0, 3)))
"""What the next layer trims to: its bits, and its steps in one of this layer's, a power of two."""


@given(st.integers(9, 32), st.integers(-4, 4), st.integers(-1, 1), st.integers(LEAST, GREATEST), THEN)
@settings(max_examples=200)
def test_ties_of_halves(shift: int, half_steps: int, beside: int, bias: int, then: tuple[int, int] | None) -> None:
    """Totals of half steps of the output, of one more and of one less."""
    total = max(-2 * MOST, min((half_steps << (shift - 1)) + beside, 2 * MOST))
    weights = np.array([[GREATEST] * 3 + [1]])
    job = Job(InnerProduct(1), F16, FixedPoint(16, -shift), F16, shared_out(total - bias), weights, np.array([bias]))
    if then and then[0] > 8 and then[1] <= shift - 8:
        job = replace(job, then=FixedPoint(then[0], then[1] - shift))
    assert kinds_of(job) == ["joined"]


@given(
    st.sampled_from((8, 16)),
    st.integers(1, 7),
    st.integers(1, 9),
    st.integers(-5, 5),
    st.integers(-1, 1),
    st.integers(-128, 0),
    THEN,
)
@settings(max_examples=300)
def test_ties_beside_a_bias_that_is_finer_than_the_sums(
    bits: int, lift: int, more: int, half_steps: int, beside: int, bias: int, then: tuple[int, int] | None
) -> None:
    """``sum * 2**lift + bias`` at half steps of the output, and one beside: what the bias has more is not lost."""
    shift = lift + more
    total = (half_steps << (shift - 1)) + beside
    # The lowest bits of the total are those of the bias.
    bias += (total - bias) % (1 << lift)
    products = (total - bias) >> lift
    ones, rest = divmod(abs(products), 127)
    x = np.zeros((1, 130), int)
    x[0, :ones], x[0, -1] = 127, rest
    weights = np.full((1, 130), 1 if products > 0 else -1)
    layer_in, layer_out, params = (FixedPoint(bits, fl) for fl in (-lift, -shift, 0))
    job = Job(InnerProduct(1), layer_in, layer_out, params, x, weights, np.array([bias]))
    if then:
        job = replace(job, then=FixedPoint(then[0], then[1] - shift))
    (kind,) = kinds_of(job)
    # What the next layer has in more bits than this one, or in fewer, is stored otherwise.
    if not then or ((then[0] > 8) == (bits > 8) and then[1] <= more):
        assert kind == "int32"


@pytest.mark.parametrize("upper", [-128, -127, 0, 127])
@pytest.mark.parametrize("lower", [-128, -1, 0, 127])
@pytest.mark.parametrize("inputs", [510, 513])
@pytest.mark.parametrize("bias", [LEAST, GREATEST])
def test_up_to_the_ends_of_both_halves(upper: int, lower: int, inputs: int, bias: int) -> None:
    """``2**31`` is 512 times the largest half of a weight by the largest input."""
    weight = max(upper * 2**8 + lower, LEAST)
    rng = np.random.default_rng(inputs)
    weights, out = np.full((3, inputs), weight), FixedPoint(16, -18)
    pictures = (np.full((1, inputs), LEAST), np.full((1, inputs), GREATEST), rng.choice((LEAST, -1, 0), (2, inputs)))
    kinds = kinds_of(*(Job(InnerProduct(3), F16, out, F16, x, weights, np.full(3, bias)) for x in pictures))
    if inputs == 513 and min(upper, lower) == -128 and weight > LEAST:
        assert "joined" not in kinds
    elif min(abs(upper), abs(lower)) > 1 and inputs == 510:
        assert set(kinds) == {"joined"}


@pytest.mark.parametrize("kernel", [(3, 3), (2, 5), (1, 1), (5, 5)])
@pytest.mark.parametrize("vectors", [1, 3])
@pytest.mark.parametrize("clamp", [None, ReLU()])
@pytest.mark.parametrize("then", [None, FixedPoint(14, -15), FixedPoint(16, -18)])
def test_depthwise_in_halves(
    kernel: tuple[int, int], vectors: int, clamp: ReLU | None, then: FixedPoint | None
) -> None:
    """Whole vectors of channels, which are joined in registers; windows of as many pairs as 3x3, and of others."""
    channels = vectors * TIER.lanes
    op, shape = Convolution(channels, kernel, pad=(0, 1), group=channels), (2, channels, 6, 40)
    weights, bias = op.blob_shapes([shape])
    rng = np.random.default_rng(5)
    jobs = []
    for w in (rng.integers(LEAST, GREATEST, weights, endpoint=True), rng.choice((LEAST, GREATEST), weights)):
        b = rng.integers(LEAST, GREATEST, bias, endpoint=True)
        x = rng.integers(LEAST, GREATEST, shape, endpoint=True)
        w.reshape(channels, -1)[:, 0] = GREATEST
        jobs.append(Job(op, F16, FixedPoint(16, -17), F16, x, w, b, clamp, then))
    rounds_twice = then is not None and then.fl < -17
    assert set(kinds_of(*jobs)) == {"stored" if rounds_twice else "int32" if kernel == (1, 1) else "joined"}


@pytest.mark.parametrize("lift", [0, 3, 20])
@pytest.mark.parametrize("then", [None, FixedPoint(8, -6)])
def test_depthwise_beside_a_finer_bias(lift: int, then: FixedPoint | None) -> None:
    """Bytes; each channel by itself has ties or none."""
    channels = 2 * TIER.lanes
    op, shape = Convolution(channels, (3, 3), group=channels), (1, channels, 5, 9)
    weights, bias = op.blob_shapes([shape])
    rng = np.random.default_rng(6)
    x, w = rng.integers(-8, 8, shape), rng.integers(-8, 8, weights)
    b = np.where(rng.random(bias) < 0.5, 0, rng.integers(-128, 128, bias))
    then = replace(then, fl=then.fl - lift) if then else None
    job = Job(op, FixedPoint(8, -lift), FixedPoint(8, -lift - 7), F8, x, w, b, then=then)
    assert kinds_of(job) == ["int32"]


@pytest.mark.parametrize("shift", [8, 9, 39, 40])
def test_only_shifts_that_leave_one_of_up_to_31_bits(shift: int) -> None:
    weights, x = np.full((1, 4), GREATEST), np.full((1, 4), LEAST)
    job = Job(InnerProduct(1), FixedPoint(16, 20), FixedPoint(16, 20 - shift), F16, x, weights, np.zeros(1, int))
    even = Job(InnerProduct(1), F16, FixedPoint(16, -18), F16, x, weights, np.zeros(1, int), arithmetic=HALF_EVEN)
    assert kinds_of(job, even) == ["joined" if shift in (9, 39) else "stored", "stored"]


@pytest.mark.parametrize(("finer", "kind"), [(7, "int32"), (8, "stored")])
def test_bytes_are_shifted_to_the_left_by_no_more_than_their_offset(finer: int, kind: str) -> None:
    """All but zero saturate then."""
    x, weights = np.array([[0, 0], [1, 0], [127, 127], [-128, 0], [-1, 0]]), np.array([[127, 127]])
    then = FixedPoint(8, finer - 9)
    job = Job(InnerProduct(1), F8, FixedPoint(8, -9), F8, x, weights, np.zeros(1, int), then=then)
    assert kinds_of(job) == [kind if TIER.offset else "int32"]


@pytest.mark.parametrize("shift", [22, 23, 24, 25, 55, 56, 62, 72])
@pytest.mark.parametrize("bias", [-127, -64, 0, 127])
def test_bytes_at_long_shifts(shift: int, bias: int) -> None:
    """Half a step, and what a stored byte has more than its code, outgrow 32 bits, and then 64."""
    finer = min(shift, 23)
    layer_in, layer_out = FixedPoint(8, finer), FixedPoint(8, finer - shift)
    x, weights = np.array([[0] * 4, [5] * 4, [-128] * 4]), np.ones((1, 4), int)
    job = Job(InnerProduct(1), layer_in, layer_out, F8, x, weights, np.array([bias]))
    (kind,) = kinds_of(job)
    if shift < 24:
        assert kind == "int32"
    elif TIER.offset:
        assert kind == "stored"


@pytest.mark.parametrize(("inputs", "kind"), [(255, "joined"), (256, "stored")])
def test_half_a_step_must_fit_beside_the_upper_half(inputs: int, kind: str) -> None:
    """Half a step is ``2**38``, and so is the total of 256 products: together they are ``2**31`` upper halves."""
    x, weights = np.full((1, inputs), LEAST), np.full((1, inputs), LEAST)
    job = Job(InnerProduct(1), FixedPoint(16, 20), FixedPoint(16, -19), F16, x, weights, np.zeros(1, int))
    assert kinds_of(job) == [kind]


@pytest.mark.parametrize(("finer", "kind"), [(1, "joined"), (3, "stored")])
def test_halves_are_not_shifted_to_the_left_again_by_more_than_to_the_right(finer: int, kind: str) -> None:
    """The upper half of a total of nearly ``2**39`` is shifted by one bit to the right; three to the left lose some."""
    x, weights = np.full((1, 500), LEAST), np.full((1, 500), LEAST)
    then = FixedPoint(16, finer - 9)
    job = Job(InnerProduct(1), F16, FixedPoint(16, -9), F16, x, weights, np.zeros(1, int), then=then)
    assert kinds_of(job) == [kind]
