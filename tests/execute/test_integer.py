"""The integer executor gives the bits of the simulating one, in every net."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.errors import ModelError
from ristretto.execute import IntegerExecutor, SimulateExecutor
from ristretto.execute.integer_mac import EXACT_BITS, IntegerMacStep, Sums, integer_step
from ristretto.execute.integer_shift import shift_step
from ristretto.execute.onnx_segment import OnnxStep
from ristretto.execute.reference import ReferenceStep
from ristretto.execute.simulate import QuantizedStep
from ristretto.execute.trim_step import TrimStep, in_codes, in_real_units
from ristretto.execute.values import Coded, State, real
from ristretto.formats import EMULATIONS, HALF_EVEN, Arithmetic, FixedPoint, PowerOfTwo
from ristretto.formats import EXACT as DEFAULT
from ristretto.layers import Concat, Convolution, InnerProduct, Input, Pooling, ReLU
from ristretto.net import Layer, LayerQuant, Net, Phase
from tests.execute.nets import formats, nets, other_quants, partial_quants, values, whole_quants

ROUNDINGS = st.sampled_from((DEFAULT, HALF_EVEN))


def check_same_bits(net: Net, batch: dict[str, np.ndarray], arithmetic: Arithmetic) -> None:
    runs = [
        kind(net, {}, keep=values(net), arithmetic=arithmetic).run(batch)
        for kind in (SimulateExecutor, IntegerExecutor)
    ]
    for simulated, integer in ((runs[0].kept, runs[1].kept), (runs[0].outputs, runs[1].outputs)):
        assert simulated.keys() == integer.keys()
        for name, value in simulated.items():
            assert value.dtype == integer[name].dtype == np.float32
            np.testing.assert_array_equal(integer[name].view(np.int32), value.view(np.int32), err_msg=name)


@given(nets(), ROUNDINGS)
@settings(max_examples=150)
def test_narrow_words_give_the_same_bits(job, arithmetic: Arithmetic) -> None:
    check_same_bits(*job, arithmetic)


@given(nets(quants=whole_quants(32)), ROUNDINGS)
def test_wide_words_give_the_same_bits(job, arithmetic: Arithmetic) -> None:
    check_same_bits(*job, arithmetic)


@given(nets(quants=partial_quants(32)), ROUNDINGS)
def test_places_left_in_float_give_the_same_bits(job, arithmetic: Arithmetic) -> None:
    check_same_bits(*job, arithmetic)


@given(nets(quants=other_quants()), st.sampled_from((DEFAULT, *EMULATIONS.values())))
@settings(max_examples=150)
def test_other_formats_give_the_same_bits(job, arithmetic: Arithmetic) -> None:
    check_same_bits(*job, arithmetic)


@given(
    st.lists(st.integers(-128, 127), min_size=1, max_size=6), st.integers(-8, 8), st.integers(-9, 3), st.integers(-4, 9)
)
def test_power_of_two_weights_shift_exactly(codes: list[int], fl_in: int, exp_min: int, fl_out: int) -> None:
    """Each product as a fraction, summed, the float bias added, rounded once."""
    layer_in, layer_out, params = FixedPoint(8, fl_in), FixedPoint(16, fl_out), PowerOfTwo(exp_min, exp_min + 7)
    exponents = [exp_min + i % 8 for i in range(len(codes))]
    weights = np.float32([(-1) ** i * 2.0**e for i, e in enumerate(exponents)])
    x = layer_in.decode(np.array(codes))
    bias = np.float32([0.3])
    quant = LayerQuant(layer_in, layer_out, params)
    net = single(quant, weights[None], bias, (1, len(codes)))
    layer = net["ip"]
    assert shift_step(layer, (1, len(codes)), DEFAULT) is not None
    total = sum(Fraction(float(a)) * Fraction(float(w)) for a, w in zip(x, weights, strict=True))
    scaled = (total + Fraction(float(bias[0]))) * Fraction(2) ** fl_out
    size = math.floor(abs(scaled) + Fraction(1, 2))
    code = min(max(-size if scaled < 0 else size, -(2**15)), 2**15 - 1)
    run = IntegerExecutor(net, {}).run({"data": x[None]})
    assert run.outputs["ip"].tolist() == [[math.ldexp(code, -fl_out)]]


def single(quant: LayerQuant | None, weights: np.ndarray, bias: np.ndarray, shape: tuple[int, ...]) -> Net:
    """The net of one inner product."""
    layers = (
        Layer("data", Input((shape,)), (), ("data",)),
        Layer("ip", InnerProduct(len(weights)), ("data",), ("ip",), (weights, bias), quant=quant),
    )
    return Net("single", layers).for_phase(Phase.TEST)


def kinds(net: Net) -> list[type]:
    return [type(step) for step in IntegerExecutor(net, {}).steps]


WEIGHTS, BIAS = np.float32([[1, -2], [0.5, 3]]), np.float32([0.25, -4])


@pytest.mark.parametrize(
    ("places", "steps"),
    [
        ((FixedPoint(8, 4), FixedPoint(8, 4), FixedPoint(8, 4)), [IntegerMacStep]),
        ((FixedPoint(16, 9), FixedPoint(32, 16), FixedPoint(16, 9)), [IntegerMacStep]),
        ((FixedPoint(17, 4), FixedPoint(8, 4), FixedPoint(8, 4)), [QuantizedStep]),
        ((FixedPoint(8, 4), FixedPoint(8, 4), FixedPoint(31, 16)), [QuantizedStep]),
        ((FixedPoint(8, 4), FixedPoint(8, 4), FixedPoint(32, 16)), [TrimStep, OnnxStep, TrimStep]),
        ((FixedPoint(32, 16), FixedPoint(8, 4), FixedPoint(8, 4)), [TrimStep, OnnxStep, TrimStep]),
        ((FixedPoint(8, 90), FixedPoint(8, 4), FixedPoint(8, 4)), [QuantizedStep]),
        ((None, FixedPoint(8, 4), FixedPoint(8, 4)), [OnnxStep, TrimStep]),
        ((FixedPoint(8, 4), None, FixedPoint(8, 4)), [TrimStep, OnnxStep]),
        ((FixedPoint(8, 4), FixedPoint(8, 4), None), [TrimStep, OnnxStep, TrimStep]),
        ((None, None, FixedPoint(8, 4)), [OnnxStep]),
        (None, [OnnxStep]),
    ],
)
def test_the_formats_decide_what_runs(places: tuple[FixedPoint | None, ...] | None, steps: list[type]) -> None:
    """That the properties above compare two ways of computing, and not one with itself."""
    net = single(LayerQuant(*places) if places else None, WEIGHTS, BIAS, (3, 2))
    assert kinds(net) == steps
    check_same_bits(net, {"data": np.float32([[1, 2], [3, 4], [-0.5, 7.1]])}, DEFAULT)


def test_layers_between_run_on_codes() -> None:
    quant = LayerQuant(FixedPoint(8, 4), FixedPoint(8, 3), FixedPoint(8, 5))
    conv = (np.ones((2, 1, 1, 1), np.float32), np.zeros(2, np.float32))
    layers = (
        Layer("data", Input(((1, 1, 4, 4),)), (), ("data",)),
        Layer("conv", Convolution(2, (1, 1)), ("data",), ("conv",), conv, quant=quant),
        Layer("relu", ReLU(), ("conv",), ("conv",)),
        Layer("pool", Pooling("MAX", (2, 2), (2, 2)), ("conv",), ("pool",)),
        Layer("join", Concat(), ("pool", "pool"), ("join",)),
        Layer("mean", Pooling("AVE", (2, 2)), ("join",), ("mean",)),
    )
    executor = IntegerExecutor(Net("net", layers).for_phase(Phase.TEST), {})
    assert [type(step) for step in executor.steps] == [IntegerMacStep, *[ReferenceStep] * 4]
    state = State({"data": np.float32(np.arange(16).reshape(1, 1, 4, 4) - 8)})
    for step in executor.steps:
        step.run(state)
    coded = {blob for blob, value in state.blobs.items() if isinstance(value, Coded)}
    assert coded == {"data", "conv", "pool", "join"}
    assert state.blobs["join"].fmt == FixedPoint(8, 3)
    assert state.blobs["join"].codes.dtype == np.int8


@given(
    st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=40),
    st.integers(-(2**15), 2**15 - 1),
    st.integers(-12, 24),
    st.integers(-60, 60),
    ROUNDINGS,
)
def test_16_bits_are_summed_exactly(
    weights: list[int], bias: int, fl_in: int, fl_out: int, arithmetic: Arithmetic
) -> None:
    """The sum of the largest inputs, as a fraction, rounded once."""
    params, layer_in, layer_out = FixedPoint(16, 3), FixedPoint(16, fl_in), FixedPoint(32, fl_out)
    net = single(
        LayerQuant(layer_in, layer_out, params),
        params.decode(np.array([weights])),
        params.decode(np.array([bias])),
        (1, len(weights)),
    )
    x = layer_in.decode(np.full((1, len(weights)), layer_in.low_code))
    total = Fraction(layer_in.low) * sum(Fraction(w, 8) for w in weights) + Fraction(bias, 8)
    scaled = min(max(total * Fraction(2) ** fl_out, layer_out.low_code), layer_out.high_code)
    away = int(abs(scaled) + Fraction(1, 2)) * (-1 if scaled < 0 else 1)
    code = round(scaled) if arithmetic.half_even else away
    got = IntegerExecutor(net, {}, arithmetic=arithmetic).run({"data": x}).outputs["ip"]
    assert got.tolist() == [[np.float32(float(code * Fraction(2) ** -fl_out))]]


@pytest.mark.parametrize(
    ("weight", "bias", "fl_in", "exact"),
    [
        (2**15, 0, 0, True),
        (2**15, 0, -22, True),
        (2**15, 0, -23, False),
        (0, 2**15 - 1, 38, True),
        (0, -(2**15), 38, False),
        (0, 0, 96, True),
        (0, 0, -96, True),
        (1, 2**15 - 1, 38, True),
    ],
)
def test_sums_are_exact_below_2_to_the_53(weight: int, bias: int, fl_in: int, exact: bool) -> None:
    """``|w| * 2**15 * 2**-fl_in + |b| * 2**fl_in``: what float64 holds, so does the accumulator; what it does not..."""
    rows, biases = np.array([[-weight]], np.int16), np.array([bias], np.int16)
    sums = Sums.plan(rows, biases, FixedPoint(16, fl_in), FixedPoint(16, 0), FixedPoint(16, 0))
    assert (sums is not None) is exact
    total = (weight << 15 << max(-fl_in, 0)) + (abs(bias) << max(fl_in, 0))
    assert (total < 2**EXACT_BITS) is exact


def test_beyond_float64_both_round_alike() -> None:
    """A product and a bias that lie 60 bits apart: an exact sum and a float64 sum fall on two sides of a tie."""
    quant = LayerQuant(FixedPoint(8, 60), FixedPoint(16, -1), FixedPoint(8, 0))
    net = single(quant, np.float32([[-1.0]]), np.float32([1.0]), (1, 1))
    assert kinds(net) == [QuantizedStep]
    check_same_bits(net, {"data": np.float32([[2.0**-60]])}, DEFAULT)
    exact = Fraction(1) - Fraction(1, 2**60)
    assert exact / 2 < Fraction(1, 2)
    assert IntegerExecutor(net, {}).run({"data": np.float32([[2.0**-60]])}).outputs["ip"].item() == 2


def test_int32_is_taken_where_every_sum_fits() -> None:
    quant = LayerQuant(FixedPoint(16, 0), FixedPoint(16, 0), FixedPoint(16, 0))
    for weights, kind in (([32767, 32767, 1], np.int32), ([32767, 32767, 2], np.int64)):
        layer = single(quant, np.float32([weights]), np.float32([0]), (1, 3))["ip"]
        step = integer_step(layer, (1, 3), DEFAULT)
        assert step.sum_type == kind
        x = np.float32([[-32768] * 3])
        check_same_bits(single(quant, np.float32([weights]), np.float32([0]), (1, 3)), {"data": x}, DEFAULT)


@given(formats(16), st.one_of(formats(32)), st.integers(0, 99), ROUNDINGS)
def test_codes_move_to_another_format_as_numbers_do(
    one: FixedPoint, other: FixedPoint, seed: int, arithmetic: Arithmetic
) -> None:
    codes = np.random.default_rng(seed).integers(one.low_code, one.high_code, (3, 5), one.code_type, endpoint=True)
    value = Coded(codes, one)
    moved = in_codes(value, other, arithmetic)
    assert isinstance(moved, Coded) is (other.bw <= 16)
    np.testing.assert_array_equal(real(moved), in_real_units(value, other, arithmetic))
    np.testing.assert_array_equal(real(moved), other.trim(one.decode(codes), arithmetic))


def test_a_number_without_a_code_is_named() -> None:
    quant = LayerQuant(FixedPoint(8, 4), FixedPoint(8, 4), FixedPoint(8, 4))
    batch = {"data": np.float32([[np.nan, 1]])}
    net = single(quant, WEIGHTS, BIAS, (1, 2))
    with pytest.raises(ModelError, match="layer 'ip': blob 'data': NaN has no code"):
        IntegerExecutor(net, {}).run(batch)
    with pytest.raises(ModelError, match="layer 'ip': its weights: NaN has no code"):
        IntegerExecutor(single(quant, np.float32([[np.nan, 1]]), np.float32([0]), (1, 2)), {})
    assert np.isnan(SimulateExecutor(net, {}).run(batch).outputs["ip"]).all()


@pytest.mark.parametrize(
    ("weight", "bias", "place"), [(np.nan, 0, "its weights"), (1, np.nan, "blob 'ip'")], ids=["weight", "bias"]
)
def test_a_number_without_a_code_is_named_beside_powers_of_two(weight: float, bias: float, place: str) -> None:
    quant = LayerQuant(FixedPoint(8, 4), FixedPoint(8, 4), PowerOfTwo(-8, -1))
    net = single(quant, np.float32([[weight, 1]]), np.float32([bias]), (1, 2))
    with pytest.raises(ModelError, match=f"layer 'ip': {place}: NaN has no code"):
        IntegerExecutor(net, {}).run({"data": np.float32([[1, 1]])})


def test_infinite_numbers_saturate() -> None:
    quant = LayerQuant(FixedPoint(8, 4), FixedPoint(8, 4), FixedPoint(8, 4))
    net = single(quant, WEIGHTS, BIAS, (1, 2))
    check_same_bits(net, {"data": np.float32([[np.inf, -np.inf]])}, DEFAULT)
