"""Which trims and clamps become part of the work before them, and which must not."""

from __future__ import annotations

import math

import pytest

from ristretto.execute.compiled.fuse import fuse
from ristretto.formats import FixedPoint
from ristretto.layers import Clip, Concat, Eltwise, Pooling, ReLU, ReLU6, Sigmoid
from ristretto.net import Op
from tests.execute.compiled.programs import E, Program, is_move, kinds, made_by

COARSE, FINE, WIDE = FixedPoint(8, 2), FixedPoint(8, 6), FixedPoint(20, 6)
POOL = Pooling("MAX", (2, 2), (2, 2))


def test_a_trim_a_relu_and_the_next_layers_trim_are_one_epilogue() -> None:
    graph = Program().conv("data", "a").add(ReLU(), "a", top="a").conv("a", "b", COARSE).graph("b")
    fuse(graph)
    assert kinds(graph) == ["load", "multiply", "multiply", "store"]
    load, a, b, _ = graph.nodes
    assert (load.trims, a.trims, b.trims) == ([E], [E, COARSE], [E])
    assert (a.low, a.high, b.low) == (0, math.inf, -math.inf)
    assert a.output is b.inputs[0]
    assert a.output.fmt == COARSE
    assert (load.trimmed_by, a.trimmed_by, a.blob) == ("a", "b", "a")


def test_a_trim_behind_a_concat_goes_into_what_makes_its_parts() -> None:
    program = Program().conv("data", "a").conv("data", "b", E, FINE).add(Concat(), "a", "b", top="c")
    graph = program.conv("c", "d", COARSE).graph("d")
    fuse(graph)
    assert kinds(graph) == ["load", "multiply", "multiply", "stack", "multiply", "store"]
    assert made_by(graph, "a").trims == [E, COARSE]
    assert made_by(graph, "b").trims == [FINE, COARSE]
    stack = made_by(graph, "c")
    assert [value.fmt for value in stack.inputs] == [COARSE, COARSE]
    assert stack.output is made_by(graph, "d").inputs[0]
    assert not stack.trims


def test_it_goes_through_a_maximum_and_a_second_concat_too() -> None:
    program = Program().conv("data", "a").conv("data", "b").add(Concat(), "a", "b", top="c").add(POOL, "c", top="p")
    program.add(Concat(), "p", "p", top="pp")
    graph = program.add(ReLU(), "p", top="r").conv("r", "d", COARSE).graph("d")
    # Nobody reads the second concat: it is no reader that counts once it is gone.
    graph.nodes.remove(made_by(graph, "pp"))
    fuse(graph)
    for name in "ab":
        maker = made_by(graph, name)
        assert (maker.trims, maker.low) == ([E, COARSE], 0)
    assert not any(map(is_move, graph.nodes))


@pytest.mark.parametrize("op", [Eltwise("MAX"), Eltwise("SUM")], ids=["MAX", "SUM"])
def test_it_stops_at_what_joins_numbers(op: Op) -> None:
    graph = Program().conv("data", "a").conv("data", "b").add(op, "a", "b", top="c").conv("c", "d", COARSE).graph("d")
    fuse(graph)
    assert (made_by(graph, "a").trims, made_by(graph, "c").trims) == ([E], [COARSE])


def test_nothing_goes_past_a_second_reader() -> None:
    program = Program().conv("data", "a").conv("data", "b").add(Sigmoid(), "a", top="s")
    graph = program.add(Concat(), "a", "b", top="c").conv("c", "d", COARSE).graph("d", "s")
    fuse(graph)
    a, b = made_by(graph, "a"), made_by(graph, "b")
    assert (a.trims, b.trims) == ([E], [E, COARSE])
    (move,) = filter(is_move, graph.nodes)
    assert (move.inputs, move.trims) == ([a.output], [COARSE])
    assert made_by(graph, "s").inputs == [a.output]


