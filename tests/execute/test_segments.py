"""Segments: which layers run together in onnxruntime, and what they hand on."""

from __future__ import annotations

import numpy as np
import pytest

from ristretto.errors import ModelError
from ristretto.execute import FloatExecutor
from ristretto.execute.executor import Executor
from ristretto.execute.onnx_segment import OnnxStep
from ristretto.execute.values import State
from ristretto.formats import FixedPoint
from ristretto.layers import Accuracy, Concat, Convolution, InnerProduct, Input, Pooling, ReLU, Softmax
from ristretto.net import Layer, LayerQuant, Net, OnnxNode, Phase

RNG = np.random.default_rng(8)
EIGHT = LayerQuant(FixedPoint(8, 4), FixedPoint(8, 4), FixedPoint(8, 4))


def conv(name: str, bottom: str, *, quant: LayerQuant | None = None, inputs: int = 2) -> Layer:
    blobs = (RNG.normal(size=(2, inputs, 1, 1)).astype(np.float32), RNG.normal(size=2).astype(np.float32))
    return Layer(name, Convolution(2, (1, 1)), (bottom,), (name,), blobs, quant=quant)


def places(name: str, bottom: str) -> Layer:
    """The places of maxima where the last window is empty: ONNX has no such thing."""
    return Layer(name, Pooling("MAX", (1, 1), (3, 3), places=True), (bottom,), (name, f"{name}.places"))


def net(*layers: Layer) -> Net:
    data = Layer("data", Input(((1, 2, 5, 5), (1,))), (), ("data", "label"))
    return Net("net", (data, *layers)).for_phase(Phase.TEST)


BATCH = {"data": RNG.normal(size=(1, 2, 5, 5)).astype(np.float32), "label": np.float32([1])}


def described(executor: Executor) -> list[str]:
    return [
        f"onnx {','.join(step.inputs)} -> {','.join(step.outputs)}" if isinstance(step, OnnxStep) else step.layer.name
        for step in executor.steps
    ]


def test_neighbours_run_together_and_hand_on_what_is_read_later() -> None:
    one = net(
        conv("a", "data"),
        Layer("relu", ReLU(), ("a",), ("a",)),
        Layer("pool", Pooling("MAX", (2, 2)), ("a",), ("pool",)),
        Layer("ip", InnerProduct(3), ("pool",), ("ip",), (np.ones((3, 32), np.float32), np.zeros(3, np.float32))),
        Layer("accuracy", Accuracy(), ("ip", "label"), ("accuracy",)),
        Layer("prob", Softmax(), ("ip",), ("prob",)),
    )
    assert described(FloatExecutor(one, {})) == ["onnx data -> ip", "accuracy", "onnx ip -> prob"]


def test_a_layer_without_an_onnx_form_parts_its_neighbours() -> None:
    one = net(
        conv("a", "data"),
        Layer("relu", ReLU(), ("a",), ("a",)),
        places("places", "a"),
        conv("c", "places"),
        Layer("join", Concat(), ("c", "places"), ("join",)),
    )
    assert described(FloatExecutor(one, {})) == ["onnx data -> a", "places", "onnx places -> join"]


def test_formats_part_nothing() -> None:
    one = net(conv("a", "data"), conv("b", "a", quant=EIGHT), conv("c", "b"))
    assert described(FloatExecutor(one, {})) == ["onnx data -> c"]


def test_a_blob_inside_a_segment_is_handed_on_when_someone_reads_it() -> None:
    one = net(conv("a", "data"), conv("b", "a"), places("c", "a"))
    executor = FloatExecutor(one, {})
    assert described(executor) == ["onnx data -> a,b", "c"]
    assert list(executor.run(BATCH).outputs) == ["b", "c", "c.places", "label"]


def test_a_segment_may_change_its_own_input_in_place() -> None:
    one = net(Layer("relu", ReLU(), ("data",), ("data",)), conv("a", "data"), places("b", "data"))
    executor = FloatExecutor(one, {}, keep=["data.top0", "relu.top0"])
    assert described(executor) == ["onnx data -> a,data", "b"]
    run = executor.run(BATCH)
    np.testing.assert_array_equal(run.kept["data.top0"], BATCH["data"])
    np.testing.assert_array_equal(run.kept["relu.top0"], np.maximum(BATCH["data"], 0))


def test_values_inside_a_segment_can_be_kept() -> None:
    one = net(conv("a", "data"), Layer("relu", ReLU(), ("a",), ("a",)), conv("b", "a"))
    run = FloatExecutor(one, {}, keep=["a.top0", "relu.top0"]).run(BATCH)
    assert set(run.kept) == {"a.top0", "relu.top0"}
    (made,) = one["a"].op.forward([BATCH["data"]], one["a"].blobs)
    np.testing.assert_allclose(run.kept["a.top0"], made, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(run.kept["relu.top0"], np.maximum(run.kept["a.top0"], 0))


def test_names_may_hold_what_names_in_caffe_hold() -> None:
    one = net(
        conv("fire2/squeeze 1x1", "data"),
        Layer("fire2/relu.top0", ReLU(), ("fire2/squeeze 1x1",), ("x:y",)),
        conv("in:x:y", "x:y"),
    )
    (made,) = one["fire2/squeeze 1x1"].op.forward([BATCH["data"]], one["fire2/squeeze 1x1"].blobs)
    (made,) = one["in:x:y"].op.forward([np.maximum(made, 0)], one["in:x:y"].blobs)
    np.testing.assert_allclose(FloatExecutor(one, {}).run(BATCH).outputs["in:x:y"], made, rtol=1e-4, atol=1e-5)


def test_weights_of_old_files_are_reshaped() -> None:
    blobs = (np.ones((1, 1, 3, 50), np.float32), np.ones((1, 1, 1, 3), np.float32))
    one = net(Layer("ip", InnerProduct(3), ("data",), ("ip",), blobs))
    run = FloatExecutor(one, {}).run(BATCH)
    assert run.outputs["ip"].shape == (1, 3)


class Wrong(ReLU):
    """Says what onnxruntime does not know."""

    def onnx(self, bottoms: object) -> tuple[OnnxNode, ...]:
        return (OnnxNode("NoSuchOperator", ("b0",), ("t0",)),)


def test_what_onnxruntime_refuses_is_named_by_its_layers() -> None:
    one = net(conv("a", "data"), Layer("wrong", Wrong(), ("a",), ("b",)))
    with pytest.raises(ModelError, match="onnxruntime refuses layers 'a' to 'wrong'"):
        FloatExecutor(one, {})


def test_a_state_is_one_run() -> None:
    """Steps keep nothing between runs: threads share them."""
    executor = FloatExecutor(net(conv("a", "data")), {})
    one, two = State(dict(BATCH)), State(dict(BATCH) | {"data": BATCH["data"] * 2})
    for step in executor.steps:
        step.run(one)
        step.run(two)
    assert one.blobs.keys() == two.blobs.keys() == {"data", "label", "a"}
    assert (one.blobs["a"] != two.blobs["a"]).all()
