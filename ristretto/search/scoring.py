"""TrialScorer: scores trials on the same batches, and runs once what they have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from ristretto.data import BatchSource
from ristretto.execute import Executor, Run, Scores, score
from ristretto.execute.prefix import Cut, begins_alike, cut, place_of_last_part, spelled_out
from ristretto.execute.score import Progress
from ristretto.formats import EXACT, Arithmetic
from ristretto.net import Net
from ristretto.net.op import Array

Numbered = tuple[int, Mapping[str, Array]]
"""A batch with its number."""


@dataclass(eq=False)
class TrialScorer:
    """Scores nets on a source's first batches.

    The first net is the one that all others are condensed from. It is cut before the part that begins last, and what
    its layers before the cut make of each batch is kept. A later net that begins with these very layers, as one does
    of which only that part's weights are condensed, runs its layers from the cut on. Scores are the same to the last
    bit, whatever is kept.

    Parameters
    ----------
    kind : type of Executor
        What runs the nets; one whose halves of a net give the bits of the whole (see `execute.prefix`).
    source : BatchSource
    iterations : int
        Batches.
    arithmetic : Arithmetic
    threads : int
        The scores do not depend on it.
    max_bytes : int
        The layers' results for batches 0, 1, 2 ... are kept as long as they stay within so many bytes together; those
        for later batches are computed for every net.
    """

    kind: type[Executor]
    source: BatchSource
    iterations: int
    arithmetic: Arithmetic = EXACT
    threads: int = 1
    max_bytes: int = 0
    first: Beginning | None = field(default=None, init=False)

    def score(self, net: Net, progress: Progress | None = None) -> Scores:
        """Score a net.

        Parameters
        ----------
        net : Net
            Of one phase, with weights.
        progress : callable or None
            Called after each batch.
        """
        net = spelled_out(net, self.source.shapes, self.arithmetic)
        self.first = self.first or self._beginning(net)
        if not begins_alike(net, self.first.net, self.first.place):
            executor = self.kind(net, self.source.shapes, arithmetic=self.arithmetic)
            batches = self.source.batches(self.iterations)
            return score(executor, batches, threads=self.threads, progress=progress)
        halves = cut(net, self.first.place, self.source.shapes)
        runner = Halves(self.first, halves, self.kind(halves.tail, {}, arithmetic=self.arithmetic))
        return score(runner, self._numbered(self.first), threads=self.threads, progress=progress)

    def _beginning(self, net: Net) -> Beginning:
        place = place_of_last_part(net)
        head = cut(net, place, self.source.shapes).head
        return Beginning(net, place, self.kind(head, self.source.shapes, arithmetic=self.arithmetic), self.max_bytes)

    def _numbered(self, first: Beginning) -> Iterator[Numbered]:
        """Give the batches with their numbers; empty ones where they need not be read again."""
        known = min(first.known, self.iterations)
        rest = self.source.batches(self.iterations - known, known) if known < self.iterations else ()
        return chain(((number, {}) for number in range(known)), enumerate(rest, known))


@dataclass(eq=False)
class Beginning:
    """What the first layers of a net make of each batch.

    Parameters
    ----------
    net : Net
        Spelled out.
    place : int
        The first layer that does not belong to them.
    executor : Executor
        Runs them.
    max_bytes : int
        See `TrialScorer`.
    """

    net: Net
    place: int
    executor: Executor
    max_bytes: int
    runs: dict[int, Run] = field(default_factory=dict, init=False)

    @property
    def known(self) -> int:
        """How many batches, from the first on, need not be read again."""
        count = 0
        while count in self.runs:
            count += 1
        return count

    def run(self, number: int, batch: Mapping[str, Array]) -> Run:
        """Give what the layers make of a batch; several threads may ask at once, each for a batch of its own."""
        if number in self.runs:
            return self.runs[number]
        run = self.executor.run(batch)
        # All batches have one size: which ones are kept does not depend on who comes first.
        size = sum(value.nbytes for value in run.outputs.values())
        if (number + 1) * size <= self.max_bytes:
            for value in run.outputs.values():
                value.flags.writeable = False
            self.runs[number] = run
        return run


@dataclass(frozen=True, eq=False)
class Halves:
    """Runs a net whose first layers may have been run before."""

    first: Beginning
    halves: Cut
    tail: Executor

    def run(self, batch: Numbered, /) -> Run:
        """Run a numbered batch."""
        head = self.first.run(*batch)
        return self.halves.joined(head, self.tail.run(self.halves.handed(head)))
