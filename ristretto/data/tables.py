"""TableSource: batches from arrays whose rows are pictures, labels, or whatever a net reads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ristretto.data.picture import spell
from ristretto.data.source import Batch
from ristretto.data.transform import Transformer
from ristretto.errors import DataError
from ristretto.identity import FileHash, digest
from ristretto.net import Shape

KINDS_OF_NUMBERS = "fiub"
"""numpy's letters for the types that a blob can be made of."""


class Table(Protocol):
    """Arrays by name, with the same rows; several threads may read."""

    @property
    def name(self) -> str:
        """Where they come from, for messages and reports."""

    @property
    def row_shapes(self) -> Mapping[str, Shape]:
        """The shape of a row of each array."""

    @property
    def period(self) -> int | None:
        """After how many rows they repeat; None when they do not."""

    def read(self, array: str, start: int, count: int) -> NDArray[Any]:
        """Give `count` rows of an array from the one that comes `start`-th on; behind the last comes the first."""

    def fingerprint(self, hashed: FileHash) -> str:
        """Give a digest of all rows, and of their order where it is none of the file's."""


@dataclass(frozen=True)
class Column:
    """What feeds one blob.

    Parameters
    ----------
    array : str
        Its name in the table.
    batch_size : int
    transformer : Transformer or None
        What is done to the rows, if they are pictures.
    """

    array: str
    batch_size: int
    transformer: Transformer | None = None


