"""Weights in HDF5, as Caffe writes them when a solver asks for that: ``/data/<layer name>/<number of the blob>``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from ristretto.caffe.binary_file import printable
from ristretto.caffe.blob import DAMAGED, MOST_AXES, Blob, refuse_nonfinite
from ristretto.errors import CaffemodelError

DEEPEST = 32
"""Groups in groups: a layer's name may hold slashes, each of which is a group."""

MOST_PACKED = 1100
"""Numbers' bytes for one byte in the file; deflate, the only compression that h5py brings, reaches 1032."""


def read_hdf5(path: str | Path) -> dict[str, tuple[Blob, ...]]:
    """Read the weights of an HDF5 file.

    Parameters
    ----------
    path : path
        The file. It is opened read-only, and no link out of it is followed.

    Returns
    -------
    dict of str to tuple of float32 arrays, read-only, finite
        The blobs of each layer that has some, by the layer's name.

    Raises
    ------
    CaffemodelError
        When the file is missing, damaged, or holds something else, when blobs are missing between others, or when a
        value is no number, NaN or infinite.
    """
    layer = ""
    try:
        # Without a lock: the file may lie on a medium that has none.
        with h5py.File(path, "r", locking=False) as file:
            data = _member(file, "data")
            if not isinstance(data, h5py.Group):
                what = "a solverstate" if "history" in file else "without the group '/data'"
                raise CaffemodelError(f"{path} is an HDF5 file {what}", hint="give the .caffemodel.h5")
            layers: dict[str, tuple[Blob, ...]] = {}
            for layer, members in _layers(data, "", frozenset()):
                layers[layer] = tuple(_read_blob(item, index) for index, item in enumerate(_in_order(members)))
            return layers
    except CaffemodelError as error:
        if error.message.startswith(str(path)):
            raise
        raise CaffemodelError(f"{error.message} in {path}", layer=printable(layer), hint=error.hint) from error
    # What h5py raises for a damaged file depends on the place of the damage.
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, UnicodeError) as error:
        message = f"{path} is an HDF5 file, truncated or corrupt: {printable(str(error))}"
        raise CaffemodelError(message, hint=DAMAGED) from error


def _member(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    """Give what a group holds under a name, unless that lies in another file or at the end of another path."""
    return group[name] if isinstance(group.get(name, getlink=True), h5py.HardLink) else None


def _layers(group: h5py.Group, name: str, above: frozenset[int]) -> Iterator[tuple[str, dict[int, h5py.Dataset]]]:
    """Give the layers in a group and those below it: name, and datasets by number."""
    address = h5py.h5o.get_info(group.id).addr
    if address in above or len(above) > DEEPEST:
        raise CaffemodelError("has groups that stand in themselves", hint=DAMAGED)
    blobs = {}
    for key in group:
        member = _member(group, key)
        full = f"{name}/{key}" if name else key
        if isinstance(member, h5py.Group):
            yield from _layers(member, full, above | {address})
        elif isinstance(member, h5py.Dataset) and key.isdecimal() and key.isascii():
            blobs[int(key)] = member
        else:
            raise CaffemodelError(
                f"'/data/{printable(full)}' is no weight blob", hint="Caffe numbers the blobs of a layer from 0"
            )
    if blobs:
        yield name, blobs


def _in_order(blobs: dict[int, h5py.Dataset]) -> list[h5py.Dataset]:
    if missing := set(range(len(blobs))) - set(blobs):
        raise CaffemodelError(
            f"weight blob {min(missing)} is missing",
            hint="Caffe leaves out a blob that the layer shares with another; save the weights as .caffemodel",
        )
    return [blobs[index] for index in range(len(blobs))]


def _read_blob(dataset: h5py.Dataset, index: int) -> Blob:
    shape, kind = dataset.shape, dataset.dtype
    if kind.kind not in "fiu" or shape is None:
        raise CaffemodelError(f"weight blob {index} holds no numbers", hint=DAMAGED)
    if len(shape) > MOST_AXES or min(shape, default=1) < 1:
        raise CaffemodelError(f"weight blob {index} has an impossible shape", hint=DAMAGED)
    if dataset.external or dataset.is_virtual:
        raise CaffemodelError(f"weight blob {index} lies in another file", hint="copy the values into this one")
    size, stored = math.prod(shape) * kind.itemsize, dataset.id.get_storage_size()
    if size > MOST_PACKED * stored:
        # Else a file of a few bytes could ask for any amount of memory.
        raise CaffemodelError(f"weight blob {index} claims {size} bytes and has {stored}", hint=DAMAGED)
    with np.errstate(over="ignore"):
        blob = np.asarray(dataset[()]).astype(np.float32, copy=False).reshape(shape)
    try:
        refuse_nonfinite(blob.reshape(-1))
    except CaffemodelError as error:
        raise CaffemodelError(f"weight blob {index} {error.message}", hint=error.hint) from error
    blob.flags.writeable = False
    return blob
