"""Widths with the least cost for a distortion: held to trying every net."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.search import COSTS
from ristretto.search.allocation import Allocation
from ristretto.search.cost import Cost, StoredBits
from ristretto.search.neighbours import (
    LEAST_SAVING,
    a_bit_narrower,
    down_to_the_next_rung,
    narrower,
    with_one_width,
)
from ristretto.search.sites import Assignment, Bounds, Kept, find_sites
from ristretto.search.workload import Workload
from tests.search.layer_nets import SHAPES, small_net

NET = small_net()
NAMES = ["conv1", "conv2", "ip"]
WORKLOAD = Workload.of(NET, SHAPES, NAMES)
ALL_COSTS = [*COSTS.values(), StoredBits()]


def allocation(cost: Cost, seed: int, bounds: Bounds | None = None, keep: dict[str, Kept] | None = None) -> Allocation:
    """Give a choice with made-up distortions, which fall with the width as a rule."""
    sites = find_sites(NET, NAMES, bounds or Bounds(2, 4), keep)
    rng = np.random.default_rng(seed)
    distortions = {
        site.places: {width: float(rng.uniform(0.2, 2) * rng.uniform(2, 5) ** -width) for width in site.widths}
        for site in sites
    }
    return Allocation(sites, distortions, cost, WORKLOAD)


def every_net(choice: Allocation) -> list[Assignment]:
    return list(product(*(site.widths for site in choice.sites)))


@given(st.sampled_from(ALL_COSTS), st.integers(0, 10_000), st.booleans())
@settings(max_examples=60)
def test_the_hull_is_that_of_all_nets(cost: Cost, seed: int, kept: bool) -> None:
    choice = allocation(cost, seed, keep={"conv2": Kept(3, 4)} if kept else None)
    points = np.array([(choice.price(net), choice.distortion(net)) for net in every_net(choice)])
    hull = choice.hull()
    corners = np.array([(choice.price(net), choice.distortion(net)) for net in hull])
    assert (np.diff(corners[:, 0]) > 0).all()
    assert (np.diff(corners[:, 1]) < 0).all()
    assert corners[0, 0] == points[:, 0].min()
    assert corners[-1, 1] == pytest.approx(points[:, 1].min())
    slopes = -np.diff(corners[:, 1]) / np.diff(corners[:, 0])
    assert (np.diff(slopes) < 0).all() or len(hull) < 3
    # Whatever a bit is worth: no net has a smaller sum than the best corner.
    for worth in [*slopes, *(slopes * 1.7), *(slopes / 3)]:
        assert (corners @ (worth, 1)).min() <= (points @ (worth, 1)).min() * (1 + 1e-9)


@pytest.mark.parametrize("cost", ALL_COSTS)
def test_a_site_matters_where_some_net_costs_less_for_it(cost: Cost) -> None:
    choice = allocation(cost, 1)
    for at, site in enumerate(choice.sites):
        changes = any(
            choice.price(net) != choice.price((*net[:at], site.widths[0], *net[at + 1 :])) for net in every_net(choice)
        )
        assert choice.matters(at) is changes, site


def test_what_matters_to_weight_bits() -> None:
    choice = allocation(COSTS["weight_bits"], 1, keep={"conv1": Kept(3, 4)})
    assert [site.name for at, site in enumerate(choice.sites) if choice.matters(at)] == ["conv2", "ip"]


@given(st.sampled_from(ALL_COSTS), st.integers(0, 10_000))
@settings(max_examples=40)
def test_nets_of_one_width_are_the_best_of_their_kind(cost: Cost, seed: int) -> None:
    choice = allocation(cost, seed, Bounds(1, 16), keep={"conv2": Kept(3, 5)})
    found = with_one_width(choice)
    everything = []
    for conv, fc, outputs in product((16, 8, 4, 2, 1), repeat=3):
        everything.append((conv, 3, fc, outputs, 5, 5, outputs))
    assert set(found) <= set(everything)
    for net in everything:
        assert any(
            choice.price(one) <= choice.price(net) and choice.distortion(one) <= choice.distortion(net) for one in found
        )
    prices = [choice.price(net) for net in found]
    assert prices == sorted(prices)


def test_between_two_rungs_every_width_is_a_choice() -> None:
    choice = allocation(COSTS["weight_bits"], 1, Bounds(2, 16), keep={"conv2": Kept(3, 5)})
    rungs = down_to_the_next_rung(choice.sites, (8, 3, 4, 16, 5, 5, 16))
    assert {part.value: list(widths) for part, widths in rungs.items()} == {
        "conv_params": [5, 6, 7, 8],
        "fc_params": [3, 4],
        "activations": list(range(9, 17)),
    }
    found = with_one_width(choice, rungs)
    for conv, _, fc, outputs, five, also, last in found:
        assert conv in range(5, 9)
        assert fc in (3, 4)
        assert outputs == last
        assert 9 <= last <= 16
        assert five == also == 5
    prices = [choice.price(net) for net in found]
    assert prices == sorted(prices)
    assert len(found) > 3


def test_below_the_last_rung_there_is_nothing() -> None:
    choice = allocation(COSTS["weight_bits"], 1, Bounds(1, 16))
    rungs = down_to_the_next_rung(choice.sites, (1,) * 7)
    assert {tuple(widths) for widths in rungs.values()} == {(1,)}


def test_a_bit_narrower_stays_within_the_bounds() -> None:
    choice = allocation(COSTS["weight_bits"], 1, Bounds(4, 16), keep={"conv2": Kept(3, 5)})
    found = a_bit_narrower(choice.sites, (8, 3, 4, 16, 5, 5, 9))
    assert [site.widths for site in found] == [(7, 8), (3,), (4,), (15, 16), (5,), (5,), (8, 9)]
    assert [site.places for site in found] == [site.places for site in choice.sites]


@given(st.sampled_from(ALL_COSTS), st.integers(0, 10_000))
@settings(max_examples=40)
def test_neighbours_save_and_stay_within_the_bounds(cost: Cost, seed: int) -> None:
    choice = allocation(cost, seed, keep={"ip": Kept(4, 4)})
    nets = every_net(choice)
    net = nets[seed % len(nets)]
    found = list(narrower(choice, net))
    assert len(set(found)) == len(found)
    worth = []
    for new in found:
        changes = sorted(b - a for a, b in zip(net, new, strict=True) if a != b)
        assert changes in ([-1], [-1, 1])
        assert choice.allows(new)
        saved = choice.price(net) - choice.price(new)
        assert saved >= LEAST_SAVING * choice.price(net)
        worth.append((choice.distortion(new) - choice.distortion(net)) / saved)
    assert worth == sorted(worth)
    for at in range(len(net)):
        less = (*net[:at], net[at] - 1, *net[at + 1 :])
        saves = choice.allows(less) and choice.price(net) - choice.price(less) >= LEAST_SAVING * choice.price(net)
        assert (less in found) is saves
