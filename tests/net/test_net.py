"""Net: wiring, versions of blobs, shapes."""

from __future__ import annotations

import numpy as np
import pytest

from ristretto.errors import ModelError
from ristretto.formats import FixedPoint
from ristretto.layers import Accuracy, Concat, Convolution, InnerProduct, Input, ReLU, Softmax, SoftmaxWithLoss
from ristretto.net import Layer, LayerQuant, Net, Op, Phase
from ristretto.net.net import squeeze


def layer(name: str, op: Op, bottoms: str = "", tops: str = "", blobs: tuple[np.ndarray, ...] = ()) -> Layer:
    return Layer(name, op, tuple(bottoms.split()), tuple(tops.split()), blobs)


DATA = layer("data", Input(((2, 3, 4, 4), (2,))), "", "data label")


def net(*layers: Layer) -> Net:
    return Net("net", (DATA, *layers)).for_phase(Phase.TEST)


@pytest.fixture
def branching() -> Net:
    """Two branches, one of them behind a ReLU in place, joined, scored twice."""
    return net(
        layer("conv", Convolution(3, (1, 1)), "data", "conv"),
        layer("before", ReLU(), "conv", "before"),
        layer("relu1", ReLU(), "conv", "conv"),
        layer("after", ReLU(), "conv", "after"),
        layer("relu2", ReLU(), "conv", "conv"),
        layer("join", Concat(), "before after conv", "join"),
        layer("ip", InnerProduct(5), "join", "ip"),
        layer("prob", Softmax(), "ip", "prob"),
        layer("loss", SoftmaxWithLoss(), "ip label", "loss"),
        layer("accuracy", Accuracy(), "ip label", "accuracy"),
    )


def test_outputs_are_what_no_layer_reads_in_alphabetical_order(branching: Net) -> None:
    assert branching.outputs == ("accuracy", "loss", "prob")


@pytest.mark.parametrize(
    ("layers", "outputs"),
    [
        ((), ("data", "label")),
        ((layer("r", ReLU(), "data", "data"),), ("data", "label")),
        ((layer("r", ReLU(), "data", "Z"), layer("s", ReLU(), "data", "a")), ("Z", "a", "label")),
        ((layer("r", ReLU(), "data", "r"), layer("s", ReLU(), "r", "r")), ("label", "r")),
    ],
)
def test_an_output_is_read_by_nobody_after_it_was_last_made(
    layers: tuple[Layer, ...], outputs: tuple[str, ...]
) -> None:
    assert net(*layers).outputs == outputs


def test_a_layer_in_place_makes_another_version(branching: Net) -> None:
    read = {
        name: branching.version("conv", before=branching[name])
        for name in ("before", "relu1", "after", "relu2", "join")
    }
    assert read == {
        "before": "conv.top0",
        "relu1": "conv.top0",
        "after": "relu1.top0",
        "relu2": "relu1.top0",
        "join": "relu2.top0",
    }
    assert branching.version("conv") == "relu2.top0"
    assert branching.version("label") == "data.top1"
    assert branching.producer("conv").name == "relu2"
    assert branching.producer("conv", before=branching["conv"]) is None
    assert branching.producer("nothing") is None
    with pytest.raises(ModelError, match="no layer makes the blob 'nothing'"):
        branching.version("nothing")


def test_readers_are_those_before_the_next_version(branching: Net) -> None:
    def readers(name: str, top: int = 0) -> list[str]:
        return [reader.name for reader in branching.consumers(branching[name], top)]

    assert readers("conv") == ["before", "relu1"]
    assert readers("relu1") == ["after", "relu2"]
    assert readers("relu2") == ["join"]
    assert readers("data") == ["conv"]
    assert readers("data", 1) == ["loss", "accuracy"]
    assert readers("ip") == ["prob", "loss", "accuracy"]
    assert readers("prob") == []


def test_a_layer_is_found_by_name(branching: Net) -> None:
    assert branching["ip"].op == InnerProduct(5)
    assert [each.name for each in branching][:2] == ["data", "conv"]
    assert [each.name for each in branching.data_layers] == ["data"]
    with pytest.raises(KeyError):
        branching["nobody"]


@pytest.mark.parametrize(
    ("layers", "fault"),
    [
        ([layer("r", ReLU(), "dta", "r")], "layer 'r': unknown bottom blob 'dta'"),
        ([layer("r", ReLU(), "s", "r"), layer("s", ReLU(), "r", "s")], "layer 'r': unknown bottom blob 's'"),
        ([layer("r", ReLU(), "data", "label")], "layer 'r': top blob 'label' is made twice"),
        (
            [layer("r", ReLU(), "data", "r"), layer("s", Concat(), "data r", "r")],
            "layer 's': top blob 'r' is made twice",
        ),
        ([layer("r", ReLU(), "data", "r"), layer("r", ReLU(), "data", "s")], "layer 'r': its name stands twice"),
        ([layer("data", ReLU(), "data", "r")], "layer 'data': its name stands twice"),
        ([layer("r", ReLU(), "data label", "r")], "layer 'r': ReLU reads 1 blobs, not 2"),
        ([layer("r", ReLU(), "", "r")], "layer 'r': ReLU reads 1 blobs, not 0"),
        ([layer("a", Accuracy(), "data", "a")], "layer 'a': Accuracy reads 2 blobs, not 1"),
        ([layer("i", Input(((1,),)), "data", "i")], "layer 'i': Input reads 0 blobs, not 1"),
        ([layer("r", ReLU(), "data")], "layer 'r': ReLU without a top"),
    ],
)
def test_wiring_that_makes_no_sense_is_named(layers: list[Layer], fault: str) -> None:
    with pytest.raises(ModelError) as caught:
        net(*layers)
    assert str(caught.value).startswith(fault)


