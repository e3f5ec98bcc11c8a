"""One quantized layer on codes against Python's integers, up to the ends of every accumulator."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ristretto.execute import IntegerExecutor
from ristretto.execute.compiled import ProgramStep, depthwise, multiplication
from ristretto.execute.compiled.accumulator import Accumulator, Walk, in_short_sums
from ristretto.execute.exact import EXACT_IN_FLOAT64
from ristretto.formats import EXACT, HALF_EVEN, Arithmetic, FixedPoint, PowerOfTwo
from ristretto.kernels.cpu import TIER
from ristretto.kernels.tile import Operand
from ristretto.layers import Clip, Convolution, Deconvolution, InnerProduct, Input, ReLU, ReLU6, Reshape
from ristretto.net import Layer, LayerQuant, Net, Op, Phase, Shape
from tests.execute.exact import channelwise, fractions, summed, trimmed

LEAST, GREATEST = -(2**15), 2**15 - 1
MOST_PRODUCTS = 60_000
"""Of one example: Python's integers are slow."""


@dataclass(frozen=True, eq=False)
class Job:
    """A layer, and what stands between it and the next one.

    Parameters
    ----------
    op : Op
    layer_in, layer_out : FixedPoint
    params : FixedPoint or PowerOfTwo
    x, weights : integer arrays, in codes; weights that are powers of two in steps of the least one
    bias : integer array, in codes; float32 in real units beside powers of two
    clamp : Op or None
        In place, behind the layer.
    then : FixedPoint or None
        What the next layer trims the blob to.
    arithmetic : Arithmetic
    behind_relu : bool
        Whether a ReLU stands before the layer: then no input is negative, and all that knows it may make use of it.
    """

    op: Op
    layer_in: FixedPoint
    layer_out: FixedPoint
    params: FixedPoint | PowerOfTwo
    x: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    clamp: Op | None = None
    then: FixedPoint | None = None
    arithmetic: Arithmetic = EXACT
    behind_relu: bool = False

    @property
    def params_fl(self) -> int:
        """The fractional length of the weights."""
        return self.params.fl if isinstance(self.params, FixedPoint) else -self.params.exp_min

    @property
    def net(self) -> Net:
        """The net, whose last output is the blob as the next layer leaves it."""
        weights = np.ldexp(self.weights.astype(np.float32), -self.params_fl)
        bias = self.bias if self.bias.dtype == np.float32 else np.ldexp(self.bias.astype(np.float32), -self.params_fl)
        quant = LayerQuant(self.layer_in, self.layer_out, self.params)
        (top,) = self.op.infer([self.x.shape])
        layers = [Layer("data", Input((self.x.shape,)), (), ("data",))]
        if self.behind_relu:
            layers.append(Layer("before", ReLU(), ("data",), ("data",)))
        layers.append(Layer("it", self.op, ("data",), ("top",), (weights, bias), quant=quant))
        if self.clamp:
            layers.append(Layer("clamp", self.clamp, ("top",), ("top",)))
        if self.then:
            one = FixedPoint(8, 0)
            reader = Convolution(1, (1, 1)) if len(top) == 4 else InnerProduct(1)
            blobs = tuple(np.ones(shape, np.float32) for shape in reader.blob_shapes([top]))
            layers.append(Layer("next", reader, ("top",), ("next",), blobs, quant=LayerQuant(self.then, one, one)))
            # No program runs it: it sees what the next layer has left of the blob.
            layers.append(Layer("seen", Reshape(dims=top), ("top",), ("z",)))
        return Net("job", tuple(layers)).for_phase(Phase.TEST)

    @property
    def batch(self) -> dict[str, np.ndarray]:
        """The bottom, in real units."""
        return {"data": self.layer_in.decode(self.x)}

    def wanted(self) -> np.ndarray:
        """Give the last output, as fractions."""
        x = np.maximum(self.x, 0) if self.behind_relu else self.x
        sums = summed(self.op, x, self.weights) * Fraction(2) ** -(self.params_fl + self.layer_in.fl)
        bias = channelwise(fractions(self.batch_of_bias()), sums.shape)
        if isinstance(self.params, PowerOfTwo):
            # A bias without a format is added in float64, where both summands are exact.
            y = fractions(sums.astype(np.float64) + bias.astype(np.float64))
        else:
            y = sums + bias
        y = trimmed(y, self.layer_out, self.arithmetic)
        if self.clamp:
            low, high = (0, 6) if isinstance(self.clamp, ReLU6) else (0, math.inf)
            if isinstance(self.clamp, Clip):
                low, high = (float(np.float32(end)) for end in (self.clamp.low, self.clamp.high))
            y = fractions(np.clip(y.astype(np.float64), low, high))
        return trimmed(y, self.then, self.arithmetic) if self.then else y

    def batch_of_bias(self) -> np.ndarray:
        """Give the bias in real units, float64."""
        if self.bias.dtype == np.float32:
            return self.bias.astype(np.float64)
        return np.ldexp(self.bias.astype(np.float64), -self.params_fl)

    @property
    def is_exact(self) -> bool:
        """Whether float64 holds every sum that these formats allow for."""
        spread = self.weights.transpose(1, 0, 2, 3) if isinstance(self.op, Deconvolution) else self.weights
        terms = np.abs(spread.astype(np.int64)).reshape(spread.shape[0], -1).sum(axis=1)
        largest = int(terms.max()) * -self.layer_in.low_code
        if isinstance(self.params, FixedPoint):
            largest <<= max(-self.layer_in.fl, 0)
            largest += int(np.abs(self.bias.astype(np.int64)).max()) << max(self.layer_in.fl, 0)
        return largest < EXACT_IN_FLOAT64

    def check(self, threads: int = 1) -> None:
        """Run it on codes."""
        executor = IntegerExecutor(self.net, {}, arithmetic=self.arithmetic, threads=threads)
        assert isinstance(executor.steps[0], ProgramStep)
        outputs = executor.run(self.batch).outputs
        got = outputs["z" if self.then else "top"]
        np.testing.assert_array_equal(fractions(got), self.wanted())


