"""The quantized net as QDQ: what stands in the model, and what onnxruntime makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from onnx import TensorProto, numpy_helper

from ristretto.errors import ModelError
from ristretto.execute import IntegerExecutor
from ristretto.export import Subject
from ristretto.export.onnx.runners import in_onnxruntime
from ristretto.formats import HALF_EVEN, FixedPoint, PowerOfTwo
from ristretto.net import LayerQuant, Net, Scheme
from tests.execute.nets import nets, whole_quants
from tests.export.onnx_nets import (
    MINI,
    POWERS,
    compared,
    condensed,
    digits,
    exporter,
    hold_explained,
    in_formats,
    lenet,
    net_of,
    run,
    written,
)

INPUTS = {"data": (3, 1, 28, 28), "label": (3,)}
PLAIN, OPTIMIZED = in_onnxruntime(), in_onnxruntime(optimized=True)
SESSIONS = pytest.mark.parametrize("runner", [PLAIN, OPTIMIZED], ids=["as written", "optimized"])


@pytest.fixture(scope="module")
def lenets() -> Mapping[str, Net]:
    """LeNet at several widths: convolutions, inner products, activations."""
    net, batch = lenet(), digits()
    trained = {**batch, "label": np.zeros(3, np.float32)}
    widths = ((8, 8, 8), (4, 4, 8), (4, 4, 4), (16, 16, 16), (5, 3, 6), (2, 1, 12), (8, 8, 20), (6, 6, 5))
    return {"/".join(map(str, bits)): condensed(net, trained, *bits) for bits in widths}


def constants(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    return {constant.name: constant for constant in model.graph.initializer}


@pytest.mark.parametrize(
    ("widths", "opset", "weights", "activations"),
    [
        ("8/8/8", 17, TensorProto.INT8, TensorProto.INT8),
        ("4/4/8", 21, TensorProto.INT4, TensorProto.INT8),
        ("4/4/4", 21, TensorProto.INT4, TensorProto.INT8),
        ("16/16/16", 21, TensorProto.INT16, TensorProto.INT16),
        ("5/3/6", 21, {"conv": TensorProto.INT8, "ip": TensorProto.INT4}, TensorProto.INT8),
        ("2/1/12", 21, TensorProto.INT4, TensorProto.INT16),
        ("6/6/5", 17, TensorProto.INT8, TensorProto.INT8),
    ],
)
def test_integers_are_the_smallest_that_hold_the_words(
    lenets: Mapping[str, Net], widths: str, opset: int, weights: int | dict[str, int], activations: int
) -> None:
    model = written("onnx", lenets[widths], INPUTS).model
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]
    known = constants(model)
    rounding = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert len(rounding) == 8  # the input and the output of each of four layers
    for node in rounding:
        scale, zero = (known[name] for name in node.input[1:])
        assert zero.data_type == activations
        assert not numpy_helper.to_array(zero).any()
        assert np.frexp(numpy_helper.to_array(scale))[0] == 0.5
    stored = {name: constant.data_type for name, constant in known.items() if name.endswith("w0_codes")}
    assert len(stored) == 4
    for name, kind in stored.items():
        assert kind == (weights[name.partition("/")[0][:-1]] if isinstance(weights, dict) else weights)


def test_weights_and_bias_are_the_codes_of_their_format(lenets: Mapping[str, Net]) -> None:
    net = lenets["8/8/8"]
    known = constants(written("onnx", net, INPUTS).model)
    for layer in net:
        if layer.quant:
            params, layer_in = layer.quant.params, layer.quant.layer_in
            assert isinstance(params, FixedPoint)
            assert isinstance(layer_in, FixedPoint)
            codes = numpy_helper.to_array(known[f"{layer.name}/w0_codes"])
            np.testing.assert_array_equal(codes, params.encode(layer.blobs[0]).reshape(codes.shape))
            bias = known[f"{layer.name}/w1_codes"]
            assert bias.data_type == TensorProto.INT32
            scale = numpy_helper.to_array(known[f"{layer.name}/w1_scale"])
            assert scale == np.float32(2.0 ** -(params.fl + layer_in.fl))
            np.testing.assert_array_equal(numpy_helper.to_array(bias) * scale, params.trim(layer.blobs[1]))


@pytest.mark.parametrize("fl", [-2, 40])
def test_a_bias_off_the_grid_of_products_has_a_scale_of_its_own(fl: int) -> None:
    net = in_formats(lenet(), FixedPoint(8, 7), FixedPoint(8, fl))
    known = constants(written("onnx", net, INPUTS).model)
    assert known["conv1/w1_codes"].data_type == TensorProto.INT8
    assert numpy_helper.to_array(known["conv1/w1_scale"]) == np.float32(2.0**-7)


@SESSIONS
@pytest.mark.parametrize("widths", ["8/8/8", "4/4/8", "4/4/4", "16/16/16", "5/3/6", "2/1/12", "8/8/20"])
def test_onnxruntime_is_within_one_code_and_every_difference_has_a_cause(
    lenets: Mapping[str, Net], widths: str, runner
) -> None:
    comparison = compared("onnx", lenets[widths], digits(1), runner)
    hold_explained(comparison)
    assert {place.layer for place in comparison.places} == {"conv1", "conv2", "ip1", "ip2"}
    assert any(place.ties or place.sums for place in comparison.places)
    if max(map(int, widths.split("/"))) <= 8:
        # Sums of such words are exact in float32.
        assert not any(place.sums for place in comparison.places)


@SESSIONS
@pytest.mark.parametrize("widths", ["8/8/8", "4/4/8", "4/4/4", "5/3/6"])
def test_with_halves_to_even_onnxruntime_is_exact(lenets: Mapping[str, Net], widths: str, runner) -> None:
    comparison = compared("onnx", lenets[widths], digits(1), runner, HALF_EVEN)
    assert [place.off_by_one + place.further for place in comparison.places] == [0] * 8
    (output,) = comparison.outputs
    assert (output.blob, output.differ) == ("ip2", 0)


@SESSIONS
def test_powers_of_two_stay_what_they_are(lenets: Mapping[str, Net], runner) -> None:
    net = in_formats(lenets["8/8/8"], POWERS)
    hold_explained(compared("onnx", net, digits(1), runner))
    known = constants(written("onnx", net, INPUTS).model)
    np.testing.assert_array_equal(numpy_helper.to_array(known["conv1.blob0"]), POWERS.trim(net["conv1"].blobs[0]))


@SESSIONS
@settings(max_examples=15)
@given(drawn=nets(quants=whole_quants(16)))
def test_random_nets_are_within_one_code(drawn: tuple[Net, dict[str, np.ndarray]], runner) -> None:
    net, batch = drawn
    if any(layer.quant for layer in net):
        hold_explained(compared("onnx", net, batch, runner))


@settings(max_examples=15)
@given(drawn=nets(quants=whole_quants(7), coarse=True, kinds=("conv", "relu", "max", "concat", "dropout", "relu6")))
def test_random_nets_with_halves_to_even_are_exact(drawn: tuple[Net, dict[str, np.ndarray]]) -> None:
    """In whole runs, too, where all sums are exact in float32."""
    net, batch = drawn
    if any(layer.quant for layer in net):
        model = written("onnx", net, {}, arithmetic=HALF_EVEN)
        ours = IntegerExecutor(net, {}, arithmetic=HALF_EVEN).run(batch).outputs
        feeds = {value.name: batch[value.name] for value in model.model.graph.input}
        for blob, theirs in zip(model.trunk.outputs, run(model.model, feeds), strict=True):
            np.testing.assert_array_equal(theirs, ours[blob], err_msg=blob)


TWO = """name: "two"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 6 dim: 6 } } }
layer { name: "a" type: "Convolution" bottom: "data" top: "a" convolution_param { num_output: 3 kernel_size: 3 } }
layer { name: "b" type: "Convolution" bottom: "a" top: "b" convolution_param { num_output: 3 kernel_size: 3 } }
layer { name: "c" type: "Convolution" bottom: "b" top: "c" convolution_param { num_output: 3 kernel_size: 1 } }
layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "a" top: "sum" }
"""


def two(*quants: LayerQuant | None) -> tuple[Net, dict[str, np.ndarray]]:
    net = net_of(TWO)
    layers = dict(zip("abc", quants, strict=True))
    net = replace(net, layers=tuple(replace(layer, quant=layers.get(layer.name)) for layer in net))
    return net, {"data": np.random.default_rng(3).normal(0, 1, (1, 2, 6, 6)).astype(np.float32)}


def test_onnxruntime_rounds_no_weights_of_a_layer_in_float() -> None:
    """Between a DequantizeLinear and a QuantizeLinear its optimizer does, where it can."""
    fmt = FixedPoint(8, 4)
    quant = LayerQuant(fmt, fmt, fmt)
    net, batch = two(quant, None, quant)
    model = written("onnx", net, {}, arithmetic=HALF_EVEN).model
    plain, optimized = (runner(model, batch) for runner in (PLAIN, OPTIMIZED))
    for one, other in zip(plain, optimized, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_input_is_trimmed_for_every_later_reader() -> None:
    """Layer b trims blob a in place, and the sum behind it reads what that left."""
    fine, coarse = FixedPoint(16, 10), FixedPoint(6, 1)
    net, batch = two(LayerQuant(fine, fine, fine), LayerQuant(coarse, fine, fine), None)
    found = written("onnx", net, {}, arithmetic=HALF_EVEN)
    ours = IntegerExecutor(net, {}, arithmetic=HALF_EVEN).run(batch).outputs
    theirs = dict(zip(found.trunk.outputs, run(found.model, batch), strict=True))
    np.testing.assert_array_equal(theirs["sum"], ours["sum"])
    np.testing.assert_array_equal(theirs["sum"] * 2**1 % 2, 0)


POOLED = """name: "pooled"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 8 dim: 8 } } }
layer { name: "a" type: "Convolution" bottom: "data" top: "a" convolution_param { num_output: 3 kernel_size: 3 } }
layer { name: "pool" type: "Pooling" bottom: "a" top: "pool" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "relu" type: "ReLU" bottom: "pool" top: "pool" }
layer { name: "b" type: "Convolution" bottom: "pool" top: "b" convolution_param { num_output: 3 kernel_size: 3 } }
"""


def test_a_pooling_between_8_bit_activations_and_4_bit_weights_goes() -> None:
    """There onnxruntime 1.32 refuses what its own optimizer makes of a DequantizeLinear in front of a pooling."""
    net = in_formats(net_of(POOLED), FixedPoint(4, 2), FixedPoint(8, 4))
    batch = {"data": np.random.default_rng(3).normal(0, 1, (1, 2, 8, 8)).astype(np.float32)}
    found = written("onnx", net, {}, arithmetic=HALF_EVEN)
    ours = IntegerExecutor(net, {}, arithmetic=HALF_EVEN).run(batch).outputs
    np.testing.assert_array_equal(run(found.model, batch)[0], ours["b"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda net: lenet(), "no layer of net 'LeNet' is quantized"),
        (lambda net: in_formats(net, MINI, MINI), "layer 'conv1': QuantizeLinear does not know minifloat e4m3"),
        (
            lambda net: replace(
                net,
                layers=tuple(
                    replace(layer, quant=layer.quant and replace(layer.quant, scheme=Scheme.STOCHASTIC))
                    for layer in net
                ),
            ),
            "layer 'conv1': rounding_scheme STOCHASTIC",
        ),
    ],
)
def test_what_cannot_be_said_is_an_error(lenets: Mapping[str, Net], change, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        written("onnx", change(lenets["8/8/8"]), INPUTS)


def test_weights_of_many_powers_of_two_go(lenets: Mapping[str, Net]) -> None:
    net = in_formats(lenets["8/8/8"], PowerOfTwo(-60, 10))
    hold_explained(compared("onnx", net, digits(1), OPTIMIZED))


def test_the_same_net_gives_the_same_bytes(lenets: Mapping[str, Net]) -> None:
    first, second = (exporter("onnx").export(Subject(lenets["4/4/8"], INPUTS)).files[""] for _ in range(2))
    assert first == second