def test_a_top_in_place_must_stand_where_its_bottom_stands() -> None:
    """Caffe's rule: the first top may take the first bottom's place, not another's."""
    made = layer("r", ReLU(), "data", "r")
    assert net(made, layer("s", Concat(), "r data", "r")).outputs == ("label", "r")
    with pytest.raises(ModelError, match="made twice"):
        net(made, layer("s", Concat(), "data r", "r"))


def test_a_loss_needs_no_top() -> None:
    one = net(layer("ip", InnerProduct(3), "data", "ip"), layer("loss", SoftmaxWithLoss(), "ip label"))
    assert one.outputs == ()
    assert one.shapes({})["loss"] == ((), (2, 3))


def test_shapes_follow_from_those_of_the_data(branching: Net) -> None:
    shapes = branching.shapes({"data": (7, 3, 5, 6), "label": (7,)})
    assert shapes["data"] == ((7, 3, 5, 6), (7,))
    assert shapes["join"] == ((7, 9, 5, 6),)
    assert shapes["ip"] == ((7, 5),)
    assert branching.bottom_shapes(branching["join"], shapes) == [(7, 3, 5, 6)] * 3
    assert branching.bottom_shapes(branching["loss"], shapes) == [(7, 5), (7,)]


def test_a_version_has_a_shape_of_its_own() -> None:
    """A blob may change its shape when it is made anew in its own place."""
    one = net(layer("ip", InnerProduct(6), "data", "data"), layer("relu", ReLU(), "data", "relu"))
    shapes = one.shapes({})
    assert one.bottom_shapes(one["ip"], shapes) == [(2, 3, 4, 4)]
    assert one.bottom_shapes(one["relu"], shapes) == [(2, 6)]


@pytest.mark.parametrize(
    ("layers", "fault"),
    [
        ([layer("c", Convolution(2, (9, 9)), "data", "c")], "layer 'c': its kernel spans 9 pixels"),
        ([layer("r", ReLU(), "data", "r s")], "layer 'r': 2 tops where ReLU makes 1"),
        (
            [layer("c", Convolution(2, (1, 1)), "data", "c", (np.zeros((2, 3, 1, 1)),))],
            "layer 'c': 1 weight blobs where Convolution needs 2",
        ),
        (
            [layer("c", Convolution(2, (1, 1)), "data", "c", (np.zeros((2, 4, 1, 1)), np.zeros(2)))],
            "layer 'c': weight blob 0 has shape (2, 4, 1, 1), the prototxt asks for (2, 3, 1, 1)",
        ),
    ],
)
def test_what_does_not_fit_is_named(layers: list[Layer], fault: str) -> None:
    with pytest.raises(ModelError) as caught:
        net(*layers).shapes({})
    assert str(caught.value).startswith(fault)


def test_an_unknown_shape_is_named() -> None:
    class Silent(Input):
        def declared_shape(self, top: int) -> None:
            return None

    with pytest.raises(ModelError, match="layer 'x': the shape of its top 'x' is not known"):
        Net("net", (layer("x", Silent(), "", "x"),)).for_phase(Phase.TEST).shapes({})


@pytest.mark.parametrize(
    ("shape", "squeezed"),
    [((1, 1, 1, 5), (5,)), ((1, 1, 4, 5), (4, 5)), ((2, 1, 1, 5), (2, 1, 1, 5)), ((5,), (5,)), ((), ()), ((1, 1), ())],
)
def test_leading_axes_of_one_do_not_count(shape: tuple[int, ...], squeezed: tuple[int, ...]) -> None:
    assert squeeze(shape) == squeezed


def test_weights_of_old_files_fit() -> None:
    blobs = (np.zeros((1, 1, 5, 48)), np.zeros((1, 1, 1, 5)))
    assert net(layer("ip", InnerProduct(5), "data", "ip", blobs)).shapes({})["ip"] == ((2, 5),)
    one = (np.zeros((1, 48)), np.zeros((1,)))
    assert net(layer("ip", InnerProduct(1), "data", "ip", one)).shapes({})["ip"] == ((2, 1),)


def test_a_quantized_layer_has_the_forks_type() -> None:
    quant = LayerQuant(FixedPoint(8, 0), FixedPoint(8, 0), FixedPoint(8, 0))
    assert Layer("c", Convolution(1, (1, 1))).type == "Convolution"
    assert Layer("c", Convolution(1, (1, 1)), quant=quant).type == "ConvolutionRistretto"
    assert Layer("i", InnerProduct(1), quant=quant).type == "FcRistretto"


@pytest.mark.parametrize(
    ("op", "fault"),
    [
        (Convolution(1 << 24, (1, 1), bias_term=False), r"its top 'y' of shape \(2, 16777216, 4, 4\) has more than"),
        (InnerProduct(1 << 22), r"weight blob 0 of shape \(4194304, 48\) has more than 134217728 numbers"),
        (Convolution(1, (1, 1), stride=(20000, 20000), pad=(10000, 10000)), "its padded bottom of shape"),
        (Convolution(1, (2000, 2000), pad=(1000, 1000)), "sums of 12000000 products"),
    ],
)
def test_what_no_machine_holds_is_named(op: Op, fault: str) -> None:
    with pytest.raises(ModelError, match=f"layer 'big': {fault}"):
        net(layer("big", op, "data", "y")).shapes({})


def test_weights_without_numbers_are_named() -> None:
    empty = Net("net", (layer("x", Input(((2, 0, 4, 4),)), "", "x"), layer("c", Convolution(1, (1, 1)), "x", "c")))
    with pytest.raises(ModelError, match="layer 'c': weight blob 0 of shape"):
        empty.for_phase(Phase.TEST).shapes({"x": (2, 0, 4, 4)})
