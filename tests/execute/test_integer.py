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
from ristretto.execute.compiled import ProgramStep
from ristretto.execute.exact import EXACT_IN_FLOAT64
from ristretto.execute.simulate import QuantizedStep
from ristretto.execute.trim_step import TrimStep
from ristretto.formats import EMULATIONS, HALF_EVEN, Arithmetic, FixedPoint, Format, MiniFloat, PowerOfTwo
from ristretto.formats import EXACT as DEFAULT
from ristretto.layers import (
    LRN,
    Concat,
    Convolution,
    Deconvolution,
    Flatten,
    InnerProduct,
    Input,
    Permute,
    Pooling,
    ReLU,
    Sigmoid,
    Softmax,
)
from ristretto.net import Layer, LayerQuant, Net, Op, Phase
from tests.battery import check_bits
from tests.execute.nets import nets, other_quants, partial_quants, values, whole_quants

ROUNDINGS = st.sampled_from((DEFAULT, HALF_EVEN))


def check_same_bits(net: Net, batch: dict[str, np.ndarray], arithmetic: Arithmetic) -> None:
    """Once with every value kept, and once with outputs only: then more is fused."""
    simulated = SimulateExecutor(net, {}, keep=values(net), arithmetic=arithmetic).run(batch)
    for keep in (values(net), []):
        executor = IntegerExecutor(net, {}, keep=keep, arithmetic=arithmetic)
        try:
            run = executor.run(batch)
        except ModelError as error:
            assert error.message.endswith("NaN has no code")
            assert any(np.isnan(value).any() for value in simulated.kept.values())
            continue
        assert run.kept.keys() == set(keep)
        assert run.outputs.keys() == simulated.outputs.keys()
        for name, value in (run.kept | run.outputs).items():
            check_bits(value, (simulated.kept | simulated.outputs)[name])


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
    assert kinds(net) == [ProgramStep]
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
        ((FixedPoint(8, 4), FixedPoint(8, 4), FixedPoint(8, 4)), [ProgramStep]),
        ((FixedPoint(16, 9), FixedPoint(32, 16), FixedPoint(16, 9)), [QuantizedStep]),
        ((FixedPoint(17, 4), FixedPoint(8, 4), FixedPoint(8, 4)), [QuantizedStep]),
        ((FixedPoint(8, 4), FixedPoint(8, 4), FixedPoint(31, 16)), [QuantizedStep]),
        ((FixedPoint(8, 4), FixedPoint(8, 4), FixedPoint(32, 16)), [ProgramStep]),
        ((FixedPoint(32, 16), FixedPoint(8, 4), FixedPoint(8, 4)), [ProgramStep]),
        ((FixedPoint(8, 4), FixedPoint(8, 4), PowerOfTwo(-8, -1)), [ProgramStep]),
        ((FixedPoint(8, 4), FixedPoint(8, 4), PowerOfTwo(-12, 2)), [ProgramStep]),
        ((FixedPoint(8, 4), FixedPoint(8, 4), PowerOfTwo(-13, 2)), [QuantizedStep]),
        ((MiniFloat(4, 3), MiniFloat(4, 3), MiniFloat(4, 3)), [QuantizedStep]),
        ((MiniFloat(4, 3), None, None), [TrimStep, ProgramStep]),
        ((None, MiniFloat(4, 3), FixedPoint(8, 4)), [ProgramStep, TrimStep]),
        ((FixedPoint(8, 90), FixedPoint(8, 4), FixedPoint(8, 4)), [QuantizedStep]),
        ((None, FixedPoint(8, 4), FixedPoint(8, 4)), [ProgramStep]),
        ((FixedPoint(8, 4), None, FixedPoint(8, 4)), [ProgramStep]),
        ((FixedPoint(8, 4), FixedPoint(8, 4), None), [ProgramStep]),
        ((None, None, FixedPoint(8, 4)), [ProgramStep]),
        (None, [ProgramStep]),
    ],
)
def test_the_formats_decide_what_runs(places: tuple[Format | None, ...] | None, steps: list[type]) -> None:
    """That the properties above compare two ways of computing, and not one with itself."""
    net = single(LayerQuant(*places) if places else None, WEIGHTS, BIAS, (3, 2))
    assert kinds(net) == steps
    check_same_bits(net, {"data": np.float32([[1, 2], [3, 4], [-0.5, 7.1]])}, DEFAULT)


EIGHT = LayerQuant(FixedPoint(8, 4), FixedPoint(8, 3), FixedPoint(8, 5))
ONES = (np.ones((2, 2, 1, 1), np.float32), np.zeros(2, np.float32))


def conv(name: str, bottom: str, quant: LayerQuant | None = EIGHT) -> Layer:
    return Layer(name, Convolution(2, (1, 1)), (bottom,), (name,), ONES, quant=quant)


def net_of(*layers: Layer) -> Net:
    return Net("net", (Layer("data", Input(((3, 2, 4, 4),)), (), ("data",)), *layers)).for_phase(Phase.TEST)


def described(net: Net) -> list[str]:
    """Give what each step runs: of a program how many blobs it reads and writes, else the layer."""
    return [
        f"{','.join(step.inputs)} -> {','.join(sorted(step.outputs))}"
        if isinstance(step, ProgramStep)
        else step.layer.name
        for step in IntegerExecutor(net, {}).steps
    ]


