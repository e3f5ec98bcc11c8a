"""The quantized net as QONNX: `qonnx` computes what we do, to the last bit where sums are exact in float32."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.errors import ModelError
from ristretto.export import Subject
from ristretto.export.onnx.dialect import Operands
from ristretto.export.onnx.qonnx import DOMAIN, Qonnx
from ristretto.formats import EMULATIONS, EXACT, HALF_EVEN, Arithmetic, FixedPoint, Format, MiniFloat
from ristretto.net import LayerQuant, Net, OnnxNode
from tests.execute.nets import nets, whole_quants
from tests.export.onnx_nets import (
    MINI,
    POWERS,
    QONNX,
    compared,
    condensed,
    digits,
    exporter,
    hold_explained,
    in_formats,
    lenet,
    net_of,
    written,
)

INPUTS = {"data": (1, 1, 28, 28), "label": (1,)}
# Its own, of numbers that become infinite on their way to a clamp.
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning:qonnx")


@pytest.fixture(scope="module")
def lenets() -> Mapping[str, Net]:
    """LeNet in each number format, and at odd widths."""
    net, batch = lenet(), {**digits(1), "label": np.zeros(1, np.float32)}
    made = {"/".join(map(str, bits)): condensed(net, batch, *bits) for bits in ((8, 8, 8), (5, 3, 6), (16, 16, 16))}
    made["minifloat"] = in_formats(net, MINI, MINI)
    made["powers of two"] = in_formats(made["8/8/8"], POWERS)
    return made


@pytest.mark.parametrize("name", ["8/8/8", "5/3/6", "powers of two", "minifloat"])
def test_qonnx_gives_our_numbers(lenets: Mapping[str, Net], name: str) -> None:
    """Sums of minifloats are rounded in float32, but not as far as a threshold in this net."""
    comparison = compared("qonnx", lenets[name], digits(1), QONNX)
    assert [(place.off_by_one, place.further) for place in comparison.places] == [(0, 0)] * 8
    (output,) = comparison.outputs
    assert (output.blob, output.numbers, output.differ) == ("ip2", 10, 0)


@pytest.mark.parametrize("arithmetic", [EXACT, HALF_EVEN])
def test_long_words_differ_by_the_rounding_of_sums_alone(lenets: Mapping[str, Net], arithmetic: Arithmetic) -> None:
    comparison = compared("qonnx", lenets["16/16/16"], digits(1), QONNX, arithmetic)
    hold_explained(comparison)
    assert not any(place.ties for place in comparison.places)
    assert not any(place.off_by_one for place in comparison.places if place.place == "layer_in")


def test_nodes_say_formats(lenets: Mapping[str, Net]) -> None:
    model = written("qonnx", lenets["5/3/6"], INPUTS).model
    known = {constant.name: onnx.numpy_helper.to_array(constant) for constant in model.graph.initializer}
    quants = [node for node in model.graph.node if node.domain == DOMAIN]
    assert {node.op_type for node in quants} == {"Quant"}
    # Input, weights, bias and output of each of four layers; convolutions first.
    assert [known[node.input[3]] for node in quants] == [6, 5, 5, 6] * 2 + [6, 3, 3, 6] * 2
    assert all(np.frexp(known[node.input[1]])[0] == 0.5 and known[node.input[2]] == 0 for node in quants)
    modes = {attribute.s for node in quants for attribute in node.attribute if attribute.name == "rounding_mode"}
    assert modes == {b"HALF_UP"}
    assert [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim] == [1, 1, 28, 28]


@settings(max_examples=20)
@given(drawn=nets(quants=whole_quants(16)))
def test_random_nets_differ_by_the_rounding_of_sums_alone(drawn: tuple[Net, dict[str, np.ndarray]]) -> None:
    net, batch = drawn
    if any(layer.quant for layer in net):
        comparison = compared("qonnx", net, batch, QONNX)
        hold_explained(comparison)
        assert not any(place.ties for place in comparison.places)


@settings(max_examples=15)
@given(drawn=nets(quants=whole_quants(8), coarse=True, kinds=("conv", "relu", "max", "concat", "dropout")))
def test_random_nets_are_exact_where_sums_are(drawn: tuple[Net, dict[str, np.ndarray]]) -> None:
    net, batch = drawn
    if any(layer.quant for layer in net):
        comparison = compared("qonnx", net, batch, QONNX)
        assert not any(place.off_by_one or place.further for place in comparison.places)
        assert not any(output.differ for output in comparison.outputs)


def trimmed(fmt: Format, x: np.ndarray, arithmetic: Arithmetic = EXACT) -> np.ndarray:
    """Trim numbers by the nodes for a format, in `qonnx`."""
    nodes: tuple[OnnxNode, ...] = Qonnx(arithmetic).trim(fmt)
    names = {"b0": "x", "t0": "y"}
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node(
                node.op_type,
                [names.get(i, i) for i in node.inputs],
                [names.get(o, o) for o in node.outputs],
                domain=node.domain,
                **node.attributes,
            )
            for node in nodes
        ],
        "trim",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, x.shape)],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, x.shape)],
        [onnx.numpy_helper.from_array(array, name) for node in nodes for name, array in node.constants.items()],
    )
    opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in (("", 17), (DOMAIN, 1))]
    (y,) = QONNX(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), {"x": x})
    return y


def around(numbers: list[Fraction]) -> np.ndarray:
    """Give numbers, those half-way between neighbours, and the floats beside all of these, of both signs."""
    halves = [(a + b) / 2 for a, b in pairwise(numbers)]
    exact = np.array([float(number) for number in (*numbers, *halves)], np.float32)
    beside = [np.nextafter(exact, np.float32(end)) for end in (np.inf, -np.inf)]
    x = np.concatenate([exact, *beside])
    return np.concatenate([x, -x, np.float32([0, 1e30, -1e30, 1e-30])])


@pytest.mark.parametrize("arithmetic", [EXACT, HALF_EVEN])
@settings(max_examples=60)
@given(bw=st.integers(1, 32), fl=st.integers(-20, 40), seed=st.integers(0, 99))
def test_a_quant_trims_as_we_do(arithmetic: Arithmetic, bw: int, fl: int, seed: int) -> None:
    """At codes, at halves and beside both. One magnitude excepted: see the next test."""
    fmt = FixedPoint(bw, fl)
    rng = np.random.default_rng(seed)
    codes = sorted({0, 1, 2, fmt.high_code, fmt.high_code + 1, *map(int, rng.integers(0, fmt.high_code + 1, 20))})
    x = around([Fraction(code) * Fraction(2) ** -fl for code in codes])
    below_half = np.nextafter(np.float32(0.5), np.float32(0)) * np.float32(2.0**-fl)
    x = x[np.abs(x) != below_half]
    np.testing.assert_array_equal(trimmed(fmt, x, arithmetic), fmt.trim(x, arithmetic))


def test_one_number_goes_the_other_way() -> None:
    """HALF_UP adds one half in float32, and 0.49999997 + 0.5 is 1 there."""
    fmt, x = FixedPoint(8, 0), np.float32([0.49999997, -0.49999997])
    assert fmt.trim(x).tolist() == [0, 0]
    assert trimmed(fmt, x).tolist() == [1, -1]
    assert trimmed(fmt, x, HALF_EVEN).tolist() == [0, 0]


SHORT = [(exp, mant) for exp in range(1, 8) for mant in range(0, 9 - exp)]
LONG = [(2, 13), (3, 12), (4, 11), (5, 10), (6, 13), (7, 12)]


@pytest.mark.parametrize(("exp_bits", "mant_bits"), SHORT + LONG)
def test_a_float_quant_trims_as_we_do(exp_bits: int, mant_bits: int) -> None:
    """At numbers of the format, half-way between, and beside: all of them up to 8 bits, else the first and the last."""
    fmt = MiniFloat(exp_bits, mant_bits)
    codes = np.arange((1 << (exp_bits + mant_bits)) + 1)
    if len(codes) > 1024:
        codes = np.concatenate([codes[:300], codes[-300:], codes[:: 1 << (mant_bits - 2)]])
    numbers = sorted({Fraction(float(value)) for value in fmt.decode(codes)})
    x = around([*numbers, numbers[-1] * 2])
    np.testing.assert_array_equal(trimmed(fmt, x), fmt.trim(x))


def test_eight_bits_of_exponent_go_down_to_2_to_the_minus_100() -> None:
    """Below, FloatQuant's own guard against the logarithm of zero is no longer small beside the numbers."""
    fmt = MiniFloat(8, 7)
    rng = np.random.default_rng(2)
    x = np.ldexp(rng.uniform(-2, 2, 5000), rng.integers(-100, 127, 5000)).astype(np.float32)
    np.testing.assert_array_equal(trimmed(fmt, x), fmt.trim(x))
    low = np.float32([2.0**-126])
    assert fmt.trim(low) == low


