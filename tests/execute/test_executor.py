"""What every executor does with a net, a batch, and what is wrong with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from ristretto.errors import DataError, ModelError
from ristretto.execute import EXECUTORS, Executor, FloatExecutor
from ristretto.formats import FixedPoint
from ristretto.layers import Accuracy, InnerProduct, Input, ReLU, Softmax, SoftmaxWithLoss
from ristretto.net import Layer, LayerQuant, Net, Phase, Scheme
from tests.execute.nets import ALL, nets, partial_quants, values

EIGHT = LayerQuant(FixedPoint(8, 4), FixedPoint(8, 4), FixedPoint(8, 4))
every_executor = pytest.mark.parametrize("kind", EXECUTORS.values(), ids=EXECUTORS)


def scored(quant: LayerQuant | None = EIGHT) -> Net:
    """A net with two outputs beside its scores."""
    blobs = (np.float32([[1, 0], [0, 1], [0.5, 0.5]]), np.float32([0, 0, 0.25]))
    layers = (
        Layer("data", Input(((2, 2), (2,))), (), ("data", "label")),
        Layer("ip", InnerProduct(3), ("data",), ("ip",), blobs, quant=quant),
        Layer("prob", Softmax(), ("ip",), ("prob",)),
        Layer("accuracy", Accuracy(), ("ip", "label"), ("accuracy",)),
        Layer("loss", SoftmaxWithLoss(), ("ip", "label"), ("loss",)),
    )
    return Net("scored", layers).for_phase(Phase.TEST)


BATCH = {"data": np.float32([[2, 1], [1, 1]]), "label": np.float32([0, 2])}


@every_executor
def test_outputs_come_in_alphabetical_order_with_their_companions(kind: type[Executor]) -> None:
    run = kind(scored(), {}).run(BATCH)
    assert list(run.outputs) == ["accuracy", "loss", "prob"]
    assert run.outputs["accuracy"] == 1.0
    assert run.companions == {"accuracy_argmax": 1.0}
    assert run.kept == {}
    assert run.outputs["prob"].shape == (2, 3)


@every_executor
def test_kept_is_what_a_layer_made_before_others_changed_it(kind: type[Executor]) -> None:
    quant = LayerQuant(FixedPoint(8, 0), FixedPoint(8, 0), FixedPoint(8, 0))
    one = (np.ones((1, 1), np.float32), np.float32([-3]))
    layers = (
        Layer("data", Input(((1, 1),)), (), ("data",)),
        Layer("ip", InnerProduct(1), ("data",), ("ip",), one, quant=quant),
        Layer("relu", ReLU(), ("ip",), ("ip",)),
    )
    net = Net("net", layers).for_phase(Phase.TEST)
    run = kind(net, {}, keep=values(net)).run({"data": np.float32([[1.25]])})
    made = -2 if kind is not FloatExecutor else -1.75
    assert {name: value.item() for name, value in run.kept.items()} == {
        "data.top0": 1.25,
        "ip.top0": made,
        "relu.top0": 0,
    }
    assert run.outputs == {"ip": 0}


@every_executor
def test_a_batch_is_left_as_it_was_and_runs_again_to_the_same_bits(kind: type[Executor]) -> None:
    executor = kind(scored(), {})
    batch = {name: value.copy() for name, value in BATCH.items()}
    for value in batch.values():
        value.setflags(write=False)
    first, second = executor.run(batch), executor.run(batch)
    for blob, value in first.outputs.items():
        assert np.asarray(value).tobytes() == np.asarray(second.outputs[blob]).tobytes()


@every_executor
def test_numbers_of_other_types_are_taken_as_float32(kind: type[Executor]) -> None:
    executor = kind(scored(), {}, keep=["data.top0"])
    run = executor.run({"data": np.array([[2, 1], [1, 1]], np.float64), "label": np.array([0, 2])})
    assert run.kept["data.top0"].dtype == np.float32
    assert run.outputs["prob"].dtype == np.float32
    np.testing.assert_array_equal(run.outputs["prob"], executor.run(BATCH).outputs["prob"])


@every_executor
@pytest.mark.parametrize(
    ("batch", "fault"),
    [
        ({"data": BATCH["data"]}, "blob 'label' needs shape (2,), the batch holds nothing"),
        (BATCH | {"data": np.zeros((3, 2))}, "blob 'data' needs shape (2, 2), the batch holds (3, 2)"),
    ],
)
def test_a_batch_that_does_not_fit_is_named(kind: type[Executor], batch: dict[str, np.ndarray], fault: str) -> None:
    with pytest.raises(DataError) as caught:
        kind(scored(), {}).run(batch)
    assert str(caught.value) == fault


@every_executor
def test_a_label_without_a_class_is_named(kind: type[Executor]) -> None:
    with pytest.raises(ModelError, match="label 3 where the net has 3 classes"):
        kind(scored(), {}).run(BATCH | {"label": np.float32([0, 3])})


@every_executor
def test_what_cannot_be_run_is_named_before_anything_runs(kind: type[Executor]) -> None:
    net = scored()
    bare = Net("bare", tuple(Layer(e.name, e.op, e.bottoms, e.tops, quant=e.quant) for e in net), net.state)
    with pytest.raises(ModelError, match="layer 'ip': no weights"):
        kind(bare, {})
    random = LayerQuant(FixedPoint(8, 4), FixedPoint(8, 4), FixedPoint(8, 4), Scheme.STOCHASTIC)
    with pytest.raises(ModelError, match="layer 'ip': rounding_scheme STOCHASTIC"):
        kind(scored(random), {})
    with pytest.raises(ModelError, match=r"net 'scored' has no value 'ip\.top1' to keep"):
        kind(net, {}, keep=["ip.top0", "ip.top1"])


@every_executor
def test_other_shapes_may_be_fed_than_the_file_declares(kind: type[Executor]) -> None:
    executor = kind(scored(), {"data": (1, 2), "label": (1,)})
    assert executor.inputs == {"data": (1, 2), "label": (1,)}
    assert executor.run({"data": np.ones((1, 2)), "label": np.zeros(1)}).outputs["prob"].shape == (1, 3)


@every_executor
def test_a_net_without_layers_gives_back_its_batch(kind: type[Executor]) -> None:
    net = Net("net", (Layer("data", Input(((2,),)), (), ("data",)),)).for_phase(Phase.TEST)
    assert kind(net, {}).run({"data": np.float32([1, 2])}).outputs["data"].tolist() == [1, 2]


CONTINUOUS = tuple(kind for kind in ALL if kind not in ("function", "join", "affine", "gate"))
"""Layers that make of a small error no large one, as a threshold does, a difference, or products of products."""


@given(nets(kinds=CONTINUOUS, quants=partial_quants(32)))
def test_the_float_executor_is_the_chain_of_plain_forwards(job) -> None:
    """Formats are ignored; in float64 the sums are as good as exact."""
    net, batch = job
    executor = FloatExecutor(net, {}, keep=values(net))
    run = executor.run(batch)
    blobs = {"data": batch["data"].astype(np.float64)}
    # With the copies that the executor puts in where blobs share memory.
    for layer in executor.net.layers[1:]:
        weights = [blob.astype(np.float64) for blob in layer.blobs]
        tops = layer.op.forward([blobs[bottom] for bottom in layer.bottoms], weights)
        for index, (name, top) in enumerate(zip(layer.tops, tops, strict=True)):
            blobs[name] = top
            if layer in net.layers:
                kept = run.kept[f"{layer.name}.top{index}"]
                assert kept.dtype == np.float32
                np.testing.assert_allclose(kept, top, rtol=1e-4, atol=1e-5 * max(1, np.abs(top).max()))
    for blob, value in run.outputs.items():
        np.testing.assert_allclose(value, blobs[blob], rtol=1e-4, atol=1e-5 * max(1, np.abs(blobs[blob]).max()))