def widths() -> st.SearchStrategy[int]:
    return st.one_of(st.integers(1, 16), st.sampled_from((4, 8, 9, 16)))


def lengths() -> st.SearchStrategy[int]:
    """Fractional lengths, some far outside of the word."""
    return st.one_of(st.integers(-4, 12), st.integers(-20, 40))


@st.composite
def numbers(draw: st.DrawFn, rng: np.random.Generator, fmt: FixedPoint, shape: Shape) -> np.ndarray:
    """Give codes: any, all the least, all the greatest, or few bits of them."""
    kind = draw(st.sampled_from(("any", "any", "least", "greatest", "ends", "small")))
    low, high = fmt.low_code, fmt.high_code
    if kind == "any":
        return rng.integers(low, high, shape, endpoint=True)
    if kind == "ends":
        return rng.choice((low, high), shape)
    if kind == "small":
        return rng.integers(max(low, -3), min(high, 3), shape, endpoint=True)
    return np.full(shape, low if kind == "least" else high)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Op, Shape]:
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, stride, dilation = draw(pair), draw(pair), draw(pair)
    pad = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    if draw(st.booleans()):
        group = draw(st.sampled_from((1, 1, 2, 3)))
        channels, outputs = (group * draw(st.sampled_from((1, 2, 3, 5, 9, 16))) for _ in range(2))
    else:
        group = channels = draw(st.sampled_from((2, 3, 8, 16, 17, 32, 33)))
        outputs = channels * draw(st.sampled_from((1, 1, 1, 2)))
    # Lines of many pixels need several tiles, of few pixels the smallest ones.
    size = draw(st.tuples(st.integers(1, 6), st.one_of(st.integers(1, 6), st.integers(7, 33))))
    size = tuple(max(s, d * (k - 1) + 1 - 2 * p) for s, d, k, p in zip(size, dilation, kernel, pad, strict=True))
    return Convolution(outputs, kernel, stride, pad, dilation, group), (draw(st.integers(1, 3)), channels, *size)


