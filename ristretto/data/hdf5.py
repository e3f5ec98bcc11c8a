"""HDF5Data layers: rows of the arrays in HDF5 files."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ristretto.data.shuffle import permutation
from ristretto.data.source import BatchSource
from ristretto.data.tables import Column, TableSource, check_column, same_rows
from ristretto.errors import DataError
from ristretto.identity import FileHash, digest
from ristretto.layers.hdf5_data import HDF5Data
from ristretto.net import Layer, Phase, Shape

if TYPE_CHECKING:
    import h5py

SUFFIXES = (".h5", ".hdf5")
LIST_HINT = "source is a text file with the path of an HDF5 file on each line"


class Hdf5Table:
    """The rows of several HDF5 files, one file after the other.

    Parameters
    ----------
    name : str
        The list or file, for messages and reports.
    files : sequence of Path
        At least one; each array has rows of one shape in all of them.
    arrays : sequence of str or None
        Those that are wanted; by default all that the first file holds at its top.
    shuffle : bool
        Whether the files, and the rows within each, come in an order of their own in each epoch. Caffe, which reads
        file by file, does the same.

    Raises
    ------
    DataError
        When a file is missing or damaged, lacks an array, or its arrays do not fit together.
    """

    def __init__(
        self, name: str, files: Sequence[Path], arrays: Sequence[str] | None = None, *, shuffle: bool = False
    ) -> None:
        self.name = name
        self._files = files
        self._shuffle = shuffle
        self.row_shapes: dict[str, Shape] = {}
        self._rows = [self._survey(file, arrays) for file in files]
        self._total = sum(self._rows)

    @property
    def period(self) -> int | None:
        """The number of rows in all files, unless they are shuffled."""
        return None if self._shuffle else self._total

    def read(self, array: str, start: int, count: int) -> NDArray[Any]:
        """Give `count` rows of an array from the one that comes `start`-th on."""
        parts = []
        while count:
            epoch, row = divmod(start, self._total)
            order = permutation(len(self._files), epoch) if self._shuffle else range(len(self._files))
            ends = list(accumulate(self._rows[file] for file in order))
            index = bisect_right(ends, row)
            first = row - (ends[index - 1] if index else 0)
            taken = min(count, ends[index] - row)
            parts.append(self._read_file(array, int(order[index]), first, taken, epoch))
            start, count = start + taken, count - taken
        return np.concatenate(parts)

    def fingerprint(self, hashed: FileHash) -> str:
        """Give a digest of the files, and of whether they are shuffled."""
        return digest(hashed(self._files), len(self._files), self._shuffle)

    def _read_file(self, array: str, file: int, first: int, count: int, epoch: int) -> NDArray[Any]:
        with _opened(self._files[file]) as opened:
            dataset = opened[array]
            if not self._shuffle:
                return np.asarray(dataset[first : first + count])
            rows = permutation(self._rows[file], epoch, 1 + file)[first : first + count]
            # HDF5 reads chosen rows in rising order only.
            rising, back = np.unique(rows, return_inverse=True)
            return np.asarray(dataset[rising])[back]

    def _survey(self, file: Path, arrays: Sequence[str] | None) -> int:
        """Note the shapes of a file's rows; give their number."""
        import h5py

        rows = {}
        with _opened(file) as opened:
            wanted = arrays or list(self.row_shapes) or [key for key in opened if isinstance(opened[key], h5py.Dataset)]
            for key in wanted:
                dataset = opened.get(key)
                if not isinstance(dataset, h5py.Dataset):
                    raise DataError(
                        f"{file} holds no array '{key}'", hint="each top of the layer names an array of every file"
                    )
                check_column(str(file), key, dataset.dtype, dataset.shape or ())
                shape = dataset.shape[1:]
                if self.row_shapes.setdefault(key, shape) != shape:
                    raise DataError(
                        f"'{key}' in {file} has rows of the shape {shape}, {self._files[0]} {self.row_shapes[key]}",
                        hint="all files must hold rows of one shape",
                    )
                rows[key] = int(dataset.shape[0])
        return same_rows(str(file), rows)


@contextmanager
def _opened(file: Path) -> Iterator[h5py.File]:
    import h5py  # where it is needed: it takes a while to load

    try:
        # Without a lock: the file may lie on a medium that has none.
        with h5py.File(file, "r", locking=False) as opened:
            yield opened
    except (DataError, MemoryError):
        raise
    except Exception as error:  # h5py raises whatever the library's error looks most like.
        raise DataError(
            f"cannot read {file}: {str(error).splitlines()[0]}", hint="it is damaged or no HDF5 file"
        ) from error


def open_hdf5(layer: Layer, phase: Phase, find: Callable[[str], Path]) -> BatchSource:
    """Open the files of an HDF5Data layer; each top is fed by the array of its name.

    Parameters
    ----------
    layer : Layer
        Its operation is an `HDF5Data`.
    phase : Phase
        Makes no difference: the arrays are fed as they are.
    find : callable
        Finds a file that the prototxt, or the list, names.

    Raises
    ------
    DataError
        When the list or one of its files is missing or damaged, or its arrays do not fit together.
    """
    op = layer.op
    assert isinstance(op, HDF5Data)
    if not op.source:
        raise DataError("hdf5_data_param has no source", hint=LIST_HINT)
    table = Hdf5Table(op.source, read_file_list(find(op.source), find), layer.tops, shuffle=op.shuffle)
    return TableSource(table, {top: Column(top, op.batch_size) for top in layer.tops})


def read_file_list(path: Path, find: Callable[[str], Path]) -> list[Path]:
    """Read a list of HDF5 files.

    Raises
    ------
    DataError
        When it cannot be read or is empty, or a file that it names is missing.
    """
    try:
        names = path.read_text("utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise DataError(f"cannot read {path}: {reason}", hint=LIST_HINT) from error
    if not names:
        raise DataError(f"{path} is empty", hint=LIST_HINT)
    return [find(name) for name in names]
