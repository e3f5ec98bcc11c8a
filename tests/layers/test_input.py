"""Input: the shapes that a file declares."""

from __future__ import annotations

import pytest

from ristretto.errors import ModelError
from ristretto.layers import Input
from ristretto.net import Layer, Net, Phase

TEXT = 'type: "Input" top: "a" top: "b" input_param {{ {} }}'


def net(op: Input) -> Net:
    return Net("net", (Layer("in", op, tops=("a", "b")),)).for_phase(Phase.TEST)


@pytest.mark.parametrize(
    ("settings", "shapes"),
    [
        ("shape { dim: [2, 3, 4, 5] }", ((2, 3, 4, 5), (2, 3, 4, 5))),
        ("shape { dim: [2, 3] } shape { dim: 2 }", ((2, 3), (2,))),
        ("shape { } shape { dim: 1 }", ((), (1,))),
    ],
)
def test_one_shape_serves_all_tops_or_each_has_its_own(layer, settings, shapes) -> None:
    op = layer(TEXT.format(settings))
    assert op.is_data
    assert net(op).shapes({})["in"] == shapes


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ("", "declares no shape"),
        ("shape { dim: 0 dim: 3 }", r"shape \(0, 3\) holds nothing"),
        ("shape { dim: -1 }", r"shape \(-1,\) holds nothing"),
    ],
)
def test_shapes_without_sense_are_named(layer, settings, fault) -> None:
    with pytest.raises(ModelError, match=f"layer 'in': .*{fault}"):
        net(layer(TEXT.format(settings))).shapes({})


def test_fewer_shapes_than_tops_are_named() -> None:
    op = Input(((1,), (2,)))
    three = Net("net", (Layer("in", op, tops=("a", "b", "c")),)).for_phase(Phase.TEST)
    with pytest.raises(ModelError, match="2 shapes for more tops"):
        three.shapes({})


def test_what_is_fed_decides_over_what_is_declared() -> None:
    assert net(Input(((1, 3),))).shapes({"a": (7, 3)})["in"] == ((7, 3), (1, 3))
