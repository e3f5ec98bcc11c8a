"""Own widths for every layer, found with made-up losses that add up: held to trying every net."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.calibrate import CalibrationStats, calibrate
from ristretto.net import Net, Part
from ristretto.search import COSTS, LAYERS, MODES, PRESETS, Goal, Marks, Score, SearchResult, run_search
from ristretto.search.allocation import Distortions
from ristretto.search.cost import StoredBits
from ristretto.search.effort import SHARE
from ristretto.search.front import pareto_front
from ristretto.search.layerwise import EveryLayer
from ristretto.search.sensitivity import Measured
from ristretto.search.sites import Assignment, Bounds, Kept, Site, find_sites, widths_of
from tests.search.layer_nets import SHAPES, small_net

NET = small_net()
NAMES = ["conv1", "conv2", "ip"]
BASELINE = 0.9
POINTS = 0.01


@cache
def stats() -> CalibrationStats:
    rng = np.random.default_rng(0)
    batch = {"data": rng.normal(size=SHAPES["data"]), "label": np.zeros(SHAPES["label"])}
    return calibrate(NET, SHAPES, [{blob: values.astype(np.float32) for blob, values in batch.items()}])


def made_up(sites: Sequence[Site], seed: int) -> Distortions:
    """Give losses in points: some tenths at 4 bits, about a third for each bit more."""
    rng = np.random.default_rng(seed)
    found = {}
    for site in sites:
        at_four = rng.uniform(0.05, 1)
        found[site.places] = {width: float(at_four * rng.uniform(2.5, 4) ** (4 - width)) for width in site.widths}
    return found


def assignment(net: Net, sites: Sequence[Site]) -> Assignment | None:
    """Give the widths of a net; None for the float net."""
    widths = []
    for site in sites:
        layer, kind = site.places[0]
        quant = net[layer].quant
        if quant is None:
            return None
        widths.append(getattr(quant, kind).bw)
    return tuple(widths)


@dataclass
class MadeUp:
    """A search of a net whose points lost are sums over its sites, but for some luck."""

    seed: int = 0
    bounds: Bounds = field(default_factory=lambda: Bounds(1, 8))
    keep: dict[str, Kept] = field(default_factory=dict)
    luck: float = 0.0
    cost: str = "weight_bits"
    front: bool = False
    sensitivities: int = 0

    def __post_init__(self) -> None:
        self.sites = find_sites(NET, NAMES, self.bounds, self.keep)
        self.distortions = made_up(self.sites, self.seed)
        self.scored: list[Assignment] = []

    def lost(self, net: Assignment) -> float:
        """Give the points that a net loses."""
        lost = sum(self.distortions[site.places][width] for site, width in zip(self.sites, net, strict=True))
        return lost + self.luck * float(np.random.default_rng((self.seed, *net)).normal())

    def score(self, net: Net, *_: object) -> Score:
        widths = assignment(net, self.sites)
        if widths is None:
            return Score(BASELINE)
        self.scored.append(widths)
        return Score(BASELINE - POINTS * self.lost(widths))

    def measure(self, sites: Sequence[Site], spec: Callable[..., object]) -> Measured:
        return Measured(self.distortions, self.sensitivities)

    def search(self, margin: float = 1.0) -> SearchResult:
        by_layer = EveryLayer(self.sites, COSTS[self.cost], SHAPES, 100, self.measure, self.front)
        mode, goal = MODES["dynamic_fixed_point"], Goal("accuracy", margin)
        return run_search(NET, stats(), PRESETS["accurate"], mode, self.score, goal, by_layer=by_layer)

    def price(self, net: Assignment, cost: str = "") -> float:
        chosen = StoredBits() if cost == "stored_bits" else COSTS[cost or self.cost]
        layered = self.layered
        return chosen.total(layered.workload, widths_of(self.sites, net))

    def run(self, margin: float = 1.0) -> Assignment:
        """Search; give the widths chosen."""
        found = self.search(margin)
        assert found.layered is not None
        self.layered, self.found = found.layered, found
        (chosen,) = {net for net in self.scored if widths_of(self.sites, net) == found.widths}
        return chosen


def cheapest(made: MadeUp, margin: float = 1.0) -> float:
    """Try every net; give the least cost of those that hold."""
    nets = product(*(site.widths for site in made.sites))
    return min(made.price(net) for net in nets if made.lost(net) <= margin)


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("seed", range(4))
def test_few_trials_find_what_all_nets_would_show(cost: str, seed: int) -> None:
    """4 ** 7 nets; the search tries five and ends within a tenth of the cheapest."""
    made = MadeUp(seed, Bounds(3, 6), cost=cost)
    chosen = made.run(margin=2.0)
    assert made.found.decided.holds
    assert made.lost(chosen) <= 2
    best = cheapest(made, margin=2.0)
    assert len(made.scored) <= 5
    assert best <= made.price(chosen) <= 1.1 * best


def test_with_weights_alone_the_search_ends_at_the_cheapest_net() -> None:
    made = MadeUp(seed=3, bounds=Bounds(1, 16), keep={"ip": Kept(8, 8)})
    chosen = made.run()
    layered, sites = made.layered, made.sites
    widest = [site.widths[-1] if not site.is_weights else 0 for site in sites]
    nets = ((*weights, *widest[3:]) for weights in product(*(site.widths for site in sites[:3])))
    best = min(layered.price(widths_of(sites, net)) for net in nets if made.lost(net) <= 1)
    assert made.price(chosen) == best


@given(
    st.integers(0, 10_000),
    st.tuples(st.integers(1, 16), st.integers(1, 16)).map(sorted),
    st.sampled_from(list(COSTS)),
    st.sampled_from([{}, {"conv2": Kept(8, 8)}, {"ip": Kept(3, 12)}]),
    st.sampled_from([0.0, 0.3]),
    st.booleans(),
)
@settings(max_examples=40)
def test_what_a_search_always_keeps_to(
    seed: int, bits: list[int], cost: str, keep: dict[str, Kept], luck: float, front: bool
) -> None:
    made = MadeUp(seed, Bounds(*bits), keep, luck, cost, front)
    chosen = made.run()
    for net in made.scored:
        for site, width in zip(made.sites, net, strict=True):
            kept = {layer: own for layer, own in keep.items() if any(layer == place for place, _ in site.places)}
            wanted = {own.params if site.is_weights else own.activations for own in kept.values()}
            assert width in wanted or (not wanted and bits[0] <= width <= bits[1])
    assert len(set(made.scored)) == len(made.scored), "a net is scored once"
    free = sum(len(site.widths) for site in made.sites if len(site.widths) > 1)
    # At least one net must be scored, however little there is to choose from.
    assert len(made.scored) <= max(SHARE * free, 1)
    assert made.layered.effort.trials == len(made.scored)
    held = [net for net in made.scored if made.lost(net) <= 1]
    assert made.found.decided.holds is bool(held)
    if held:
        assert made.price(chosen) == min(made.price(net) for net in held)
    assert all(trial.part == LAYERS and trial.bits == {} for trial in made.found.trials)


def test_the_same_is_found_again() -> None:
    one, two = MadeUp(7, luck=0.3), MadeUp(7, luck=0.3)
    assert one.run() == two.run()
    assert one.scored == two.scored


def test_no_net_with_one_width_for_each_part_that_was_tried_is_cheaper() -> None:
    made = MadeUp(2)
    chosen = made.run()
    best = made.layered.best_of_parts
    assert best is not None
    assert made.price(chosen) < made.layered.price(best)
    by_part: dict[Part, set[int]] = {}
    for site in made.sites:
        layer, kind = site.places[0]
        by_part.setdefault(site.part, set()).add(getattr(best[layer], kind))
    assert {len(widths) for widths in by_part.values()} == {1}
    assert by_part[Part.ACTIVATIONS] == {8}, "as wide as may be, as they cost nothing"


def test_sensitivities_that_mislead_still_leave_the_best_net_of_parts() -> None:
    """Distortions that say the opposite of what trials show: no layer's net holds that is not one of parts."""
    made = MadeUp(1)
    parts = {(8, 8, 8), (8, 8, 4)}
    made.lost = lambda net: 0.0 if net[:3] in parts and set(net[3:]) == {8} else 9.0  # type: ignore[method-assign]
    assert made.run()[:3] in parts


