"""The Pareto front: nets that no other net beats in both cost and score."""

from __future__ import annotations

from dataclasses import dataclass

from ristretto.search.cost import StoredBits
from ristretto.search.result import SearchResult, Trial


@dataclass(frozen=True, eq=False)
class FrontNet:
    """A net of the front.

    Parameters
    ----------
    cost : float
    trial : Trial
    chosen : bool
        Whether it is the one that the search has chosen.
    """

    cost: float
    trial: Trial
    chosen: bool


def pareto_front(result: SearchResult) -> list[FrontNet]:
    """Give the trials with widths for all layers that no other beats, from cheap to dear.

    One beats another that costs as much or more and scores no better. Where costs are equal, the bits that weights and
    activations take decide. Scores are those of the batches that decide.
    """
    layered = result.layered
    assert layered is not None, "it is asked of searches of layers' widths"
    sign = 1 if result.higher_is_better else -1
    stored = StoredBits()
    nets = []
    for order, trial in enumerate(result.trials):
        if trial.score.whole and all(None not in trial.widths[name].places for name in layered.workload.layers):
            costs = layered.price(trial.widths), stored.total(layered.workload, trial.widths)
            nets.append((costs, -sign * trial.score.value, order, trial))
    found: list[FrontNet] = []
    best = float("inf")
    for (cost, _), loss, _, trial in sorted(nets, key=lambda net: net[:3]):
        # A score that is not a number is no better than any.
        if loss < best:
            found.append(FrontNet(cost, trial, trial.condensed is result.condensed))
            best = loss
    return found