def test_layers_with_a_form_run_in_one_program() -> None:
    net = net_of(
        conv("conv", "data"),
        Layer("relu", ReLU(), ("conv",), ("conv",)),
        Layer("pool", Pooling("MAX", (2, 2), (2, 2)), ("conv",), ("pool",)),
        Layer("join", Concat(), ("pool", "pool"), ("join",)),
        Layer("function", Sigmoid(), ("join",), ("function",)),
        Layer("mean", Pooling("AVE", (2, 2)), ("function",), ("mean",)),
        Layer("shares", Softmax(), ("mean",), ("shares",)),
        Layer("ip", InnerProduct(2), ("shares",), ("ip",), (np.ones((2, 4), np.float32), np.zeros(2, np.float32))),
        Layer("prob", Softmax(), ("ip",), ("prob",)),
    )
    assert described(net) == ["data -> prob"]


def test_what_no_program_runs_runs_behind_it() -> None:
    net = net_of(
        conv("a", "data"),
        Layer("turn", Permute((0, 1, 3, 2)), ("a",), ("turned",)),
        conv("b", "data"),
    )
    assert described(net) == ["data -> a,b", "turn"]


@pytest.mark.parametrize(
    ("later", "steps"),
    [
        # It reads what the other makes.
        (conv("b", "turned"), ["data -> a", "turn", "turned -> b"]),
        # It trims what the other reads.
        (conv("b", "a"), ["data -> a", "turn", "a -> a,b"]),
        # It changes what the other reads.
        (Layer("b", ReLU(), ("a",), ("a",)), ["data -> a", "turn", "a -> a"]),
        # It changes what the other makes.
        (Layer("b", ReLU(), ("turned",), ("turned",)), ["data -> a", "turn", "turned -> turned"]),
    ],
    ids=["reads what is made", "trims what is read", "changes what is read", "changes what is made"],
)
def test_what_is_in_the_way_of_a_program_ends_it(later: Layer, steps: list[str]) -> None:
    net = net_of(conv("a", "data"), Layer("turn", Permute((0, 1, 3, 2)), ("a",), ("turned",)), later)
    assert described(net) == steps
    rng = np.random.default_rng(5)
    check_same_bits(net, {"data": rng.normal(0, 3, (3, 2, 4, 4)).astype(np.float32)}, DEFAULT)


AROUND = {"kernel": (3, 3), "pad": (1, 1)}
ON_ONE_PIXEL = (
    *(Convolution(4, (1, 1)), Convolution(4, (1, 1), group=2), Convolution(4, (1, 1), group=4)),
    *(Convolution(4, **AROUND, group=4), Deconvolution(4, **AROUND), Deconvolution(4, (1, 1), group=4)),
    *(Pooling("MAX", (1, 1)), Pooling("AVE", (1, 1)), ReLU(0.5), Sigmoid(), ReLU(), LRN(3), Permute((0, 1, 3, 2))),
)


@pytest.mark.parametrize("second", [*ON_ONE_PIXEL, Flatten(), InnerProduct(4)], ids=lambda op: op.type)
@pytest.mark.parametrize("first", ON_ONE_PIXEL, ids=lambda op: op.type)
def test_pictures_of_one_pixel_are_all_computed(first: Op, second: Op) -> None:
    """Multiplications take all of them at once there, what stands between takes one after the other."""
    rng = np.random.default_rng(7)
    start = (5, 4, 1, 1)
    batch = {"data": rng.normal(0, 2, start).astype(np.float32)}
    for quant in (EIGHT, None):
        shape, layers = start, [Layer("data", Input((start,)), (), ("data",))]
        for name, op in zip("abcd", (ON_ONE_PIXEL[0], first, second, InnerProduct(3)), strict=True):
            blobs = tuple(rng.normal(0, 0.5, blob).astype(np.float32) for blob in op.blob_shapes([shape]))
            layers.append(Layer(name, op, layers[-1].tops, (name,), blobs, quant=quant if op.part else None))
            (shape,) = op.infer([shape])
        check_same_bits(Net("one pixel", tuple(layers)).for_phase(Phase.TEST), batch, DEFAULT)


def test_a_function_needs_codes_to_be_looked_up_by() -> None:
    function = Layer("function", Sigmoid(), ("a",), ("a",))
    assert described(net_of(conv("a", "data"), function)) == ["data -> a"]
    assert described(net_of(conv("a", "data", None), function, conv("b", "a"))) == ["data -> a", "function", "a -> a,b"]


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
    net = single(
        LayerQuant(FixedPoint(16, fl_in), FixedPoint(16, 0), FixedPoint(16, 0)),
        np.float32([[-weight]]),
        np.float32([bias]),
        (1, 1),
    )
    assert kinds(net) == ([ProgramStep] if exact else [QuantizedStep])
    total = (weight << 15 << max(-fl_in, 0)) + (abs(bias) << max(fl_in, 0))
    assert (total < EXACT_IN_FLOAT64) is exact


def test_beyond_float64_both_round_alike() -> None:
    """A product and a bias that lie 60 bits apart: an exact sum and a float64 sum fall on two sides of a tie."""
    quant = LayerQuant(FixedPoint(8, 60), FixedPoint(16, -1), FixedPoint(8, 0))
    net = single(quant, np.float32([[-1.0]]), np.float32([1.0]), (1, 1))
    assert kinds(net) == [QuantizedStep]
    check_same_bits(net, {"data": np.float32([[2.0**-60]])}, DEFAULT)
    exact = Fraction(1) - Fraction(1, 2**60)
    assert exact / 2 < Fraction(1, 2)
    assert IntegerExecutor(net, {}).run({"data": np.float32([[2.0**-60]])}).outputs["ip"].item() == 2


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