NORM = """name: "norm"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 4 dim: 2 dim: 2 } } }
layer { name: "norm" type: "LRNRistretto" bottom: "data" top: "norm"
  quantization_param { precision: MINIFLOAT exp_bits: 4 mant_bits: 3 } }
"""


def test_a_layer_that_trims_on_its_way_is_named() -> None:
    with pytest.raises(ModelError, match="layer 'norm': LRNRistretto trims every number on its way"):
        written("qonnx", net_of(NORM), {})


@pytest.mark.parametrize(
    ("fmt", "arithmetic", "message"),
    [
        (MiniFloat(6, 15), EXACT, "layer 'conv1': QONNX does not round minifloats of 22 bits exactly"),
        (MINI, EMULATIONS["fork-cpu"], "layer 'conv1': QONNX has no operation for the original's own minifloats"),
    ],
)
def test_what_cannot_be_said_is_an_error(fmt: Format, arithmetic: Arithmetic, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        written("qonnx", in_formats(lenet(), fmt, fmt), INPUTS, arithmetic=arithmetic)


def test_a_float_net_is_an_error() -> None:
    with pytest.raises(ModelError, match="no layer of net 'LeNet' is quantized"):
        written("qonnx", lenet(), INPUTS)


def test_weights_lie_on_the_grid_already(lenets: Mapping[str, Net]) -> None:
    net = lenets["powers of two"]
    layer = net["conv1"]
    operands = Qonnx(EXACT).operands(layer, [blob.shape for blob in layer.blobs], layer.quant)
    assert isinstance(operands, Operands)
    assert operands.nodes == ()
    np.testing.assert_array_equal(operands.weights["w0"], POWERS.trim(layer.blobs[0]))
    np.testing.assert_array_equal(operands.weights["w1"], layer.blobs[1])
    assert isinstance(layer.quant, LayerQuant)


def test_the_same_net_gives_the_same_bytes(lenets: Mapping[str, Net]) -> None:
    first, second = (exporter("qonnx").export(Subject(lenets["5/3/6"], INPUTS)).files[""] for _ in range(2))
    assert first == second
