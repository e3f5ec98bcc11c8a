"""Effort: how much a search runs, beside what a search without sensitivities would."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

SHARE = 0.2
"""The most that a search may run, of what a naive one would."""


@dataclass(eq=False)
class Effort:
    """Counts what a search of layers' widths runs, and limits it.

    A naive search scores the net once for each site and each width that the site may have. The float net, which both
    score, does not count.

    Parameters
    ----------
    full : int
        Multiply-accumulates of scoring a net on all pictures that decide.
    widths : iterable of int
        How many widths each site may have.
    sensitivities : int
        Multiply-accumulates that measuring sensitivities took.
    """

    full: int
    widths: Iterable[int]
    sensitivities: int
    trials: float = field(default=0.0, init=False)
    """Trials, in full evaluations: one that stopped early counts for the batches that it took."""

    def __post_init__(self) -> None:
        self.naive = sum(count for count in self.widths if count > 1)

    @property
    def limit(self) -> float:
        """The most that may be run, in full evaluations."""
        return SHARE * self.naive

    def allows(self, trials: int) -> bool:
        """Whether so many more trials stay within the limit."""
        return self.spent + trials <= self.limit

    @property
    def spent(self) -> float:
        """What was run, in full evaluations."""
        return self.trials + self.sensitivities / max(self.full, 1)

    @property
    def share(self) -> float:
        """What was run, as a share of what a naive search would run."""
        return self.spent / max(self.naive, 1)

    def add(self, share: float) -> None:
        """Count a trial that was scored on a share of the pictures."""
        self.trials += share
