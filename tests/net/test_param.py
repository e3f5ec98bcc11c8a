"""What a layer says of its training: rates, loss weights, where gradients go."""

from __future__ import annotations

import pytest

from ristretto.errors import ModelError
from ristretto.layers.accuracy import Accuracy
from ristretto.layers.batch_norm import BatchNorm
from ristretto.layers.eltwise import Eltwise
from ristretto.layers.euclidean_loss import EuclideanLoss
from ristretto.layers.inner_product import InnerProduct
from ristretto.layers.input import Input
from ristretto.layers.relu import ReLU
from ristretto.layers.softmax_with_loss import SoftmaxWithLoss
from ristretto.net import Layer, Net, Op, ParamSpec, Phase


def test_a_blob_without_a_param_block_has_caffe_s_defaults() -> None:
    layer = Layer("fc", InnerProduct(2), params=(ParamSpec("w", 0.5, 0.0),))
    assert layer.param(0) == ParamSpec("w", 0.5, 0.0)
    assert layer.param(1) == ParamSpec("", 1.0, 1.0)
    assert Layer("bn", BatchNorm()).param(2) == ParamSpec("", 0.0, 1.0), "sums, which no gradient changes"


def test_shared_names_are_those_of_the_params() -> None:
    assert Layer("fc", InnerProduct(2), params=(ParamSpec(), ParamSpec("b"))).shared == ("b",)


@pytest.mark.parametrize(
    ("op", "written", "weights"),
    [
        (SoftmaxWithLoss(), (), (1.0, 0.0)),
        (EuclideanLoss(), (), (1.0,)),
        (SoftmaxWithLoss(), (0.25, 2.0), (0.25, 2.0)),
        (SoftmaxWithLoss(), (0.0,), (0.0,)),
        (Accuracy(), (), (0.0, 0.0)),
        (ReLU(), (), (0.0,)),
        (ReLU(), (3.0,), (3.0,)),
    ],
)
def test_loss_weights(op: Op, written: tuple[float, ...], weights: tuple[float, ...]) -> None:
    layer = Layer("l", op, loss_weights=written)
    assert tuple(layer.loss_weight(top) for top in range(len(weights))) == weights


DATA = Layer("data", Input(((1, 2), (1,))), (), ("data", "label"))


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Layer("l", SoftmaxWithLoss(), ("data", "label"), ("l",), loss_weights=(1, 0)), "loss_weight stands 2 times"),
        (Layer("l", SoftmaxWithLoss(), ("data", "label"), (), loss_weights=(1, 0)), "loss_weight stands 2 times"),
        (Layer("l", Eltwise(), ("data", "data"), ("l",), propagate_down=(True,)), "propagate_down stands 1 times"),
    ],
)
def test_settings_that_do_not_stand_once_for_each_blob_are_refused(layer: Layer, said: str) -> None:
    with pytest.raises(ModelError, match=f"layer 'l': {said}") as caught:
        Net("n", (DATA, layer)).for_phase(Phase.TRAIN)
    assert caught.value.hint


@pytest.mark.parametrize(
    "layer",
    [
        Layer("l", SoftmaxWithLoss(), ("data", "label"), (), loss_weights=(2,)),
        Layer("l", SoftmaxWithLoss(), ("data", "label"), ("l", "p"), loss_weights=(2, 0)),
        Layer("l", Eltwise(), ("data", "data"), ("l",), propagate_down=(True, False)),
    ],
)
def test_settings_that_do_are_taken(layer: Layer) -> None:
    found = Net("n", (DATA, layer)).for_phase(Phase.TRAIN)["l"]
    assert (found.loss_weights, found.propagate_down) == (layer.loss_weights, layer.propagate_down)
