"""Weights in HDF5, as Caffe writes them when a solver asks for that: ``/data/<layer name>/<number of the blob>``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py

from ristretto.caffe.binary_file import printable
from ristretto.caffe.blob import DAMAGED, Blob
from ristretto.caffe.hdf5_file import encoded, member, opened, read_dataset, write_dataset
from ristretto.errors import CaffemodelError, ModelError
from ristretto.net import Net

DEEPEST = 32
"""Groups in groups: a layer's name may hold slashes, each of which is a group."""


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
        with opened(path) as file:
            data = member(file, "data")
            if not isinstance(data, h5py.Group):
                what = "a solverstate" if "history" in file else "without the group '/data'"
                raise CaffemodelError(f"{path} is an HDF5 file {what}", hint="give the .caffemodel.h5")
            layers: dict[str, tuple[Blob, ...]] = {}
            for layer, members in _layers(data, "", frozenset()):
                layers[layer] = tuple(
                    read_dataset(item, f"weight blob {index}") for index, item in enumerate(_in_order(members))
                )
            return layers
    except CaffemodelError as error:
        if error.message.startswith(str(path)):
            raise
        raise CaffemodelError(f"{error.message} in {path}", layer=printable(layer), hint=error.hint) from error


def _layers(group: h5py.Group, name: str, above: frozenset[int]) -> Iterator[tuple[str, dict[int, h5py.Dataset]]]:
    """Give the layers in a group and those below it: name, and datasets by number."""
    address = h5py.h5o.get_info(group.id).addr
    if address in above or len(above) > DEEPEST:
        raise CaffemodelError("has groups that stand in themselves", hint=DAMAGED)
    blobs = {}
    for key in group:
        found = member(group, key)
        full = f"{name}/{key}" if name else key
        if isinstance(found, h5py.Group):
            yield from _layers(found, full, above | {address})
        elif isinstance(found, h5py.Dataset) and key.isdecimal() and key.isascii():
            blobs[int(key)] = found
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


def encode_hdf5(net: Net) -> bytes:
    """Give a net's weights as a ``.caffemodel.h5``, the same bytes for the same net.

    Parameters
    ----------
    net : Net
        Its layers all have a group, those without weights too; of two with one name the last with weights counts. Of
        weights that layers share each has its own copy: Caffe would write one, and reads both. Shapes are written as
        they are, and Caffe wants those that it would make itself: (n,) for a bias, not (1, 1, 1, n).

    Returns
    -------
    bytes

    Raises
    ------
    ModelError
        When a layer's name cannot be that of a group.
    """
    layers: dict[str, tuple[Blob, ...]] = {}
    for layer in net:
        # Caffe looks for the names of groups in the group of the data alone.
        if layer.name in ("", ".") or "/" in layer.name:
            raise ModelError(
                "HDF5 has no group of this name that Caffe would find",
                layer=layer.name,
                hint="rename the layer, or save the weights as .caffemodel",
            )
        layers[layer.name] = layer.blobs or layers.get(layer.name, ())

    def fill(file: h5py.File) -> None:
        data = file.create_group("data")
        for name, blobs in layers.items():
            group = data.create_group(name)
            for index, blob in enumerate(blobs):
                write_dataset(group, str(index), blob)

    return encoded(fill)
