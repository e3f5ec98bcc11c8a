"""Data layers: pictures from a database of Datums."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from ristretto.caffe.datum import read_datum
from ristretto.data.leveldb_reader import LevelDbRecords
from ristretto.data.lmdb_reader import FILE_NAME, LmdbRecords
from ristretto.data.picture import planes
from ristretto.data.pictures import Labelled, PictureSource
from ristretto.data.source import BatchSource
from ristretto.data.transform import open_transformer
from ristretto.errors import DataError
from ristretto.identity import FileHash, digest, digest_of
from ristretto.layers.data import Data, Transform
from ristretto.net import Layer, Phase


class Records(Protocol):
    """A database: keys and values, in the order of the keys; several threads may read it."""

    @property
    def known_length(self) -> int | None:
        """The number of records; None until a reader that must count them has come to their end."""

    @property
    def files(self) -> Sequence[Path]:
        """The files that hold the records, in an order of their own."""

    def place(self, number: int) -> int:
        """Give which record comes `number`-th when the first follows the last, all counted from 0."""

    def read(self, number: int) -> tuple[bytes, bytes]:
        """Give key and value of a record that `place` has given."""


BACKENDS: Mapping[str, Callable[[Path], Records]] = {"LMDB": LmdbRecords, "LEVELDB": LevelDbRecords}
"""The databases that can be read, by the prototxt's name: one file each, and one entry here."""
LEVELDB_FILE = "CURRENT"
"""What every LevelDB has: it names the newest manifest."""


class DatumPictures:
    """The pictures of a database.

    They come in the order of their keys; behind the last record comes the first. `rand_skip` is ignored, as in Caffe
    since 2015: every pass starts at the first record.

    Parameters
    ----------
    records : Records
        The database.
    name : str
        Its name, for messages and reports.
    transform : Transform
        Says whether encoded pictures are made coloured or gray.
    """

    def __init__(self, records: Records, name: str, transform: Transform) -> None:
        self.name = name
        self.encoded = False
        self._records = records
        self._transform = transform

    @property
    def period(self) -> int | None:
        """The number of records, as far as it is known."""
        return self._records.known_length

    def place(self, number: int) -> int:
        """Give the record that comes `number`-th."""
        return self._records.place(number)

    def load(self, place: int) -> Labelled:
        """Give a record's picture and label."""
        _, value = self._records.read(place)
        datum = read_datum(value)
        if place == 0:
            self.encoded = datum.encoded
        transform = self._transform
        return planes(datum, force_color=transform.force_color, force_gray=transform.force_gray), float(datum.label)

    def where(self, place: int) -> str:
        """Name a record by number and key."""
        key, _ = self._records.read(place)
        return f"record {place} (key {ascii(key)[1:]}) of {self.name}"

    def fingerprint(self, places: Sequence[int], hashed: FileHash) -> str:
        """Give a digest of these records, and of how their pictures are decoded."""
        used, order = np.unique(places, return_inverse=True)
        values = (self._records.read(place)[1] for place in used.tolist())
        records = hashed(self._records.files, digest("records", used), lambda: digest_of(values))
        transform = self._transform
        return digest("datums", records, order.reshape(-1), transform.force_color, transform.force_gray)


def open_datums(layer: Layer, phase: Phase, find: Callable[[str], Path]) -> BatchSource:
    """Open the database of a Data layer.

    Parameters
    ----------
    layer : Layer
        Its operation is a `Data`.
    phase : Phase
        Decides where pictures are cropped.
    find : callable
        Finds a file that the prototxt names.

    Raises
    ------
    DataError
        When the layer's settings make no sense, or the database or mean file is missing, damaged or does not fit.
    """
    op = layer.op
    assert isinstance(op, Data)
    if not op.source:
        raise DataError("data_param has no source", hint="add source: the folder of the database")
    if op.batch_size < 1:
        raise DataError("batch_size is 0", hint="set batch_size in data_param")
    check_tops(layer)
    transformer = open_transformer(op.transform, phase, find)
    pictures = DatumPictures(_open_records(op.backend, find(op.source)), op.source, op.transform)
    return PictureSource(pictures, op.batch_size, layer.tops, transformer)


def open_database(path: Path, transform: Transform) -> DatumPictures:
    """Open the pictures of a database, whatever its kind."""
    return DatumPictures(BACKENDS[held_by(path) or "LMDB"](path), str(path), transform)


def check_tops(layer: Layer) -> None:
    """Raise a DataError unless a layer has a top for pictures, and at most one more for labels."""
    if len(layer.tops) not in (1, 2):
        raise DataError(
            f"{len(layer.tops)} tops where {layer.type} makes 1 or 2", hint="name a top for pictures, one for labels"
        )


def _open_records(backend: str, path: Path) -> Records:
    held = held_by(path)
    if held not in (None, backend):
        raise DataError(
            f"backend is {backend}, and {path} is of the kind {held}", hint=f"write 'backend: {held}' in data_param"
        )
    return BACKENDS[backend](path)


def held_by(path: Path) -> str | None:
    """Tell by its files which database a folder holds; None for a plain file, or one that cannot be told."""
    # Not Path.exists: on Python 3.11 that raises where a folder may not be entered.
    if os.path.exists(path / FILE_NAME):
        return "LMDB"
    if os.path.exists(path / LEVELDB_FILE):
        return "LEVELDB"
    return None
