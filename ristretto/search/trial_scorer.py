"""TrialScorer: scores trials on the same batches, and runs once what they have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from ristretto.data import BatchSource
from ristretto.execute import Executor, Run, Scores, score
from ristretto.execute.prefix import Cut, begins_alike, cut, place_of_last_part, spelled_out
from ristretto.execute.score import Enough, Progress
from ristretto.formats import EXACT, Arithmetic
from ristretto.identity import digest
from ristretto.net import Net
from ristretto.net.op import Array
from ristretto.search.marks import Marks
from ristretto.search.scoring import Certain

Numbered = tuple[int, Mapping[str, Array]]
"""A batch with its number."""


@dataclass(eq=False)
class TrialScorer:
    """Scores nets on a source's first batches: a `Marker`.

    The base is the net that all others are condensed from. It is cut before the part that begins last, and what its
    layers before the cut make of each batch is kept. A net that begins with these very layers, as one does of which
    only that part's weights are condensed, runs its layers from the cut on. Scores are the same to the last bit,
    whatever is kept.

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
    base : Net or None
        By default the first net that is scored.
    """

    kind: type[Executor]
    source: BatchSource
    iterations: int
    arithmetic: Arithmetic = EXACT
    threads: int = 1
    max_bytes: int = 0
    base: Net | None = None
    first: Beginning | None = field(default=None, init=False)

    def score(
        self,
        net: Net,
        progress: Progress | None = None,
        *,
        batches: range | None = None,
        enough: Enough | None = None,
    ) -> Scores:
        """Score a net.

        Parameters
        ----------
        net : Net
            Of one phase, with weights.
        progress : callable or None
            Called after each batch.
        batches : range or None
            Consecutive ones; by default the first `iterations`.
        enough : callable or None
            Given the scores so far after each batch; when it says so, they are the result.
        """
        batches = range(self.iterations) if batches is None else batches
        net = spelled_out(net, self.source.shapes, self.arithmetic)
        self.first = self.first or self._beginning(net)
        if not begins_alike(net, self.first.net, self.first.place):
            executor = self.kind(net, self.source.shapes, arithmetic=self.arithmetic)
            read = self.source.batches(len(batches), batches.start)
            return score(executor, read, threads=self.threads, progress=progress, enough=enough)
        halves = cut(net, self.first.place, self.source.shapes)
        runner = Halves(self.first, halves, self.kind(halves.tail, {}, arithmetic=self.arithmetic))
        numbered = self._numbered(self.first, batches)
        return score(runner, numbered, threads=self.threads, progress=progress, enough=enough)

    def marks(
        self,
        net: Net,
        blob: str,
        batches: range,
        *,
        certain: Certain | None = None,
        progress: Progress | None = None,
    ) -> Marks:
        """Score a net; see `Marker`."""

        def enough(scores: Scores) -> bool:
            return certain is not None and certain(Marks.of(scores, blob))

        found = self.score(net, progress, batches=batches, enough=enough if certain else None)
        return Marks.of(found, blob)

    def conditions(self, fingerprint: str) -> str:
        """Give a digest of all that decides on marks beside the net; the data are told by their fingerprint."""
        return digest(self.kind.name, self.arithmetic, fingerprint)

    def _beginning(self, net: Net) -> Beginning:
        if self.base is not None:
            net = spelled_out(self.base, self.source.shapes, self.arithmetic)
        place = place_of_last_part(net)
        head = cut(net, place, self.source.shapes).head
        return Beginning(net, place, self.kind(head, self.source.shapes, arithmetic=self.arithmetic), self.max_bytes)

    def _numbered(self, first: Beginning, batches: range) -> Iterator[Numbered]:
        """Give the batches with their numbers; empty ones where they need not be read again."""
        known = min(first.known(batches.start), batches.stop)
        rest = self.source.batches(batches.stop - known, known) if known < batches.stop else ()
        return chain(((number, {}) for number in range(batches.start, known)), enumerate(rest, known))


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

    def known(self, start: int) -> int:
        """Give the number of the first batch, from `start` on, that must be read."""
        while start in self.runs:
            start += 1
        return start

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
