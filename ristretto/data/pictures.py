"""PictureSource: batches of pictures and labels, from whatever holds pictures by number."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np

from ristretto.data.picture import Picture, spell
from ristretto.data.source import Batch
from ristretto.data.transform import Transformer
from ristretto.errors import DataError
from ristretto.identity import FileHash, digest
from ristretto.net import Shape

AHEAD = 2
"""Batches whose pictures are decoded while an earlier one is in use."""

Labelled = tuple[Picture, float]
"""A picture with its label."""


class Pictures(Protocol):
    """Pictures with labels in an order without end; several threads may load."""

    @property
    def name(self) -> str:
        """Where they come from, for messages and reports."""

    @property
    def encoded(self) -> bool:
        """Whether loading one is work that is worth handing to a thread; asked after the first was loaded."""

    @property
    def period(self) -> int | None:
        """After how many pictures they repeat; None when they do not, or when it is not known yet."""

    def place(self, number: int) -> int:
        """Give which picture comes `number`-th, counted from 0."""

    def load(self, place: int) -> Labelled:
        """Give a picture and its label."""

    def where(self, place: int) -> str:
        """Name a picture, for messages."""

    def fingerprint(self, places: Sequence[int], hashed: FileHash) -> str:
        """Give a digest of the pictures at these places in their order, and of how they are decoded."""


MOST_PICTURES = 1 << 16
"""Pictures in a batch; a larger batch_size is a slip of the pen, and would be minutes of decoding."""


class PictureSource:
    """Batches of pictures and labels.

    Batch k holds the pictures ``k * batch_size`` and following.

    Parameters
    ----------
    pictures : Pictures
    batch_size : int
    tops : tuple of str
        The blobs for pictures and, if there are two, labels.
    transformer : Transformer
    threads : int or None
        How many encoded pictures are decoded at a time, by default one for each core; the batches do not depend on
        it.

    Raises
    ------
    DataError
        When the first picture is damaged or does not fit the transform.

    Notes
    -----
    Caffe gives each batch the shape that its first picture has. Here the first one's holds for all batches, and a
    picture that comes out with another is an error; pictures of many sizes must be cropped.
    """

    def __init__(
        self,
        pictures: Pictures,
        batch_size: int,
        tops: tuple[str, ...],
        transformer: Transformer,
        *,
        threads: int | None = None,
    ) -> None:
        if batch_size > MOST_PICTURES:
            raise DataError(
                f"batches of {batch_size} pictures from {pictures.name}",
                hint=f"at most {MOST_PICTURES} are read at a time: set a smaller batch_size",
            )
        self._pictures = pictures
        self._size = batch_size
        self._tops = tops
        self._transformer = transformer
        self._threads = threads or cores()
        self._shape: Shape | None = None
        picture, _ = self._load(pictures.place(0))
        self._shape = transformer.top_shape(picture.shape)

    @property
    def names(self) -> tuple[str, ...]:
        """Where the pictures come from."""
        return (self._pictures.name,)

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The shape of the pictures (n, c, h, w), and of the labels (n,)."""
        assert self._shape is not None
        return dict(zip(self._tops, ((self._size, *self._shape), (self._size,)), strict=False))

    @property
    def period(self) -> int | None:
        """After how many batches they repeat; None when they do not, or when it is not known yet."""
        pictures = self._pictures.period
        if pictures is None or self._transformer.random:
            return None
        return pictures // math.gcd(pictures, self._size)

    def batches(self, count: int, start: int = 0) -> Iterator[Batch]:
        """Give batches ``start .. start + count - 1``.

        Raises
        ------
        DataError
            When a picture is damaged or does not fit; the message names it.
        """
        if not self._pictures.encoded:
            # Raw pictures cost less than handing them over.
            for batch in range(start, start + count):
                yield self._assemble(batch, [self._load(place) for place in self._places(batch)])
            return
        # Decoding a JPEG leaves Python's lock to others. Threads start when work is first given to them.
        pool = ThreadPoolExecutor(self._threads)
        waiting: deque[tuple[int, list[Future[Labelled]]]] = deque()
        try:
            for batch in range(start, start + count):
                waiting.append((batch, [pool.submit(self._load, place) for place in self._places(batch)]))
                if len(waiting) > AHEAD:
                    yield self._finish(*waiting.popleft())
            while waiting:
                yield self._finish(*waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def fingerprint(self, count: int, hashed: FileHash) -> str | None:
        """Give a digest of the pictures that these batches take, of the transform and of the batch size.

        Raises
        ------
        DataError
            When a file cannot be read.
        """
        places = [place for batch in range(count) for place in self._places(batch)]
        try:
            pictures = self._pictures.fingerprint(places, hashed)
        except OSError as error:
            raise DataError(f"cannot read {self._pictures.name}: {error.strerror}") from error
        return digest("pictures", pictures, self._size, self._tops, self._transformer.fingerprint)

    def _places(self, batch: int) -> list[int]:
        first = batch * self._size
        return [self._pictures.place(number) for number in range(first, first + self._size)]

    def _finish(self, batch: int, pending: list[Future[Labelled]]) -> Batch:
        return self._assemble(batch, [future.result() for future in pending])

    def _assemble(self, batch: int, loaded: Sequence[Labelled]) -> Batch:
        pictures, labels = zip(*loaded, strict=True)
        arrays = [self._transformer.apply(pictures, batch)]
        if len(self._tops) > 1:
            arrays.append(np.array(labels, np.float32))
        return dict(zip(self._tops, arrays, strict=True))

    def _load(self, place: int) -> Labelled:
        try:
            picture, label = self._pictures.load(place)
            shape = self._transformer.top_shape(picture.shape)
            if self._shape not in (None, shape):
                raise DataError(
                    f"comes out as {spell(shape)}, the first as {spell(self._shape or ())}",
                    hint="all pictures must have one shape; crop_size cuts them to one size",
                )
        except DataError as error:
            raise DataError(f"{self._pictures.where(place)}: {error.message}", hint=error.hint) from error
        return picture, label


def cores() -> int:
    """Give the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
