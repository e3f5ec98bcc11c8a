"""The float net in ONNX: numbers, names, what is left out and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from ristretto.errors import ModelError
from ristretto.execute import FloatExecutor
from ristretto.export import Subject
from ristretto.formats import FixedPoint
from ristretto.net import LayerQuant, Scheme
from tests.export.onnx_nets import digits, exporter, in_formats, lenet, net_of, run, written

INPUTS = {"data": (3, 1, 28, 28), "label": (3,)}
INPUT = 'name: "small" layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 4 } } }\n'
IP = 'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 } }\n'
LABELS = 'layer { name: "y" type: "Input" top: "label" input_param { shape { dim: 2 } } }\n'


def test_it_computes_what_the_float_executor_does() -> None:
    net, batch = lenet("deploy"), digits()
    (output,) = run(written("onnx-float", net, INPUTS).model, batch)
    expected = FloatExecutor(net, INPUTS).run(batch).outputs["prob"]
    assert output.shape == (3, 10)
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-7)


def test_blobs_have_their_names_and_the_number_of_pictures_is_open() -> None:
    model = written("onnx-float", lenet("deploy"), INPUTS).model
    (given,), (output,) = model.graph.input, model.graph.output
    assert (given.name, output.name) == ("data", "prob")
    assert [axis.dim_param or axis.dim_value for axis in given.type.tensor_type.shape.dim] == ["N", 1, 28, 28]
    assert [axis.dim_param or axis.dim_value for axis in output.type.tensor_type.shape.dim] == ["N", 10]
    assert (model.producer_name, model.graph.name) == ("ristretto-cnn", "LeNet")
    assert len({node.name for node in model.graph.node}) == len(model.graph.node)


@pytest.mark.parametrize("count", [1, 5])
def test_any_number_of_pictures_goes(count: int) -> None:
    net = lenet("deploy")
    batch = digits(count)
    (output,) = run(written("onnx-float", net, INPUTS).model, batch)
    shapes = {"data": (count, 1, 28, 28)}
    np.testing.assert_allclose(output, FloatExecutor(net, shapes).run(batch).outputs["prob"], rtol=1e-5, atol=1e-7)


def test_the_number_of_pictures_is_fixed_on_request() -> None:
    model = written("onnx-float", lenet("deploy"), INPUTS, batch=2).model
    assert [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim] == [2, 1, 28, 28]
    assert run(model, digits(2))[0].shape == (2, 10)


def test_a_net_for_one_number_of_pictures_is_fixed_and_says_so() -> None:
    reshaped = (
        IP + 'layer { name: "r" type: "Reshape" bottom: "ip" top: "r" reshape_param { shape { dim: 3 dim: 2 } } }'
    )
    found = written("onnx-float", net_of(INPUT + reshaped), {})
    (note,) = found.notes
    assert note.startswith("the number of pictures is fixed: layer 'r'")
    assert [axis.dim_value for axis in found.model.graph.input[0].type.tensor_type.shape.dim] == [2, 4]


def test_opencv_reads_it(tmp_path: Path) -> None:
    net, batch = lenet("deploy"), digits(2)
    file = tmp_path / "lenet.onnx"
    file.write_bytes(exporter("onnx-float").export(Subject(net, INPUTS, batch=2)).files[""])
    theirs = cv2.dnn.readNetFromONNX(str(file))
    theirs.setInput(batch["data"], "data")
    expected = FloatExecutor(net, {"data": (2, 1, 28, 28)}).run(batch).outputs["prob"]
    np.testing.assert_allclose(theirs.forward(), expected, rtol=1e-4, atol=1e-6)


def test_formats_are_left_out() -> None:
    coarse = FixedPoint(2, 0)
    quantized = in_formats(lenet(), coarse, coarse)
    stochastic = LayerQuant(coarse, coarse, coarse, Scheme.STOCHASTIC)
    layers = tuple(replace(layer, quant=layer.quant and stochastic) for layer in quantized)
    for net in (quantized, replace(quantized, layers=layers)):
        assert written("onnx-float", net, INPUTS).model == written("onnx-float", lenet(), INPUTS).model


def test_the_same_net_gives_the_same_bytes() -> None:
    first, second = (exporter("onnx-float").export(Subject(lenet(), INPUTS)).files[""] for _ in range(2))
    assert first == second


def test_scores_and_losses_are_left_out() -> None:
    found = written("onnx-float", lenet(), INPUTS)
    assert [value.name for value in found.model.graph.output] == ["ip2"]
    assert [value.name for value in found.model.graph.input] == ["data"]
    assert found.notes == (
        "left out, as ONNX has no such thing: 'accuracy' (Accuracy), 'loss' (SoftmaxWithLoss); the model gives ip2",
    )


def test_what_is_computed_from_a_loss_is_left_out_too() -> None:
    loss = (
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }\n'
        'layer { name: "half" type: "Power" bottom: "loss" top: "half" power_param { scale: 0.5 } }'
    )
    found = written("onnx-float", net_of(INPUT + LABELS + IP + loss), {})
    assert found.trunk.outputs == ("ip",)
    assert [layer.name for layer in found.trunk.left_out] == ["loss", "half"]


def test_what_is_silenced_is_no_output() -> None:
    silence = (
        'layer { name: "relu" type: "ReLU" bottom: "ip" top: "relu" }\n'
        'layer { name: "sig" type: "Sigmoid" bottom: "ip" top: "sig" }\n'
        'layer { name: "hush" type: "Silence" bottom: "relu" }'
    )
    found = written("onnx-float", net_of(INPUT + IP + silence), {})
    assert found.trunk.outputs == ("sig",)
    assert "'hush' (Silence)" in found.notes[0]


def test_a_blob_that_goes_in_and_comes_out_keeps_its_name_for_what_goes_in() -> None:
    net = net_of(INPUT + 'layer { name: "relu" type: "ReLU" bottom: "data" top: "data" }')
    model = written("onnx-float", net, {}).model
    assert [value.name for value in model.graph.input] == ["data"]
    assert [value.name for value in model.graph.output] == ["relu.top0"]
    x = np.float32([[-1, 2, -3, 4]] * 2)
    np.testing.assert_array_equal(run(model, {"data": x})[0], np.maximum(x, 0))


def test_a_blob_may_be_called_as_the_export_calls_its_own_values() -> None:
    text = INPUT.replace('top: "data"', 'top: "ip.top0"') + IP.replace('bottom: "data"', 'bottom: "ip.top0"')
    text += 'layer { name: "out" type: "ReLU" bottom: "ip" top: "ip.blob0" }'
    net = net_of(text)
    model = written("onnx-float", net, {}).model
    x = np.float32([[-1, 2, -3, 4]] * 2)
    (output,) = run(model, {"ip.top0": x})
    np.testing.assert_allclose(output, FloatExecutor(net, {}).run({"ip.top0": x}).outputs["ip.blob0"], rtol=1e-5)


def test_a_layer_without_a_form_within_the_net_is_named() -> None:
    middle = (
        'layer { name: "pool" type: "Pooling" bottom: "x" top: "y" top: "places"\n'
        "  pooling_param { pool: MAX kernel_size: 1 stride: 1 pad: 0 } }\n"
        'layer { name: "relu" type: "ReLU" bottom: "y" top: "z" }'
    )
    pictures = INPUT.replace("dim: 2 dim: 4", "dim: 1 dim: 1 dim: 4 dim: 4").replace('"data"', '"x"')
    net = net_of(pictures + middle)
    formless = replace(net, layers=tuple(replace(layer, op=_without_form(layer.op)) for layer in net))
    with pytest.raises(ModelError, match="layer 'pool': Pooling has no form in ONNX"):
        written("onnx-float", formless, {})


def _without_form(op):  # type: ignore[no-untyped-def]
    """Give a pooling layer that says nothing in ONNX; every other one as it is."""
    if op.type != "Pooling":
        return op

    class Formless(type(op)):  # type: ignore[misc]
        def onnx(self, bottoms: object) -> None:
            return None

    return Formless(**vars(op))


def test_a_net_of_which_nothing_is_left_is_an_error() -> None:
    net = net_of(INPUT + LABELS + 'layer { name: "e" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" top: "e" }')
    with pytest.raises(ModelError, match="nothing is left to export"):
        written("onnx-float", net, {})


def test_a_layer_without_weights_is_named() -> None:
    bare = replace(lenet(), layers=tuple(replace(layer, blobs=()) for layer in lenet()))
    with pytest.raises(ModelError, match=r"^layer 'conv1': no weights"):
        written("onnx-float", bare, INPUTS)
