"""Layerwise: own widths for every layer, found from sensitivities and few trials."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from ristretto.net import QuantSpec, Shape
from ristretto.search.allocation import Allocation
from ristretto.search.cost import Cost, StoredBits
from ristretto.search.effort import Effort
from ristretto.search.layered import Layered
from ristretto.search.neighbours import a_bit_narrower, down_to_the_next_rung, narrower, with_one_width
from ristretto.search.preset import Trials
from ristretto.search.result import Trial
from ristretto.search.sensitivity import Measured
from ristretto.search.sites import Assignment, Site, widths_of
from ristretto.search.widths import Widths
from ristretto.search.workload import Workload

REFINEMENTS, FEW_REFINEMENTS = 16, 4
"""The most trials of nets beside those that sensitivities point to, for each of the two costs; few where each one's
weights are changed to suit it, which takes a minute where scoring takes seconds."""
STEP = 0.05
"""How much less than the cheapest net that holds the next one may cost, as a share: neighbours share their luck."""
HOPELESS = 3
"""After so many nets that missed the margin with no more distortion, and none that held with as much, a net is not
tried."""
FRONT = (0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.25, 1.5, 2.0)
"""What further nets of a front cost, as shares of the result's cost."""


@dataclass(frozen=True, eq=False)
class EveryLayer:
    """Decides the widths of all layers, for `run_search`.

    Parameters
    ----------
    sites : sequence of Site
        Of the net; those with several widths are free.
    cost : Cost
        What is minimized.
    inputs : mapping of str to shape
        The shapes of one batch.
    pictures : int
        How many a trial is scored on.
    measure : callable
        Measures sensitivities; given the sites, and what gives formats for widths.
    front : bool
        Whether nets along the front are wanted, and so whole scores.
    """

    sites: Sequence[Site]
    cost: Cost
    inputs: Mapping[str, Shape]
    pictures: int
    measure: Callable[[Sequence[Site], Callable[[Widths], QuantSpec]], Measured]
    front: bool = False

    def __call__(self, trials: Trials) -> tuple[Trial, Layered]:
        """Measure sensitivities, and search."""
        workload = Workload.of(trials.net, self.inputs, trials.stats.layers)
        measured = self.measure(self.sites, trials.spec)
        counts = [len(site.widths) for site in self.sites]
        effort = Effort(workload.macs * self.pictures, counts, measured.macs)
        layered = Layered(self.cost, workload, self.sites, measured.distortions, effort, front=self.front)
        search = LayerSearch(trials, layered)
        return search.decide(), replace(layered, best_of_parts=search.best_of_parts)


