"""Sender: sends nets and batches to workers, asks for marks on shards, and sends anew what is lost with a worker."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ristretto.cluster.address import unreachable
from ristretto.cluster.connection import PATIENCE, no_workers
from ristretto.cluster.shard import Load, Marked, Parcel, mark_shard
from ristretto.data import BatchSource
from ristretto.errors import ClusterError, DataError

SHARD = 2
"""Batches in a shard, but at the ends of what is asked for. It does not depend on the number of workers."""
ATTEMPTS = 5
"""How often something is sent when workers are lost that have it."""
LOOK = 2.0
"""Seconds of waiting after which is looked whether there are workers at all."""
GONE = ("cancelled", "lost", "error")
"""What distributed says of something that lies on no worker any more."""


def shards(batches: range) -> list[range]:
    """Cut batches into shards: at the same places whatever the range, so that what lies on workers is found again.

    Examples
    --------
    >>> shards(range(3, 7))
    [range(3, 4), range(4, 6), range(6, 7)]
    """
    cuts = [batches.start, *range((batches.start // SHARD + 1) * SHARD, batches.stop, SHARD), batches.stop]
    return [range(start, stop) for start, stop in pairwise(cuts)]


@dataclass(eq=False)
class Request:
    """A shard that marks are asked for.

    Parameters
    ----------
    shard : range
        Its batches.
    future : distributed.Future
        Of the `Marked`.
    attempts : int
        How often it was sent.
    """

    shard: range
    future: Any
    attempts: int = 1


@dataclass(eq=False)
class Sender:
    """Has workers score nets; keeps batches on them.

    Parameters
    ----------
    client : distributed.Client
    address : str
        The scheduler's, for errors.
    source : BatchSource
    max_bytes : int
        See `ClusterMarker`.
    """

    client: Any
    address: str
    source: BatchSource
    max_bytes: int
    _loads: dict[range, _Kept] = field(default_factory=dict, init=False)
    _bytes: int = field(default=0, init=False)

    def in_order(self, parcel: Parcel, blob: str, batches: range) -> Iterator[Marked]:
        """Give what comes of the shards, in their order; those that nobody waits for any more are called off.

        Parameters
        ----------
        parcel : Parcel
            The net.
        blob : str
            The output blob that is the score.
        batches : range

        Raises
        ------
        ClusterError
            When the scheduler is gone, there is no worker for long, or a shard is lost again and again.
        """
        self._wait_for_workers()
        # Enough to have work for everyone, and not all batches at once on the workers.
        ahead = 2 * sum(self.client.nthreads().values())
        net = _Kept(self, parcel)
        waiting: deque[Request] = deque()
        unread: DataError | None = None
        try:
            for shard in shards(batches):
                try:
                    waiting.append(Request(shard, self._ask(net, blob, shard)))
                except DataError as error:
                    # What comes before it may be enough.
                    unread = error
                    break
                if len(waiting) > ahead:
                    yield self._answer(waiting[0], net, blob)
                    waiting.popleft()
            while waiting:
                yield self._answer(waiting[0], net, blob)
                waiting.popleft()
            if unread is not None:
                raise unread
        finally:
            for request in waiting:
                request.future.release()

    def forget(self) -> None:
        """Let go of the batches on the workers."""
        self._loads.clear()

    def _ask(self, net: _Kept, blob: str, shard: range) -> Any:
        held, load = self._load(shard)
        wanted = slice(shard.start - held.start, shard.stop - held.start)
        return self.client.submit(mark_shard, net.future(), blob, load, wanted, pure=False)

    def _answer(self, request: Request, net: _Kept, blob: str) -> Marked:
        from distributed import KilledWorker
        from distributed.comm import CommClosedError

        idle_since: float | None = None
        while True:
            try:
                answer: Marked = request.future.result(timeout=LOOK)
                return answer
            except TimeoutError:
                idle_since = None if self._has_workers() else idle_since or time.monotonic()
                if idle_since is not None and time.monotonic() - idle_since > PATIENCE:
                    raise no_workers(self.address) from None
            except (CancelledError, KilledWorker, CommClosedError) as error:
                if request.attempts == ATTEMPTS:
                    raise ClusterError(
                        f"the scheduler at {self.address} loses every worker that runs the net",
                        hint="have the workers enough memory?",
                    ) from error
                self._wait_for_workers()
                request.attempts += 1
                request.future = self._ask(net, blob, request.shard)

    def _load(self, shard: range) -> tuple[range, Any]:
        """Give batches on a worker, a shard among them, and which ones they are."""
        for held, kept in self._loads.items():
            if held.start <= shard.start and shard.stop <= held.stop:
                return held, kept.future()
        load = Load(tuple(dict(batch) for batch in self.source.batches(len(shard), shard.start)))
        kept = _Kept(self, load)
        if self._bytes + load.nbytes <= self.max_bytes:
            self._loads[shard] = kept
            self._bytes += load.nbytes
        return shard, kept.future()

    def scattered(self, thing: object) -> Any:
        """Bring something to a worker; give distributed's future of it.

        Raises
        ------
        ClusterError
            When no worker takes it.
        """
        for _ in range(ATTEMPTS):
            self._wait_for_workers()
            try:
                return self.client.scatter(thing, hash=False)
            except (OSError, CancelledError):
                # The worker that it went to is lost just now; the scheduler may have to learn it first.
                time.sleep(0.5)
        raise unreachable(self.address, ConnectionError("nothing can be sent to its workers"))

    def _wait_for_workers(self) -> None:
        self._check_scheduler()
        try:
            self.client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise no_workers(self.address) from None
        except (OSError, CancelledError) as error:
            raise self._gone() from error

    def _has_workers(self) -> bool:
        self._check_scheduler()
        try:
            return bool(self.client.nthreads())
        except (OSError, CancelledError) as error:
            raise self._gone() from error

    def _check_scheduler(self) -> None:
        if self.client.status != "running":
            raise self._gone()

    def _gone(self) -> ClusterError:
        return ClusterError(
            f"the scheduler at {self.address} is gone",
            hint="start it and its workers anew; what the journal has of this search is not scored again",
        )


@dataclass(eq=False)
class _Kept:
    """Something that workers hold, and that is sent anew when none of them does any more."""

    sender: Sender
    content: object
    there: Any = None

    def future(self) -> Any:
        if self.there is None or self.there.status in GONE:
            self.there = self.sender.scattered(self.content)
        return self.there