def test_sensitivities_that_mislead_still_leave_narrower_nets_of_one_width() -> None:
    """Nets hold whose convolutions all have 6 bits or more, which no sensitivity says, and no rung of the ladder is."""
    made = MadeUp(1, keep={"ip": Kept(8, 8)})
    made.lost = lambda net: 0.0 if min(net[:2]) >= 6 else 9.0  # type: ignore[method-assign]
    assert made.run()[:3] == (6, 6, 8)


def test_what_the_cost_leaves_open_takes_few_bits_too() -> None:
    made = MadeUp(5, Bounds(1, 16))
    chosen = made.run()
    assert all(width < 16 for width in chosen[3:])
    same = [net for net in made.scored if net[:3] == chosen[:3] and made.lost(net) <= 1]
    assert len(same) > 1
    assert made.price(chosen, "stored_bits") == min(made.price(net, "stored_bits") for net in same)


def test_where_nothing_holds_the_widest_net_is_given() -> None:
    made = MadeUp(1, Bounds(1, 2))
    chosen = made.run(margin=0.01)
    assert not made.found.decided.holds
    assert chosen == (2,) * 7


def test_a_search_that_may_run_little_stops_early() -> None:
    made = MadeUp(1, Bounds(1, 16))
    full = 100 * 1004
    made.sensitivities = 14 * full
    made.run()
    # 7 sites with 16 widths: a fifth is 22.4 evaluations, of which 14 are spent.
    assert len(made.scored) == 8
    effort = made.layered.effort
    assert (effort.naive, effort.full) == (112, full)
    assert effort.share == pytest.approx(22 / 112)