@dataclass(eq=False)
class LayerSearch:
    """Decides the widths of layers.

    1. Nets with one width for each part are bisected for the cheapest that holds: those that have the least distortion
       for their cost, first on the ladder of a search of parts, then between its rungs, and then with a bit less at the
       sites that suffer least for what that saves. Sensitivities, which are those of weights as they are, mislead least
       among nets so much alike.
    2. So are nets with own widths that cost less than what was found; what is known by then narrows the range. From the
       border on, cheaper ones are tried a step apart, until some in a row miss.
    3. From the cheapest one on, a bit is taken where that harms least for what it saves, alone or for a bit given back
       elsewhere; what holds is kept.
    4. Widths that the cost does not depend on were at their widest so far. They are found as in 2 and 3, with the bits
       that weights and activations take for a cost.

    Parameters
    ----------
    trials : Trials
    plan : Layered
        What it goes by.
    """

    trials: Trials
    plan: Layered
    tried: dict[Assignment, Trial] = field(default_factory=dict, init=False)
    part_nets: list[Assignment] = field(default_factory=list, init=False)
    """Nets with one width for each part, from cheap to dear."""

    def decide(self) -> Trial:
        """Give the trial of the widths chosen; it misses the margin only if no net that was tried holds."""
        sites = self.plan.sites
        idle = {at for at in range(len(sites)) if not self._everything.matters(at)}
        first = self._allocation(_set(sites, {at: sites[at].widths[-1] for at in idle}), self.plan.cost)
        self._with_one_width(first)
        best = self._minimize(first)
        if idle and self.tried[best].holds:
            rest = _set(sites, {at: width for at, width in enumerate(best) if at not in idle})
            best = self._minimize(self._allocation(rest, StoredBits()))
        if self.plan.front:
            self._along_the_front(first, best, idle)
        stored = self._allocation(sites, StoredBits())
        return self.tried[min(self._held or [best], key=lambda net: (self._everything.price(net), stored.price(net)))]

    def _with_one_width(self, allocation: Allocation) -> None:
        """Find the cheapest net with one width for each part, and take a bit where that harms least."""
        self.part_nets = with_one_width(allocation)
        self._bisect(allocation, self.part_nets)
        if self._held:
            rungs = down_to_the_next_rung(allocation.sites, self._cheapest(allocation))
            self._bisect(allocation, with_one_width(allocation, rungs))
            narrower_sites = a_bit_narrower(allocation.sites, self._cheapest(allocation))
            narrow = self._allocation(narrower_sites, allocation.cost)
            self._bisect(narrow, narrow.hull())

    @property
    def _held(self) -> list[Assignment]:
        """The nets that held, in the order in which they were tried."""
        return [net for net, trial in self.tried.items() if trial.holds]

    def _held_of(self, allocation: Allocation) -> list[Assignment]:
        return [net for net in self._held if allocation.allows(net)]

    def _cheapest(self, allocation: Allocation) -> Assignment:
        """Give the cheapest net that held, of equals the first: the order of the trials decides."""
        return min(self._held_of(allocation), key=allocation.price)

    @property
    def _reserved(self) -> int:
        """How many trials are put aside for the front."""
        return min(len(FRONT), int(self.plan.effort.limit / 3)) if self.plan.front else 0

    @cached_property
    def _everything(self) -> Allocation:
        return self._allocation(self.plan.sites, self.plan.cost)

    @property
    def best_of_parts(self) -> Widths | None:
        """The cheapest net with one width for each part that held."""
        held = [self.tried[net] for net in self.part_nets if net in self.tried and self.tried[net].holds]
        return held[0].widths if held else None

    def _allocation(self, sites: Sequence[Site], cost: Cost) -> Allocation:
        return Allocation(sites, self.plan.distortions, cost, self.plan.workload)

    def _minimize(self, allocation: Allocation) -> Assignment:
        """Find the cheapest net that holds; where none does, give the one with the least distortion."""
        hull = allocation.hull()
        most = (1 - STEP) * min(map(allocation.price, self._held_of(allocation)), default=math.inf)
        self._bisect(allocation, [net for net in hull if allocation.price(net) <= most])
        self._go_on(allocation, hull)
        if not self._held_of(allocation):
            self._run(hull[-1])
            return hull[-1]
        best = self._cheapest(allocation)
        for _ in range(FEW_REFINEMENTS if self.trials.changes_weights else REFINEMENTS):
            new = next((net for net in narrower(allocation, best) if self._is_worth_a_trial(net)), None)
            if new is None or not self._may_run(reserved=self._reserved):
                break
            best = new if self._run(new).holds else best
        return best

    def _is_worth_a_trial(self, net: Assignment) -> bool:
        """Whether a net is new, and trials have not shown yet that what suffers so much misses the margin."""
        if net in self.tried:
            return False
        suffered = self._everything.distortion(net)
        others = [(self._everything.distortion(each), trial.holds) for each, trial in self.tried.items()]
        missed = sum(not holds for distortion, holds in others if distortion <= suffered)
        return missed < HOPELESS or any(holds for distortion, holds in others if distortion >= suffered)

    def _bisect(self, allocation: Allocation, nets: Sequence[Assignment]) -> None:
        """Look for the first net that holds among some whose cost rises while their distortion falls."""
        misses, holds = -1, len(nets)
        guesses = self._guesses([allocation.distortion(net) for net in nets])
        while holds - misses > 1 and self._may_run(reserved=self._reserved):
            inside = [guess for guess in guesses if misses < guess < holds]
            probe = inside[0] if inside else (misses + holds) // 2
            if self._run(nets[probe]).holds:
                holds = probe
            else:
                misses = probe

    def _go_on(self, allocation: Allocation, nets: Sequence[Assignment]) -> None:
        """Try cheaper nets than the best one, a step apart, until some in a row miss: chance may have misled before."""
        misses = 0
        while misses < HOPELESS and self._may_run(reserved=self._reserved):
            most = min(map(allocation.price, self._held_of(allocation)), default=0) * (1 - STEP * (misses + 1))
            cheaper = [net for net in nets if allocation.price(net) <= most]
            if not cheaper:
                break
            misses = 0 if self._run(cheaper[-1]).holds else misses + 1

    def _guesses(self, distortions: Sequence[float]) -> list[int]:
        """Give the first net that suffers no more than one that held, and the last that suffers as one that missed."""
        held = [self._everything.distortion(net) for net, trial in self.tried.items() if trial.holds]
        missed = [self._everything.distortion(net) for net, trial in self.tried.items() if not trial.holds]
        first = [sum(each > max(held) for each in distortions)] if held else []
        last = [sum(each >= min(missed) for each in distortions) - 1] if missed else []
        return first + last

    def _along_the_front(self, allocation: Allocation, best: Assignment, idle: set[int]) -> None:
        """Try cheaper and dearer nets than the best one, with its widths where the cost does not depend on them."""
        along = self._allocation(_set(allocation.sites, {at: best[at] for at in idle}), self.plan.cost)
        hull, price = along.hull(), along.price(best)
        for share in FRONT:
            if self._may_run(reserved=0):
                _, at = min((abs(along.price(net) - share * price), at) for at, net in enumerate(hull))
                self._run(hull[at])

    def _run(self, net: Assignment) -> Trial:
        if net not in self.tried:
            trial = self.trials.of_layers(widths_of(self.plan.sites, net), whole=self.plan.front)
            marks, every = trial.score.marks, self.trials.baseline.marks
            self.plan.effort.add(marks.batches / every.batches if marks and every else 1.0)
            self.tried[net] = trial
        return self.tried[net]

    def _may_run(self, *, reserved: int) -> bool:
        """Whether another trial is allowed, beside some that are put aside."""
        # One more for the widest net, as long as no other holds.
        return self.plan.effort.allows(1 + reserved + (not self._held))


def _set(sites: Sequence[Site], widths: dict[int, int]) -> list[Site]:
    """Set the widths of some sites, by their places in the order of all."""
    return [replace(site, widths=(widths[at],)) if at in widths else site for at, site in enumerate(sites)]
