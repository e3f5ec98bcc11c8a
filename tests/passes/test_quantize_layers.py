"""QuantizeLayers: formats to the layers that are named, and to no others."""

from __future__ import annotations

import pytest

from ristretto.errors import ModelError
from ristretto.formats import FixedPoint
from ristretto.layers import Convolution, InnerProduct, Input, ReLU
from ristretto.net import Layer, LayerQuant, Net, Phase, QuantSpec, Rule
from ristretto.passes import QuantizeLayers

EIGHT = LayerQuant(FixedPoint(8, 4), FixedPoint(8, 3), FixedPoint(8, 7))
FOUR = LayerQuant(FixedPoint(4, 1), None, None)

NET = Net(
    "net",
    (
        Layer("data", Input(((1, 2, 3, 3),)), tops=("data",)),
        Layer("conv", Convolution(2, (1, 1)), ("data",), ("conv",), include=(Rule(phase=Phase.TRAIN),)),
        Layer("conv", Convolution(3, (1, 1)), ("data",), ("conv",), include=(Rule(phase=Phase.TEST),)),
        Layer("relu", ReLU(), ("conv",), ("conv",)),
        Layer("ip", InnerProduct(2), ("conv",), ("ip",)),
    ),
)


def quants(net: Net) -> list[LayerQuant | None]:
    return [layer.quant for layer in net]


def spec(**layers: LayerQuant) -> QuantSpec:
    return QuantSpec("dynamic_fixed_point", layers)


def test_layers_that_are_named_get_their_formats_in_every_phase() -> None:
    net = QuantizeLayers(spec(conv=EIGHT, ip=FOUR))(NET)
    assert quants(net) == [None, EIGHT, EIGHT, None, FOUR]
    assert quants(NET) == [None] * 5
    assert [layer.op for layer in net] == [layer.op for layer in NET]


def test_the_others_lose_theirs() -> None:
    net = QuantizeLayers(spec(conv=EIGHT, ip=EIGHT))(NET)
    assert quants(QuantizeLayers(spec(ip=FOUR))(net)) == [None, None, None, None, FOUR]
    assert quants(QuantizeLayers(spec())(net)) == [None] * 5


def test_a_net_that_has_the_formats_stays_the_same_object() -> None:
    assert QuantizeLayers(spec())(NET) is NET
    net = QuantizeLayers(spec(conv=EIGHT))(NET)
    assert QuantizeLayers(spec(conv=EIGHT))(net) is net


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        (["relu"], "layer 'relu': ReLU has no quantized type"),
        (["conv", "conv2", "a"], "net 'net' has no layer 'a' to quantize"),
    ],
)
def test_layers_that_cannot_be_are_named(names: list[str], fault: str) -> None:
    with pytest.raises(ModelError) as caught:
        QuantizeLayers(spec(**dict.fromkeys(names, EIGHT)))(NET)
    assert str(caught.value) == fault
