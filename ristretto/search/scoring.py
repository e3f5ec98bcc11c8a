"""Scoring: what nets score on a stretch of the data, from the journal where it is known, and run where it is not.

A search asks a `Scorer` for a net's `Score`. That is a `Stretch`, which asks a `Marker` for marks on its batches: a
`TrialScorer`, which runs the net, or a `KeptMarks`, which looks into the journal first. Whoever runs nets elsewhere, on
other machines say, is one more `Marker`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from ristretto.execute.score import Progress
from ristretto.identity import digest
from ristretto.net import Net
from ristretto.search.journal import Journal
from ristretto.search.marks import Marks
from ristretto.search.result import Score

Certain = Callable[[Marks], bool]
"""Says after each batch, from the marks so far, whether scoring may stop."""


class Scorer(Protocol):
    """Gives a net's score."""

    def __call__(self, net: Net, certain: Certain = ..., /) -> Score:
        """Score a net, on fewer batches when it may stop; it stops at the first that is enough."""


class Marker(Protocol):
    """Gives what nets score, batch by batch."""

    def marks(
        self,
        net: Net,
        blob: str,
        batches: range,
        *,
        certain: Certain | None = None,
        progress: Progress | None = None,
    ) -> Marks:
        """Score a net.

        Parameters
        ----------
        net : Net
            Of one phase, with weights.
        blob : str
            The output blob that is the score.
        batches : range
            Consecutive ones, at least one.
        certain : callable or None
            Asked after each batch, in order; scoring stops at the first one after which it says so. The marks depend
            on nothing else: not on threads, nor on what was scored before.
        progress : callable or None
            Called after each batch.
        """


@dataclass(frozen=True, eq=False)
class Stretch:
    """Scores nets on a stretch of the data: a `Scorer`.

    Parameters
    ----------
    marker : Marker
    blob : str
        The output blob that is the score.
    batches : range
    stage : callable
        Opens a stage of so many batches; gives what is called after each.
    """

    marker: Marker
    blob: str
    batches: range
    stage: Callable[[int], AbstractContextManager[Progress]] = lambda batches: nullcontext(lambda: None)

    def __call__(self, net: Net, certain: Certain | None = None, /) -> Score:
        """Score a net."""
        with self.stage(len(self.batches)) as advance:
            marks = self.marker.marks(net, self.blob, self.batches, certain=certain, progress=advance)
        return Score.of(marks, whole=marks.batches == len(self.batches))


@dataclass(eq=False)
class KeptMarks:
    """Looks into a journal before it has a net scored: a `Marker`.

    What is kept of a net are its marks from some batch on. They are taken as far as they are wanted, and go on where
    they end, so that a trial which stopped early is not begun anew.

    Parameters
    ----------
    marker : Marker
        Scores what is not known.
    journal : Journal
    conditions : str
        A digest of all that decides on marks beside the net: the data, the arithmetic, what runs the nets.
    """

    marker: Marker
    journal: Journal
    conditions: str
    finished: int = field(default=0, init=False)
    """Nets that were scored and kept."""

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
        key = digest("marks", identity(net), blob, self.conditions, batches.start)
        kept = self.journal.read(key)
        known = None if kept is None else Marks.of_arrays(kept)
        if known is not None:
            for count in range(1, min(known.batches, len(batches)) + 1):
                if progress:
                    progress()
                if count == len(batches) or (certain and certain(known.first(count))):
                    return known.first(count)
        found = self._go_on(net, blob, batches, known, certain, progress)
        self.finished += self.journal.write(key, found.arrays())
        return found

    def _go_on(
        self,
        net: Net,
        blob: str,
        batches: range,
        known: Marks | None,
        certain: Certain | None,
        progress: Progress | None,
    ) -> Marks:
        if known is None:
            return self.marker.marks(net, blob, batches, certain=certain, progress=progress)

        def together(more: Marks) -> bool:
            return certain is not None and certain(Marks.joined([known, more]))

        left = batches[known.batches :]
        rest = self.marker.marks(net, blob, left, certain=together if certain else None, progress=progress)
        return Marks.joined([known, rest])


def identity(net: Net) -> str:
    """Give a digest of all that a net's numbers depend on, but for its data."""
    return digest(
        [
            # What data layers give is the data's own business, wherever they lie.
            (layer.name, None if layer.op.is_data else layer.op, layer.bottoms, layer.tops, layer.quant, layer.blobs)
            for layer in net
        ]
    )
