"""CachedSource: decoded batches, kept for the next pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from threading import Lock

from ristretto.data.source import Batch, BatchSource
from ristretto.identity import FileHash
from ristretto.net import Shape


class CachedSource:
    """A source that remembers its first batches, so that a search decodes them once and not for every trial.

    Parameters
    ----------
    source : BatchSource
        What is read.
    max_bytes : int
        Batches 0, 1, 2 ... are kept as long as their arrays together stay within so many bytes; later ones are
        decoded in every pass.

    Notes
    -----
    Where a pass runs past the data's end, its batches repeat sooner or later; repeats are taken from the memory and
    kept once. All arrays that it gives are read-only, kept or not, so that what works on a batch cannot change the
    next pass. Several passes may run at the same time, each in a thread of its own.
    """

    def __init__(self, source: BatchSource, max_bytes: int) -> None:
        self._source = source
        self._room = max_bytes
        self._kept: list[Batch] = []
        self._lock = Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """Where the data come from."""
        return self._source.names

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The shape of every blob in a batch."""
        return self._source.shapes

    @property
    def period(self) -> int | None:
        """After how many batches they repeat."""
        return self._source.period

    def batches(self, count: int, start: int = 0) -> Iterator[Batch]:
        """Give batches ``start .. start + count - 1``, from memory as far as they are there."""
        number, end = start, start + count
        while number < end:
            # Asked in every round: some sources know their length only when they have come to their end.
            period = self._source.period
            place = number % period if period else number
            kept = self._kept[place : place + end - number]
            if kept:
                yield from kept
                number += len(kept)
                continue
            stop = min(end, number - place + period) if period else end
            for batch in self._source.batches(stop - number, number):
                for array in batch.values():
                    array.flags.writeable = False
                self._keep(place, batch)
                yield batch
                number, place = number + 1, place + 1
                period = self._source.period
                if period and place >= period:
                    break

    def fingerprint(self, count: int, hashed: FileHash) -> str | None:
        """Give that of the source."""
        return self._source.fingerprint(count, hashed)

    def _keep(self, number: int, batch: Batch) -> None:
        """Keep a batch if it is the next one and fits; room is given up for good by the first that does not fit."""
        with self._lock:
            if number != len(self._kept):
                return
            self._room -= sum(array.nbytes for array in batch.values())
            if self._room >= 0:
                self._kept.append(batch)
