"""Widths of layers on a terminal and as plain data."""

from __future__ import annotations

import pytest

from ristretto.net import Part
from ristretto.report import layers
from ristretto.search import COSTS
from ristretto.search.effort import Effort
from ristretto.search.layered import Layered
from ristretto.search.sites import Site
from ristretto.search.widths import LayerWidths
from ristretto.search.workload import Blob, LayerWork, Workload

WORKLOAD = Workload(
    {"a": LayerWork(1000, 50_000, 30), "b": LayerWork(500, 500, 10)},
    (
        Blob("data", 30, (("a", "layer_in"),)),
        Blob("a", 10, (("a", "layer_out"), ("b", "layer_in"))),
        Blob("b", 2, (("b", "layer_out"),)),
    ),
    50_500,
)
WIDTHS = {"a": LayerWidths(8, 6, 4), "b": LayerWidths(6, 9, 7)}
EIGHT = {"a": LayerWidths(16, 16, 8), "b": LayerWidths(16, 16, 8)}
SITE = Site("a", Part.CONV_PARAMS, (("a", "params"),), (4,))


def layered(cost: str = "weight_bits", *, parts: bool = True) -> Layered:
    effort = Effort(2_000_000_000, [16, 16, 1], sensitivities=1_000_000_000)
    effort.add(2.5)
    distortions = {SITE.places: {4: 0.25}}
    return Layered(COSTS[cost], WORKLOAD, [SITE], distortions, effort, EIGHT if parts else None)


def test_the_narrowest_and_the_widest_width_are_shown() -> None:
    assert layers.span(WIDTHS) == "4-7/6-9"
    assert layers.span(EIGHT) == "8/16"
    assert layers.span({"a": LayerWidths(params=3)}) == "3/float"


def test_the_closing_lines_by_hand() -> None:
    # 4 * 1000 + 7 * 500 = 7,500 of 48,000 bits; with 8 bits it is 12,000. 3 of 32 evaluations were run.
    assert layers.closing(layered(), WIDTHS).splitlines() == [
        "weights: 7,500 bits, 15.6 % of the float net's 48,000",
        "one width for each part, at best: 12,000 bits (8/16); this is 37.5 % less",
        "run: 6 of 64 billion multiply-accumulates, 9.4 % of a naive search (32 evaluations of the net: each site "
        "alone at each width)",
    ]


def test_without_a_net_of_parts_there_is_nothing_to_compare_with() -> None:
    assert len(layers.closing(layered(parts=False), WIDTHS).splitlines()) == 2


@pytest.mark.parametrize(
    ("number", "shown"), [(7_500, "7,500"), (1.5e12, "1,500,000,000,000"), (6.04, "6.04"), (0.0123, "0.0123"), (0, "0")]
)
def test_figures(number: float, shown: str) -> None:
    assert layers.figure(number) == shown


def test_widths_as_plain_data() -> None:
    assert layers.of_widths(WIDTHS)["b"] == {"layer_in": 6, "layer_out": 9, "params": 7}
