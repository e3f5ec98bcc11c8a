"""Where boxes stand in the drawing of a net, in any net."""

from __future__ import annotations

import re
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.api import inspect
from ristretto.report.page.arrangement import GAP, POINT, _apart, arrange, rows_of
from ristretto.report.page.drawing import drawn
from ristretto.report.page.model import Node
from ristretto.report.page.wiring import connect


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[float], list[tuple[int, int]]]:
    """Boxes of some width, and arrows from lower to higher numbers."""
    widths = draw(st.lists(st.floats(20, 200), min_size=1, max_size=12))
    pairs = list(combinations(range(len(widths)), 2))
    arrows = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=20)) if pairs else []
    return widths, sorted(arrows)


@given(graphs())
def test_arrows_lead_down_and_nothing_overlaps(graph: tuple[list[float], list[tuple[int, int]]]) -> None:
    widths, arrows = graph
    ranks = rows_of(len(widths), arrows)
    assert all(ranks[start] < ranks[end] for start, end in arrows)
    assert min(ranks) >= 0
    found = arrange(ranks, widths, arrows)
    boxes: dict[int, list[tuple[float, float]]] = {}
    for rank, centre, width in zip(ranks, found.centres, widths, strict=True):
        boxes.setdefault(rank, []).append((centre - width / 2, centre + width / 2))
    for (start, end), way in zip(arrows, found.ways, strict=True):
        assert [row for row, _ in way] == list(range(ranks[start] + 1, ranks[end]))
        for row, centre in way:
            boxes.setdefault(row, []).append((centre - POINT / 2, centre + POINT / 2))
    for spans in boxes.values():
        ordered = sorted(spans)
        assert all(right + GAP <= left + 1e-6 for (_, right), (left, _) in pairwise(ordered))
    assert all(-1e-6 <= left <= right <= found.width + 1e-6 for spans in boxes.values() for left, right in spans)


def test_what_is_alone_in_its_row_stands_on_one_axis() -> None:
    """Blocks of branches, of which the left one is long: without an axis each block would push the next one aside."""
    widths, arrows, before = [100.0], [], 0
    for _ in range(5):
        first = len(widths)
        widths += [120.0, 170.0, 150.0, 100.0]
        arrows += [
            (before, first),
            (before, first + 1),
            (first + 1, first + 2),
            (first, first + 3),
            (first + 2, first + 3),
        ]
        before = first + 3
    found = arrange(rows_of(len(widths), arrows), widths, arrows)
    joints = [found.centres[index] for index in range(0, len(widths), 4)]
    assert joints == pytest.approx([joints[0]] * len(joints))


@pytest.mark.parametrize("name", ["googlenet", "resnet50", "mobilenet_v1"])
def test_well_known_nets_are_drawn_whole(repo: Path, name: str) -> None:
    rows = inspect(repo / "models" / name / "deploy.prototxt").layers
    nodes = [
        Node(row.name, row.type, row.bottoms, row.tops, row.shapes or (), row.parameters, row.macs) for row in rows
    ]
    svg = drawn(nodes, [])
    boxes, arrows = connect(nodes, [])
    assert len(nodes) == len(boxes) + sum(len(box.followers) for box in boxes)
    assert svg.count('class="box float"') == len(boxes) < 0.7 * len(nodes)
    assert svg.count('class="arrow"') == len(arrows)
    assert float(re.findall(r'width="([\d.]+)"', svg)[0]) < 1100


def test_a_source_stands_right_above_its_reader() -> None:
    # 0 -> 1 -> 2 -> 4, and 3 -> 4: 3 could stand at the top.
    assert rows_of(5, [(0, 1), (1, 2), (2, 4), (3, 4)]) == [0, 1, 2, 2, 3]


@given(
    st.lists(st.tuples(st.floats(-100, 100), st.floats(10, 50), st.sampled_from([1.0, 4.0])), min_size=1, max_size=6)
)
def test_places_are_the_nearest_that_leave_boxes_apart(boxes: list[tuple[float, float, float]]) -> None:
    """By the conditions that make a least sum of squares: pulled together, each run of boxes that touch is at rest."""
    wishes, wide, weights = ([box[axis] for box in boxes] for axis in range(3))
    row = list(range(len(boxes)))
    places = _apart(row, wishes, wide, weights)
    gaps = [(wide[a] + wide[a + 1]) / 2 + GAP for a in row[:-1]]
    slack = [places[a + 1] - places[a] - gap for a, gap in enumerate(gaps)]
    assert all(free >= -1e-6 for free in slack)
    pull = [weight * (wish - place) for weight, wish, place in zip(weights, wishes, places, strict=True)]
    scale = 1e-6 * (1 + sum(map(abs, pull)))
    pressed = 0.0
    for index, force in enumerate(pull):
        # What a box is pushed with to the right by those before it, and passes on to the next one that it touches.
        pressed += force
        assert pressed >= -scale
        if index == len(slack) or slack[index] > 1e-6:
            assert abs(pressed) <= scale
            pressed = 0.0


def node(name: str, bottoms: list[str], tops: list[str]) -> Node:
    return Node(name, "Any", tuple(bottoms), tuple(tops), (), None, None)


def test_what_works_in_place_stays_with_the_last_layer_that_made_the_blob() -> None:
    nodes = [
        node("data", [], ["x"]),
        node("conv", ["x"], ["y"]),
        node("relu", ["y"], ["y"]),
        node("drop", ["y"], ["y"]),
        node("sum", ["x", "y"], ["z"]),
    ]
    boxes, arrows = connect(nodes, [])
    assert [(box.main.name, [other.name for other in box.followers]) for box in boxes] == [
        ("data", []),
        ("conv", ["relu", "drop"]),
        ("sum", []),
    ]
    assert [(arrow.start, arrow.end, arrow.blob) for arrow in arrows] == [(0, 1, "x"), (0, 2, "x"), (1, 2, "y")]


def test_a_layer_in_place_of_what_nobody_made_has_a_box_of_its_own() -> None:
    boxes, arrows = connect([node("relu", ["y"], ["y"])], [])
    assert len(boxes) == 1
    assert not arrows


@pytest.mark.parametrize("count", [0, 1])
def test_small_nets_have_a_place_too(count: int) -> None:
    found = arrange(rows_of(count, []), [100.0] * count, [])
    assert found.width == 100 * count
