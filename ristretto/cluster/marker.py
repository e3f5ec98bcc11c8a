"""ClusterMarker: has nets run by the workers of a scheduler, shard by shard."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from ristretto.cluster.connection import connected
from ristretto.cluster.program import program
from ristretto.cluster.sender import Sender
from ristretto.cluster.shard import packed
from ristretto.data import BatchSource
from ristretto.execute import Executor
from ristretto.execute.score import Progress
from ristretto.formats import EXACT, Arithmetic
from ristretto.net import Net
from ristretto.search import Marks
from ristretto.search.scoring import Certain


@dataclass(eq=False)
class ClusterMarker:
    """Scores nets on Dask workers: a `Marker`, and a context within which it may be asked.

    It connects when it is asked first. Nets and batches are sent to the workers, which need no files; batches stay
    there for the next net. When a worker is lost, what it had is sent anew. Marks are joined in the batches' order and
    are those that a `TrialScorer` gives, to the last bit, with any number of workers.

    Parameters
    ----------
    address : str
        See `check_scheduler`.
    kind : type of Executor
        What runs the nets.
    source : BatchSource
        Read here.
    arithmetic : Arithmetic
    max_bytes : int
        Batches stay on the workers as long as they are so many bytes together; later ones are sent for every net.
    """

    address: str
    kind: type[Executor]
    source: BatchSource
    arithmetic: Arithmetic = EXACT
    max_bytes: int = 0
    _stack: ExitStack = field(default_factory=ExitStack, init=False)
    _sender: Sender | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        """Connect later: a search may find all that it asks for in the journal."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the scheduler, or stop the one that was started for this."""
        if self._sender is not None:
            self._sender.forget()
            self._sender = None
        self._stack.close()

    def marks(
        self,
        net: Net,
        blob: str,
        batches: range,
        *,
        certain: Certain | None = None,
        progress: Progress | None = None,
    ) -> Marks:
        """Score a net; see `Marker`.

        Raises
        ------
        ClusterError
            When the scheduler or all workers are gone, or one of them runs another program.
        """
        if self._sender is None:
            client = self._stack.enter_context(connected(self.address))
            self._sender = Sender(client, self.address, self.source, self.max_bytes)
        parcel = packed(self.kind, net, self.source.shapes, self.arithmetic, program())
        found: Marks | None = None
        for marked in self._sender.in_order(parcel, blob, batches):
            if marked.marks is not None:
                before = found
                for count in range(1, marked.marks.batches + 1):
                    part = marked.marks.first(count)
                    found = part if before is None else Marks.joined([before, part])
                    if progress:
                        progress()
                    # Where one machine stops: after this batch, though others may have been run.
                    if certain and certain(found):
                        return found
            if marked.error is not None:
                raise marked.error
        assert found is not None, "at least one batch"
        return found
