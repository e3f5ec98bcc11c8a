"""What needs more than shifts is named, with advice, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ristretto.errors import HardwareError
from ristretto.formats import FixedPoint, MiniFloat
from ristretto.hardware import Grid, Obstacle, needs, trace
from ristretto.hardware.forms import is_power_of_two
from ristretto.hardware.obstacle import refuse_obstacles
from ristretto.layers import (
    LRN,
    MVN,
    Concat,
    Crop,
    Eltwise,
    InnerProduct,
    Permute,
    Pooling,
    Power,
    ReLU,
    Reshape,
    ShuffleChannel,
    Sigmoid,
    Slice,
    Softmax,
    Split,
    Tile,
    Upsample,
)
from ristretto.net import Layer, LayerQuant, Op
from tests.hardware.chains import QUANT, conv, net_of

FIRST = conv("first", "data")


def between(op: Op, *bottoms: str) -> Layer:
    return Layer("x", op, bottoms or ("first",), ("x",))


BETWEEN = {
    "mean": between(Pooling("AVE", (3, 3), (3, 3))),
    "response": between(LRN(3)),
    "function": between(Sigmoid()),
    "float layer": between(MVN()),
    "factor": between(Eltwise("SUM", (0.3, 1.0)), "first", "first"),
    "unquantized": replace(conv("x", "first"), quant=None),
    "no format": between(Eltwise("SUM"), "first", "data"),
}


@pytest.mark.parametrize("kind", BETWEEN)
def test_what_stands_between_integers_is_named_with_advice(kind: str) -> None:
    # "no format": the first convolution trims the data in place, so what is mixed in must be another blob.
    twice = Layer("other", Power(1.0, 2.0), ("data",), ("other",))
    layer = replace(BETWEEN[kind], bottoms=tuple(b.replace("data", "other") for b in BETWEEN[kind].bottoms))
    before = (twice,) if "other" in layer.bottoms else ()
    path = trace(net_of(*before, FIRST, layer, conv("last", "x")), {})
    ((name, obstacle),) = path.obstacles
    assert (name, obstacle.kind) == ("x", kind)
    assert obstacle.reason
    assert obstacle.advice
    # Behind it there are integers again.
    assert path.grids["last.top0"] is not None
    with pytest.raises(HardwareError, match="layer 'x'") as caught:
        refuse_obstacles(needs(path).obstacles)
    assert obstacle.advice in caught.value.hint


FINE = {
    "a mean of four": between(Pooling("AVE", (2, 2), (2, 2))),
    "a mean of all": between(Pooling("AVE", (2, 2), (2, 2), pad=(0, 0))),
    "a clipped mean": between(Pooling("AVE", (4, 4), (4, 4))),
    "a maximum of nine": between(Pooling("MAX", (3, 3), (2, 2))),
    "a relu": between(ReLU()),
    "factors": between(Eltwise("SUM", (0.5, -2.0)), "first", "first"),
    "a factor of zero": between(Eltwise("SUM", (0.0, 1.0)), "first", "first"),
    "a product": between(Eltwise("PROD"), "first", "first"),
    "concat": between(Concat(), "first", "first"),
    "concat of rows": between(Concat(2), "first", "first"),
    "permute": between(Permute((0, 1, 3, 2))),
    "reshape": between(Reshape((0, 2, 9, 4))),
    "shuffle": between(ShuffleChannel(2)),
    "crop": between(Crop(2, (0,)), "first", "data"),
    "tile": between(Tile(2, 2)),
    "upsample": between(Upsample((2, 2))),
}


@pytest.mark.parametrize("what", FINE)
def test_what_shifts_and_places_can_do_is_no_obstacle(what: str) -> None:
    layer = FINE[what]
    channels = 4 if what == "concat" else 2
    path = trace(net_of(FIRST, layer, conv("last", "x", channels=channels)), {})
    assert path.obstacles == ()
    assert path.grids["x.top0"] is not None
    refuse_obstacles(needs(path).obstacles)


def test_slices_and_splits_give_all_their_tops_a_grid() -> None:
    path = trace(
        net_of(
            FIRST,
            Layer("split", Split(2), ("first",), ("a", "b")),
            Layer("slice", Slice(2), ("a",), ("c", "d")),
            Layer(
                "fc",
                InnerProduct(2),
                ("b",),
                ("fc",),
                (np.ones((2, 72), np.float32), np.zeros(2, np.float32)),
                quant=QUANT,
            ),
        ),
        {},
    )
    grid = path.grids["first.top0"]
    assert [path.grids[f"slice.top{i}"] for i in (0, 1)] == [grid, grid]
    assert [path.grids[f"split.top{i}"] for i in (0, 1)] == [grid, grid]


def test_minifloat_has_no_integers() -> None:
    short = MiniFloat(4, 3)
    path = trace(
        net_of(conv("first", "data", LayerQuant(short, short, short)), Layer("r", ReLU(), ("first",), ("r",))), {}
    )
    assert [(name, obstacle.kind) for name, obstacle in path.obstacles] == [("first", "minifloat")]
    assert path.grids["r.top0"] is None


def test_scores_and_a_softmax_at_the_end_are_the_hosts() -> None:
    path = trace(net_of(FIRST, Layer("prob", Softmax(), ("first",), ("prob",))), {})
    assert path.obstacles == ()
    assert [stage.layer.name for stage in path.stages if stage.host] == ["prob"]


def test_a_softmax_before_a_quantized_layer_is_not() -> None:
    path = trace(net_of(FIRST, between(Softmax()), conv("last", "x")), {})
    assert [(name, obstacle.kind) for name, obstacle in path.obstacles] == [("x", "float layer")]


def test_a_mean_that_is_no_shift_is_named_at_the_end_too() -> None:
    path = trace(net_of(FIRST, between(Pooling("AVE", global_pooling=True))), {})
    ((_, obstacle),) = path.obstacles
    assert "36 numbers" in obstacle.reason


def test_what_is_computed_from_the_data_before_the_first_word_is_the_hosts() -> None:
    path = trace(net_of(Layer("scale", Power(1.0, 0.3), ("data",), ("scaled",)), conv("first", "scaled")), {})
    assert path.obstacles == ()
    assert path["scale"].host
    assert path["first"].trim_in is not None
    assert path["first"].trim_in.shift is None


def test_sums_of_more_than_24_bits_are_named() -> None:
    fine = LayerQuant(FixedPoint(8, 4), FixedPoint(16, 24), FixedPoint(8, 6))
    coarse = LayerQuant(FixedPoint(8, 4), FixedPoint(16, 4), FixedPoint(8, 6))
    net = net_of(conv("a", "data", fine), conv("b", "data", coarse), between(Eltwise("SUM"), "a", "b"), conv("c", "x"))
    assert [obstacle.kind for _, obstacle in trace(net, {}).obstacles] == ["wide sum"]


def test_an_input_is_trimmed_in_place_for_every_later_reader() -> None:
    coarse = LayerQuant(FixedPoint(3, 1), FixedPoint(8, 4), FixedPoint(8, 6))
    net = net_of(FIRST, conv("second", "first", coarse), conv("third", "first"))
    path = trace(net, {})
    second, third = path["second"].trim_in, path["third"].trim_in
    assert second is not None
    assert third is not None
    assert (second.source, second.grid, second.shift) == (path.grids["first.top0"], Grid(1, -4, 3), 3)
    # It sees what the second one left, and shifts it back.
    assert (third.source, third.shift) == (Grid(1, -4, 3), -3)
    assert third.grid == Grid(4, -32, 24)


def test_a_name_that_shares_memory_sees_the_trim_too() -> None:
    coarse = LayerQuant(FixedPoint(3, 1), FixedPoint(8, 4), FixedPoint(8, 6))
    net = net_of(
        FIRST,
        Layer("again", Reshape((0, 0, 0, 0)), ("first",), ("again",)),
        conv("second", "first", coarse),
        Layer("x", ReLU(), ("again",), ("x",)),
        conv("third", "x"),
    )
    assert trace(net, {})["x"].bottoms == (Grid(1, -4, 3),)


def test_every_shift_beside_those_of_outputs_has_a_line() -> None:
    coarse = LayerQuant(FixedPoint(8, -2), FixedPoint(8, 3), FixedPoint(8, 6))
    fine = LayerQuant(FixedPoint(8, 4), FixedPoint(8, 12), FixedPoint(8, 6))
    net = net_of(
        FIRST, conv("second", "first", coarse), between(Concat(), "first", "second"), conv("last", "x", fine, 4)
    )
    assert needs(trace(net, {})).extra_shifts == (
        "layer 'second': blob 'first' has fl 4 and is read with fl -2: a shift to the right by 6 bits",
        "layer 'second': its products need a shift to the left by 2 bits to meet its bias",
        "layer 'x': its bottoms are aligned, left shifts of 5, 0 bits",
        "layer 'last': blob 'x' has fl 3 and is read with fl 4: a shift to the left by 1 bit",
        "layer 'last': its output is finer than its accumulator: a shift to the left by 2 bits",
    )


@pytest.mark.parametrize(
    ("number", "answer"), [(1, True), (0.25, True), (-8, True), (3, False), (0, False), (np.inf, False)]
)
def test_powers_of_two_are_told(number: float, answer: bool) -> None:
    assert is_power_of_two(number) is answer


def test_many_obstacles_make_one_line() -> None:
    layers = [Layer(f"s{i}", Sigmoid(), (f"s{i - 1}" if i else "first",), (f"s{i}",)) for i in range(8)]
    with pytest.raises(HardwareError) as caught:
        refuse_obstacles(needs(trace(net_of(FIRST, *layers, conv("last", "s7")), {})).obstacles)
    assert "\n" not in caught.value.message
    assert "'s1', 's2', 's3', 's4' and 3 more" in caught.value.message


def test_an_obstacle_is_plain_data() -> None:
    assert vars(Obstacle("a", "b", "c")) == {"kind": "a", "reason": "b", "advice": "c"}
