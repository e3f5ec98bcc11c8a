"""What Caffe's HDF5 files have in common: blobs as datasets, numbered from 0."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from ristretto.caffe.binary_file import printable
from ristretto.caffe.blob import DAMAGED, MOST_AXES, Blob, refuse_nonfinite
from ristretto.errors import CaffemodelError

MOST_PACKED = 1100
"""Numbers' bytes for one byte in the file; deflate, the only compression that h5py brings, reaches 1032."""


@contextmanager
def opened(path: str | Path) -> Iterator[h5py.File]:
    """Open a file for reading.

    Raises
    ------
    CaffemodelError
        When it is missing or damaged: also in place of what h5py raises for it within the context.
    """
    try:
        # Without a lock: the file may lie on a medium that has none.
        with h5py.File(path, "r", locking=False) as file:
            yield file
    # What h5py raises for a damaged file depends on the place of the damage.
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, UnicodeError) as error:
        message = f"{path} is an HDF5 file, truncated or corrupt: {printable(str(error))}"
        raise CaffemodelError(message, hint=DAMAGED) from error


def encoded(fill: Callable[[h5py.File], None]) -> bytes:
    """Give the bytes of a file, the same for the same content.

    Parameters
    ----------
    fill : callable
        Puts the content into the empty file.
    """
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        fill(file)
    return memory.getvalue()


def member(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    """Give what a group holds under a name, unless that lies in another file or at the end of another path."""
    return group[name] if isinstance(group.get(name, getlink=True), h5py.HardLink) else None


def read_dataset(dataset: h5py.Dataset, name: str) -> Blob:
    """Read a blob.

    Parameters
    ----------
    dataset : h5py.Dataset
    name : str
        What it is, for errors: ``weight blob 0``.

    Returns
    -------
    float32 array, read-only, finite

    Raises
    ------
    CaffemodelError
        When it holds no numbers, more of them than the file has room for, NaN or infinity.
    """
    shape, kind = dataset.shape, dataset.dtype
    if kind.kind not in "fiu" or shape is None:
        raise CaffemodelError(f"{name} holds no numbers", hint=DAMAGED)
    if len(shape) > MOST_AXES or min(shape, default=1) < 1:
        raise CaffemodelError(f"{name} has an impossible shape", hint=DAMAGED)
    if dataset.external or dataset.is_virtual:
        raise CaffemodelError(f"{name} lies in another file", hint="copy the values into this one")
    size, stored = math.prod(shape) * kind.itemsize, dataset.id.get_storage_size()
    if size > MOST_PACKED * stored:
        # Else a file of a few bytes could ask for any amount of memory.
        raise CaffemodelError(f"{name} claims {size} bytes and has {stored}", hint=DAMAGED)
    with np.errstate(over="ignore"):
        blob = np.asarray(dataset[()]).astype(np.float32, copy=False).reshape(shape)
    try:
        refuse_nonfinite(blob.reshape(-1))
    except CaffemodelError as error:
        raise CaffemodelError(f"{name} {error.message}", hint=error.hint) from error
    blob.flags.writeable = False
    return blob


def write_dataset(group: h5py.Group, name: str, blob: Blob) -> None:
    """Write a blob."""
    group.create_dataset(name, data=np.asarray(blob, "<f4"))