class TableSource:
    """Batches of rows.

    Parameters
    ----------
    table : Table
    columns : mapping of str to Column
        By blob name.

    Raises
    ------
    DataError
        When the rows do not fit a transform.

    Notes
    -----
    A transform takes a row of three axes as channels, height and width, one of two as a gray picture, and numbers
    in a line as channels of one pixel; these come out in a line again.
    """

    def __init__(self, table: Table, columns: Mapping[str, Column]) -> None:
        self._table = table
        self._columns = columns
        self._shapes = {blob: self._shape(column) for blob, column in columns.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """Where the arrays come from."""
        return (self._table.name,)

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The shape of every blob in a batch."""
        return self._shapes

    @property
    def period(self) -> int | None:
        """After how many batches they repeat; None when they do not."""
        rows = self._table.period
        columns = self._columns.values()
        if rows is None or any(column.transformer and column.transformer.random for column in columns):
            return None
        return math.lcm(*(rows // math.gcd(rows, column.batch_size) for column in columns))

    def batches(self, count: int, start: int = 0) -> Iterator[Batch]:
        """Give batches ``start .. start + count - 1``.

        Raises
        ------
        DataError
            When rows cannot be read, or hold NaN or infinity.
        """
        for batch in range(start, start + count):
            yield {blob: self._rows(blob, column, batch) for blob, column in self._columns.items()}

    def fingerprint(self, count: int, hashed: FileHash) -> str | None:
        """Give a digest of the whole table, and of which array feeds which blob.

        Raises
        ------
        DataError
            When a file cannot be read.
        """
        columns = {
            blob: (column.array, column.batch_size, column.transformer and column.transformer.fingerprint)
            for blob, column in self._columns.items()
        }
        try:
            return digest("table", self._table.fingerprint(hashed), columns)
        except OSError as error:
            raise DataError(f"cannot read {self._table.name}: {error.strerror}") from error

    def _rows(self, blob: str, column: Column, batch: int) -> NDArray[np.float32]:
        first = batch * column.batch_size
        rows = self._table.read(column.array, first, column.batch_size)
        if column.transformer is None or rows.dtype != np.uint8:
            with np.errstate(over="ignore"):
                rows = np.ascontiguousarray(rows, np.float32)
            if not np.isfinite(rows).all():
                raise DataError(
                    f"rows {first} to {first + column.batch_size - 1} of '{column.array}' in {self._table.name} hold"
                    " NaN or numbers beyond float32",
                    hint="make the file anew",
                )
        if column.transformer is None:
            return rows
        pictures = rows.reshape(column.batch_size, *_as_picture(rows.shape[1:]))
        return column.transformer.apply(list(pictures), batch).reshape(self._shapes[blob])

    def _shape(self, column: Column) -> Shape:
        row = self._table.row_shapes[column.array]
        if column.transformer is not None:
            try:
                picture = column.transformer.top_shape(_as_picture(row))
            except DataError as error:
                raise DataError(f"'{column.array}' in {self._table.name}: {error.message}", hint=error.hint) from error
            row = picture if len(row) > 1 else row
        return (column.batch_size, *row)


def _as_picture(row: Shape) -> Shape:
    if not 1 <= len(row) <= 3:
        raise DataError(f"rows of the shape {spell(row) or 'of a number'} are no pictures", hint="store (n, c, h, w)")
    return {3: row, 2: (1, *row), 1: (*row, 1, 1)}[len(row)]


class ArrayTable:
    """Arrays in memory, or in an ``.npy`` file that is read as far as it is used.

    Parameters
    ----------
    name : str
        The file.
    arrays : mapping of str to array
        Of numbers, one row or more each, all with the same number of rows.
    file : Path or None
        What the arrays were read from, all of them; its bytes then tell what they are.

    Raises
    ------
    DataError
        When an array is of another kind, or the arrays differ in rows.
    """

    def __init__(self, name: str, arrays: Mapping[str, NDArray[Any]], file: Path | None = None) -> None:
        self.name = name
        self._arrays = arrays
        self._file = file
        for key, array in arrays.items():
            check_column(name, key, array.dtype, array.shape)
        self.period = same_rows(name, {key: len(array) for key, array in arrays.items()})

    @property
    def row_shapes(self) -> Mapping[str, Shape]:
        """The shape of a row of each array."""
        return {key: array.shape[1:] for key, array in self._arrays.items()}

    def read(self, array: str, start: int, count: int) -> NDArray[Any]:
        """Give `count` rows of an array from the one that comes `start`-th on."""
        return np.asarray(self._arrays[array][np.arange(start, start + count) % self.period])

    def fingerprint(self, hashed: FileHash) -> str:
        """Give a digest of the file, or of the arrays where there is none."""
        return digest(self._arrays) if self._file is None else hashed([self._file])


def check_column(name: str, key: str, dtype: np.dtype[Any], shape: Sequence[int]) -> None:
    """Raise a DataError when an array of a file holds no numbers, or no row."""
    if dtype.kind not in KINDS_OF_NUMBERS:
        raise DataError(f"'{key}' in {name} is of the type {dtype}", hint="store whole or floating-point numbers")
    if len(shape) < 1 or min(shape) < 1:
        raise DataError(f"'{key}' in {name} has no rows: its shape is {tuple(shape)}")


def same_rows(name: str, rows: Mapping[str, int]) -> int:
    """Give the number of rows that all arrays of a file have; a DataError when they differ, or there is none."""
    if not rows:
        raise DataError(f"{name} holds no array")
    if len(set(rows.values())) > 1:
        listed = ", ".join(f"'{key}' {count}" for key, count in rows.items())
        raise DataError(f"the arrays in {name} differ in rows: {listed}", hint="row i of each belongs to picture i")
    return next(iter(rows.values()))


def open_arrays(path: Path) -> ArrayTable:
    """Open an ``.npy`` file, whose array is called ``data``, or an ``.npz`` file.

    Raises
    ------
    DataError
        When the file is missing, damaged, or holds something else than numbers.
    """
    try:
        # Of an .npy file only what is used is read: it may be larger than the memory.
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            arrays = {"data": loaded}
        else:
            # A member that is no array comes as bytes, whose type is then refused.
            with loaded:
                arrays = {key: np.asarray(loaded[key]) for key in loaded.files}
    except MemoryError:
        raise
    except Exception as error:  # numpy and zipfile raise whatever a damaged file makes their parsers raise.
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        raise DataError(
            f"cannot read {path}: {reason}", hint="it must be a file of numpy's, without objects"
        ) from error
    return ArrayTable(str(path), arrays, path)
