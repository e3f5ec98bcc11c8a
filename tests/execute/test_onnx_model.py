"""A whole float net as one ONNX model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from ristretto.caffe.reader import load_weights, read_model
from ristretto.errors import ModelError
from ristretto.execute import FloatExecutor
from ristretto.execute.onnx_model import model_of
from ristretto.formats import FixedPoint
from ristretto.net import LayerQuant, Net, Phase, Scheme

INPUTS = {"data": (3, 1, 28, 28)}


@pytest.fixture(scope="module")
def lenet(repo: Path) -> Net:
    folder = repo / "models" / "lenet"
    return load_weights(read_model(folder / "deploy.prototxt").net, folder / "lenet.caffemodel").for_phase(Phase.TEST)


def run(model: onnx.ModelProto, x: np.ndarray) -> list[np.ndarray]:
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, {"in:data": x}))


def test_it_computes_what_the_float_executor_does(lenet: Net) -> None:
    x = np.random.default_rng(1).random(INPUTS["data"], np.float32)
    (output,) = run(model_of(lenet, INPUTS), x)
    expected = FloatExecutor(lenet, INPUTS).run({"data": x}).outputs["prob"]
    assert output.shape == (3, 10)
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-7)


def test_shapes_and_names_are_fixed(lenet: Net) -> None:
    graph = model_of(lenet, INPUTS).graph
    assert [value.name for value in graph.input] == ["in:data"]
    assert [value.name for value in graph.output] == ["prob.top0"]
    (given,) = graph.input
    assert [size.dim_value for size in given.type.tensor_type.shape.dim] == [3, 1, 28, 28]


def test_formats_are_left_out(lenet: Net) -> None:
    coarse = LayerQuant(FixedPoint(2, 0), FixedPoint(2, 0), FixedPoint(2, 0), Scheme.STOCHASTIC)
    quantized = replace(lenet, layers=tuple(replace(la, quant=coarse) if la.op.part else la for la in lenet))
    assert model_of(quantized, INPUTS) == model_of(lenet, INPUTS)


def test_a_layer_without_weights_is_named(lenet: Net) -> None:
    bare = replace(lenet, layers=tuple(replace(layer, blobs=()) for layer in lenet))
    with pytest.raises(ModelError, match="layer 'conv1': no weights"):
        model_of(bare, INPUTS)


def test_a_layer_without_a_form_in_onnx_is_named(tmp_path: Path) -> None:
    file = tmp_path / "net.prototxt"
    file.write_text(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 6 } } }\n'
        'layer { name: "gone" type: "Silence" bottom: "data" }',
        "utf-8",
    )
    net = read_model(file).net.for_phase(Phase.TEST)
    with pytest.raises(ModelError, match="layer 'gone': Silence has no form in ONNX"):
        model_of(net, {})