def test_nothing_goes_past_what_is_kept() -> None:
    program = Program().conv("data", "a")
    program.add(ReLU(), "a", top="r", keep=["r.top0"])
    graph = program.conv("r", "b", COARSE).graph("b")
    fuse(graph)
    assert (made_by(graph, "a").trims, made_by(graph, "a").low) == ([E], 0)
    (move,) = filter(is_move, graph.nodes)
    assert move.trims == [COARSE]


def test_a_concat_of_a_blob_with_itself_is_a_second_reader() -> None:
    graph = Program().conv("data", "a").add(Concat(), "a", "a", top="c").conv("c", "d", COARSE).graph("d")
    fuse(graph)
    assert made_by(graph, "a").trims == [E]
    assert [node.trims for node in filter(is_move, graph.nodes)] == [[COARSE], [COARSE]]


@pytest.mark.parametrize(
    ("clip", "ends"),
    [
        (Clip(-0.5, 0.5), (-0.5, 0.5)),
        (Clip(-0.3, 0.5), None),
        (Clip(-0.5, 0.53125), None),
        (Clip(-100.0, 100.0), (-100.0, 100.0)),
        (ReLU6(), (0.0, 6.0)),
        (Clip(8.0, 9.0), None),
        (Clip(-9.0, -8.5), None),
    ],
)
def test_a_clamp_off_the_grid_stays(clip: Op, ends: tuple[float, float] | None) -> None:
    """Its ends are numbers of the format, which ends at -8 and 7.9375, or lie beyond them without cutting all off."""
    graph = Program().conv("data", "a").add(clip, "a", top="c").graph("c")
    fuse(graph)
    maker = made_by(graph, "a")
    if ends:
        assert (maker.low, maker.high) == ends
        assert not any(map(is_move, graph.nodes))
    else:
        assert not maker.clamps
        (move,) = filter(is_move, graph.nodes)
        assert move.clamps


@pytest.mark.parametrize(
    ("first", "second", "ends"),
    [
        (Clip(-1.0, 3.0), Clip(0.0, 4.0), (0.0, 3.0)),
        (Clip(0.0, 6.0), Clip(-2.0, -2.0), (-2.0, -2.0)),
        (Clip(-2.0, -1.0), ReLU(), (0.0, 0.0)),
        (ReLU(), Clip(-3.0, -1.0), (-1.0, -1.0)),
    ],
)
def test_one_clamp_behind_another(first: Op, second: Op, ends: tuple[float, float]) -> None:
    graph = Program().conv("data", "a").add(first, "a", top="b").add(second, "b", top="c").graph("c")
    fuse(graph)
    maker = made_by(graph, "a")
    assert (maker.low, maker.high) == ends


def test_a_third_trim_stays() -> None:
    program = Program().conv("data", "a").add(ReLU(), "a", top="a", trim_in=COARSE).add(ReLU(), "a", top="a")
    graph = program.conv("a", "b", FINE).graph("b")
    fuse(graph)
    assert made_by(graph, "a").trims == [E, COARSE]
    (move,) = filter(is_move, graph.nodes)
    assert move.trims == [FINE]


def test_a_trim_to_the_same_format_is_none() -> None:
    program = Program().conv("data", "a").add(ReLU(), "a", top="r", trim_in=E).add(ReLU6(), "r", top="s")
    graph = program.conv("s", "b").graph("b")
    fuse(graph)
    assert made_by(graph, "a").trims == [E]
    assert (made_by(graph, "a").low, made_by(graph, "a").high) == (0, 6)
    assert not any(map(is_move, graph.nodes))


def test_integer_sums_are_not_trimmed_to_words_that_have_no_codes() -> None:
    graph = Program().conv("data", "a").add(ReLU(), "a", top="b", trim_in=WIDE).graph("b")
    fuse(graph)
    assert made_by(graph, "a").trims == [E]
    assert sum(map(is_move, graph.nodes)) == 1


def test_what_is_loaded_as_it_is_is_clamped_behind() -> None:
    """Loading trims, but does not clamp numbers without a format."""
    graph = Program().add(ReLU(), "data", top="a").graph("a")
    fuse(graph)
    assert kinds(graph) == ["load", "move", "store"]