@st.composite
def deconvolutions(draw: st.DrawFn) -> tuple[Op, Shape]:
    group = draw(st.sampled_from((1, 1, 2, 5)))
    channels, outputs = (group * draw(st.sampled_from((1, 2, 3, 8))) for _ in range(2))
    size = draw(st.tuples(st.integers(1, 4), st.integers(1, 8)))
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride, dilation = (draw(st.tuples(st.integers(1, 3), st.integers(1, 3))) for _ in range(2))
    whole = [(s - 1) * t + d * (k - 1) + 1 for s, t, k, d in zip(size, stride, kernel, dilation, strict=True)]
    pad = draw(st.tuples(*(st.integers(0, min(3, (extent - 1) // 2)) for extent in whole)))
    return Deconvolution(outputs, kernel, stride, pad, dilation, group), (draw(st.integers(1, 3)), channels, *size)


@st.composite
def inner_products(draw: st.DrawFn) -> tuple[Op, Shape]:
    inputs = draw(st.one_of(st.tuples(st.integers(1, 70)), st.tuples(*[st.integers(1, 4)] * 3)))
    # Pictures make the lines here.
    return InnerProduct(draw(st.sampled_from((1, 2, 10, 16, 33, 48)))), (draw(st.integers(1, 30)), *inputs)


OPS = st.one_of(convolutions(), deconvolutions(), inner_products())
CLAMPS = st.sampled_from((None, ReLU(), ReLU(), ReLU6(), Clip(-1.0, 1.0), Clip(-0.3, 2.0), Clip(0.25, 0.25)))


@st.composite
def jobs(draw: st.DrawFn, ops: st.SearchStrategy[tuple[Op, Shape]] = OPS, powers: bool = False) -> Job:
    op, shape = draw(ops)
    (top,), (weights, bias) = op.infer([shape]), op.blob_shapes([shape])
    assume(math.prod(top) * math.prod(weights) // weights[isinstance(op, Deconvolution)] < MOST_PRODUCTS)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    layer_in, layer_out = (draw(st.builds(FixedPoint, widths(), lengths())) for _ in range(2))
    then = draw(st.one_of(st.none(), st.builds(FixedPoint, widths(), lengths())))
    clamp, arithmetic = draw(CLAMPS), draw(st.sampled_from((EXACT, HALF_EVEN)))
    if powers:
        least = draw(st.integers(-20, 4))
        params: FixedPoint | PowerOfTwo = PowerOfTwo(least, least + draw(st.integers(0, 14)))
        exponents = rng.integers(0, params.exp_max - least, weights, endpoint=True)
        w, b = rng.choice((-1, 1), weights) << exponents, rng.normal(0, 4, bias).astype(np.float32)
    else:
        params = draw(st.builds(FixedPoint, widths(), lengths()))
        w, b = draw(numbers(rng, params, weights)), draw(numbers(rng, params, bias))
    x = draw(numbers(rng, layer_in, shape))
    job = Job(op, layer_in, layer_out, params, x, w, b, clamp, then, arithmetic, draw(st.booleans()))
    assume(job.is_exact)
    return job


@given(jobs())
@settings(max_examples=300)
def test_any_layer_gives_the_exact_numbers(job: Job) -> None:
    job.check()


@given(jobs(powers=True))
def test_powers_of_two_give_the_exact_numbers(job: Job) -> None:
    job.check()


@given(jobs(inner_products()), st.integers(2, 3))
@settings(max_examples=30)
def test_threads_give_the_exact_numbers(job: Job, threads: int) -> None:
    job.check(threads)


def kind_of(accumulator: Accumulator) -> str:
    """Name its kind."""
    return accumulator.name


def noted(patch: pytest.MonkeyPatch, tell: Callable[[Accumulator], str] = kind_of) -> list[str]:
    """Give the list that what is told of accumulators is noted in from now on, as layers choose them."""
    told = []

    def noting(choose: Callable[..., Accumulator]) -> Callable[..., Accumulator]:
        def chosen(*arguments: object) -> Accumulator:
            accumulator = choose(*arguments)
            told.append(tell(accumulator))
            return accumulator

        return chosen

    for module, name in ((multiplication, "choose_accumulator"), (depthwise, "choose_depthwise")):
        patch.setattr(module, name, noting(getattr(module, name)))
    return told


@pytest.fixture
def accumulators(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of accumulators that layers choose, in order."""
    return noted(monkeypatch)


def filled(op: Op, shape: Shape, formats: tuple[FixedPoint, ...], weight: int, **others: object) -> Job:
    """Give a job in which every input has the least code and every weight is the same; the bias is the greatest."""
    layer_in, layer_out, params = formats
    weights, bias = op.blob_shapes([shape])
    x = np.full(shape, layer_in.low_code)
    return Job(op, layer_in, layer_out, params, x, np.full(weights, weight), np.full(bias, params.high_code), **others)


F8, F16 = FixedPoint(8, 0), FixedPoint(16, 0)
LAYERS = {
    "inner product": (InnerProduct(5), (3, 200)),
    "convolution": (Convolution(5, (3, 3), pad=(1, 1)), (2, 24, 4, 5)),
    "dilated": (Convolution(3, (3, 3), dilation=(2, 2)), (2, 24, 6, 7)),
    "groups": (Convolution(4, (3, 3), group=2), (2, 24, 4, 5)),
    "deconvolution": (Deconvolution(3, (4, 4), (2, 2), (1, 1)), (2, 24, 3, 3)),
}


@pytest.mark.parametrize(("op", "shape"), LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize(
    ("formats", "weight", "kind", "in_registers"),
    [
        # All products and sums are the greatest there are.
        ((F8, F8, F8), -128, "int32", "int32"),
        ((F16, F16, F8), -128, "int32", "int32"),
        ((F16, F16, F16), 700, "flushed", "flushed"),
        ((F16, FixedPoint(16, -18), F16), LEAST, "split", "joined"),
        ((F16, FixedPoint(16, -18), F16), GREATEST, "split", "joined"),
        # Shifts that do not reach beyond the lower half.
        ((F16, F16, F16), LEAST, "split", "split"),
        ((F16, F16, F16), GREATEST, "split", "split"),
        # The bias lies on a much finer grid, or the sums on a coarser one than it.
        ((FixedPoint(8, 25), FixedPoint(16, 3), F8), 127, "flushed", "flushed"),
        ((FixedPoint(8, -20), FixedPoint(8, -24), F8), -128, "flushed", "int32"),
        ((FixedPoint(16, 20), FixedPoint(16, 3), F16), LEAST, "split", "joined"),
        ((FixedPoint(16, -9), FixedPoint(16, -30), F16), LEAST, "split", "joined"),
    ],
)
@pytest.mark.parametrize("arithmetic", [EXACT, HALF_EVEN], ids=["half away", "half even"])
def test_every_kind_of_accumulator_is_exact(
    accumulators: list[str],
    op: Op,
    shape: Shape,
    formats: tuple[FixedPoint, ...],
    weight: int,
    kind: str,
    in_registers: str,
    arithmetic: Arithmetic,
) -> None:
    job = filled(op, shape, formats, weight, arithmetic=arithmetic)
    job.check()
    # In registers, halves go away from zero.
    assert set(accumulators) == {kind if arithmetic.half_even else in_registers}
    rng = np.random.default_rng(3)
    low, high = job.layer_in.low_code, job.layer_in.high_code
    job.x[...] = rng.integers(low, high, shape, endpoint=True)
    job.weights[...] = np.where(rng.random(job.weights.shape) < 0.5, weight, -weight - 1)
    job.check()


@pytest.mark.parametrize("word", [0, 5, 23])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("weight", "more", "operand"),
    [
        # Inputs of 127, so many weights of one sign: 8 * 32 * 127 = 32512; with one that is 35, not 32, too much.
        (32, 34, Operand.BYTES_BY_FOUR),
        (32, 35, Operand.BYTES_BY_TWO),
        (64, 66, Operand.BYTES_BY_TWO),
        (64, 67, Operand.BYTES),
        (127, 127, Operand.BYTES),
    ],
)
def test_as_many_words_as_16_bits_hold_are_added_up_at_a_time(
    weight: int, more: int, operand: Operand, sign: int, word: int
) -> None:
    rows = np.full((9, 4 * 24), sign * weight)
    rows[4, 4 * word + 1] = sign * more
    walk = Walk(np.zeros(1, np.int64), np.arange(4 * 24)[None])
    chosen, filled_up = in_short_sums(rows, walk, 127)
    assert chosen is operand
    np.testing.assert_array_equal(filled_up.terms, walk.terms)
    # What is of both signs never all adds up.
    rows[:, ::2] *= -1
    assert in_short_sums(rows, walk, 127)[0].words >= operand.words


@pytest.mark.parametrize(
    ("numbers", "operand", "length"),
    [(60, Operand.BYTES_BY_FOUR, 64), (36, Operand.BYTES_BY_TWO, 40), (20, Operand.BYTES, 20)],
)
def test_a_run_is_filled_up_where_that_costs_little(numbers: int, operand: Operand, length: int) -> None:
    walk = Walk(np.array([0, 64]), np.arange(2 * numbers).reshape(2, -1))
    chosen, filled_up = in_short_sums(np.ones((1, 2 * numbers), np.int8), walk, 1)
    assert chosen is operand
    assert filled_up.terms.shape == (2, length)
    assert (filled_up.terms[:, numbers:] == -1).all()


@pytest.mark.parametrize(("op", "shape"), LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("weight", [-128, -64, -33, -32, 32, 33, 64, 127])
@pytest.mark.parametrize("formats", [(F8, FixedPoint(16, -7), F8), (FixedPoint(8, -20), FixedPoint(16, -27), F8)])
def test_sums_in_16_bits_are_exact(
    op: Op, shape: Shape, formats: tuple[FixedPoint, ...], weight: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All inputs the greatest, all weights alike: at, before and beyond the ends of 16 bits; in int32 and flushed."""
    chosen = []

    def noting(*arguments: object) -> object:
        found = in_short_sums(*arguments)
        chosen.append(found[0])
        return found

    monkeypatch.setattr(multiplication, "in_short_sums", noting)
    job = filled(op, shape, formats, weight, behind_relu=True)
    job.x[...] = job.layer_in.high_code
    job.check()
    size = abs(weight)
    expected = Operand.BYTES if size > 64 else Operand.BYTES_BY_TWO if size > 32 else Operand.BYTES_BY_FOUR
    # The other layers' runs are so short that groups of words would be zeros in large part.
    if TIER.short_dot8 and op in (LAYERS["inner product"][0], LAYERS["convolution"][0]):
        assert set(chosen) == {expected}
    assert bool(chosen) == bool(TIER.short_dot8)
    rng = np.random.default_rng(7)
    job.weights[...] = np.where(rng.random(job.weights.shape) < 0.5, weight, -weight - 1)
    job.check()


@pytest.mark.parametrize("kernel", [(3, 3), (2, 5), (1, 9), (2, 2)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("behind_relu", [False, True])
@pytest.mark.parametrize("layer_out", [FixedPoint(8, -7), FixedPoint(12, -3)])
def test_long_lines_of_whole_vectors_of_channels(
    kernel: tuple[int, int], stride: int, behind_relu: bool, layer_out: FixedPoint
) -> None:
    """Depthwise, in more pieces than one; windows of as many pairs of weights as 3x3, and of others."""
    op = Convolution(16, kernel, (1, stride), group=16)
    shape = (1, 16, kernel[0], 300 * stride)
    rng = np.random.default_rng(13)
    x, w, b = (rng.integers(-128, 127, size) for size in (shape, *op.blob_shapes([shape])))
    Job(op, F8, layer_out, F8, x, w, b, ReLU(), behind_relu=behind_relu).check()


@given(
    st.integers(-2, 2),
    st.integers(0, 20),
    st.sampled_from((-1, 1)),
    st.sampled_from((EXACT, HALF_EVEN)),
    st.integers(0, 99),
)
def test_sums_at_the_very_end_of_int32(over: int, shift: int, sign: int, arithmetic: Arithmetic, seed: int) -> None:
    """The greatest total with half a step is ``2**31 - 1``, or a little less or more: then int32 will not do."""
    total = 2**31 - 1 + over - ((1 << shift) >> 1)
    size, bias = divmod(total, 2**15)
    row = np.diff(np.minimum(size, [0, GREATEST, 2 * GREATEST, size]))[None] * -sign
    op, layer_out = InnerProduct(1), FixedPoint(16, -shift)
    with pytest.MonkeyPatch.context() as patch:
        chosen = noted(patch)
        for x in (np.full((1, 3), LEAST), np.random.default_rng(seed).integers(LEAST, GREATEST, (4, 3))):
            Job(op, F16, layer_out, F16, x, row, np.array([sign * bias]), arithmetic=arithmetic).check()
        assert (set(chosen) == {"int32"}) is (over <= 0)


@pytest.mark.parametrize(("last", "kind"), [(1, "int32"), (2, "split")])
@pytest.mark.parametrize("sign", [-1, 1])
def test_one_more_than_the_end_of_int32(accumulators: list[str], last: int, kind: str, sign: int) -> None:
    """``sum|w| * max|x|`` is ``2**31 - 2**15``, the largest that 32 bits hold; one more, and they do not."""
    row = np.array([[sign * GREATEST, sign * GREATEST, sign * last]])
    assert np.abs(row).sum() * 2**15 == 2**31 - 2**15 + (last - 1) * 2**15
    for fl_out in (0, -16):
        Job(InnerProduct(1), F16, FixedPoint(16, fl_out), F16, np.full((1, 3), LEAST), row, np.array([0])).check()
    # With the coarser output, half a step is added that does not fit.
    assert accumulators == [kind, "joined"]


@pytest.mark.parametrize(("terms", "kind"), [(2**17 - 1, "int32"), (2**17, "flushed")])
def test_eight_bits_fill_int32_too(accumulators: list[str], terms: int, kind: str) -> None:
    filled(InnerProduct(1), (2, terms), (F8, FixedPoint(16, 0), F8), -128).check()
    filled(InnerProduct(1), (2, terms), (F8, FixedPoint(16, 0), F8), 127).check()
    assert accumulators[0] == kind


@pytest.mark.parametrize("terms", [1, 2, 3, 31, 32, 33, 200])
@pytest.mark.parametrize("outputs", [1, 3, 16, 17])
@pytest.mark.parametrize("bits", [1, 8, 9, 16])
def test_the_least_codes_everywhere(outputs: int, terms: int, bits: int) -> None:
    fmt = FixedPoint(bits, 0)
    for fl_out in (0, -16, -31, 15):
        filled(InnerProduct(outputs), (2, terms), (fmt, FixedPoint(16, fl_out), fmt), fmt.low_code).check()


@pytest.mark.parametrize("first", [-40, 0, 12, 40])
@pytest.mark.parametrize("second", [-60, -32, -31, -17, -16, -15, -1, 0, 1, 15, 16, 31, 32, 56])
@pytest.mark.parametrize("arithmetic", [EXACT, HALF_EVEN], ids=["half away", "half even"])
def test_formats_may_lie_far_apart(first: int, second: int, arithmetic: Arithmetic) -> None:
    """Codes from one end to the other, then any shift to the next layer's codes."""
    params, x = FixedPoint(16, first + 8), np.arange(-128, 128).reshape(-1, 1)
    weights, bias = np.array([[257], [LEAST]]), np.array([3, -1])
    for bits in (1, 2, 8, 16):
        then = FixedPoint(bits, first + second if abs(first + second) <= 96 else second)
        Job(InnerProduct(2), F8, FixedPoint(16, first), params, x, weights, bias, None, then, arithmetic).check()
