"""BatchSource: batches by number, and several sources as one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ristretto.identity import FileHash, digest
from ristretto.net import Shape

Batch = Mapping[str, NDArray[np.float32]]
"""The tops of the data layers by blob name; arrays are C-contiguous, and the reader's own or read-only."""


class BatchSource(Protocol):
    """Gives batches; batch k is the same in every pass, whatever was read before it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Where the data come from, as the prototxt names it."""

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The shape of every blob in a batch."""

    @property
    def period(self) -> int | None:
        """After how many batches they repeat, bit for bit; None when they do not, or when it is not known yet."""

    def batches(self, count: int, start: int = 0) -> Iterator[Batch]:
        """Give batches ``start .. start + count - 1``; a source has no end, it begins anew."""

    def fingerprint(self, count: int, hashed: FileHash) -> str | None:
        """Give a digest of all that decides on batches ``0 .. count - 1``; None where the source cannot tell.

        Parameters
        ----------
        count : int
            A source of many files looks at those alone that these batches are made of.
        hashed : callable
            Gives a digest of what files hold.
        """


class MergedSource:
    """The data layers of one phase, side by side: batch k holds batch k of each.

    Parameters
    ----------
    sources : sequence of BatchSource
        Their blobs have different names.
    """

    def __init__(self, sources: Sequence[BatchSource]) -> None:
        self._sources = tuple(sources)

    @property
    def names(self) -> tuple[str, ...]:
        """Where the data come from, in layer order."""
        return tuple(name for source in self._sources for name in source.names)

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The shape of every blob in a batch."""
        return {blob: shape for source in self._sources for blob, shape in source.shapes.items()}

    @property
    def period(self) -> int | None:
        """After how many batches all sources repeat at once."""
        periods = [source.period for source in self._sources]
        return None if None in periods else math.lcm(*(period for period in periods if period))

    def batches(self, count: int, start: int = 0) -> Iterator[Batch]:
        """Give batches ``start .. start + count - 1``."""
        for parts in zip(*(source.batches(count, start) for source in self._sources), strict=True):
            yield {blob: array for part in parts for blob, array in part.items()}

    def fingerprint(self, count: int, hashed: FileHash) -> str | None:
        """Give a digest of all sources; None where one of them cannot tell."""
        found = [source.fingerprint(count, hashed) for source in self._sources]
        return None if None in found else digest("merged", found)