def test_a_trial_that_stopped_early_counts_for_what_it_took() -> None:
    made = MadeUp(4)
    rng = np.random.default_rng(0)

    def score(net: Net, certain: Callable[[Marks], bool] | None = None) -> Score:
        widths = assignment(net, made.sites)
        right = 0.9 if widths is None else 0.9 - 0.2 * min(made.lost(widths), 4)
        seen = rng.random((10, 50)) < right
        for count in range(1, 11):
            marks = Marks(count, seen[:count].reshape(-1))
            if certain and certain(marks):
                break
        if widths is not None:
            made.scored.append(widths)
            taken.append(marks.batches / 10)
        return Score.of(marks, whole=marks.batches == 10)

    taken: list[float] = []
    made.score = score  # type: ignore[method-assign]
    goal = Goal("accuracy", 1.0, bounds=(0.0, 1.0))
    by_layer = EveryLayer(made.sites, COSTS["weight_bits"], SHAPES, 500, made.measure)
    found = run_search(NET, stats(), PRESETS["accurate"], MODES["dynamic_fixed_point"], score, goal, by_layer=by_layer)
    assert found.layered is not None
    assert min(taken) < 1
    # The chosen one may have been scored once more, to the end.
    assert found.layered.effort.trials == pytest.approx(sum(taken[: len(found.trials)]))


def test_the_front_is_what_no_net_beats() -> None:
    made = MadeUp(6, Bounds(1, 16), front=True)
    made.run()
    front = pareto_front(made.found)
    assert len(front) > 5
    assert sum(net.chosen for net in front) == 1
    costs, scores = [net.cost for net in front], [net.trial.score.value for net in front]
    assert costs == sorted(costs)
    assert scores == sorted(scores)
    everything = [(made.layered.price(trial.widths), trial.score.value) for trial in made.found.trials]
    for cost, score in everything:
        assert any(net.cost <= cost and net.trial.score.value >= score for net in front)
    chosen = next(net for net in front if net.chosen)
    assert min(costs) < 0.9 * chosen.cost
    assert max(costs) > 1.2 * chosen.cost


def test_a_score_that_is_no_number_is_on_no_front() -> None:
    made = MadeUp(6, Bounds(1, 8), front=True)
    whole = made.lost
    made.lost = lambda net: math.nan if sum(net[:3]) % 2 else whole(net)  # type: ignore[method-assign]
    made.run()
    assert any(math.isnan(trial.score.value) for trial in made.found.trials)
    assert not any(math.isnan(net.trial.score.value) for net in pareto_front(made.found))
