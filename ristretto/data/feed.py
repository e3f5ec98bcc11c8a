"""Feeding a net from a path that the user names, whatever lies there, in place of what its prototxt says."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ristretto.data.datums import held_by, open_database
from ristretto.data.hdf5 import SUFFIXES as HDF5_SUFFIXES
from ristretto.data.hdf5 import Hdf5Table, read_file_list
from ristretto.data.image_files import FilePictures, Reading, read_folder, read_list
from ristretto.data.kinds import open_sources
from ristretto.data.pictures import Pictures, PictureSource
from ristretto.data.places import find
from ristretto.data.source import BatchSource, MergedSource
from ristretto.data.tables import ArrayTable, Column, Table, TableSource, check_column, open_arrays
from ristretto.data.transform import open_transformer
from ristretto.errors import DataError, ModelError
from ristretto.identity import digest
from ristretto.layers.data import Data, Transform
from ristretto.layers.dummy_data import DummyData
from ristretto.layers.hdf5_data import HDF5Data
from ristretto.layers.image_data import ImageData
from ristretto.layers.memory_data import MemoryData
from ristretto.net import Layer, Phase, Shape

Feed = str | Path | Mapping[str, NDArray[Any]]
"""What may feed a net: a path, or arrays in memory by name."""
PICTURES, LABELS = "data", "label"
"""What arrays are called that are not called like a blob."""
ACCEPTED = (
    "an LMDB or LevelDB, a folder of pictures, an .npy, .npz or .h5 file, or a .txt list of pictures or of .h5 files"
)


@dataclass(frozen=True)
class Preparation:
    """What is done to pictures instead of what the prototxt says; None, 0 and empty leave it as it is there.

    Parameters
    ----------
    batch_size : int
        Pictures in a batch.
    resize_height, resize_width : int
        What picture files are resized to, in pixels; both or neither.
    crop_size : int or None
        In pixels.
    mean_file : str
    mean_value : tuple of float
        One for all channels, or one for each.
    scale : float or None
        What values are multiplied by, after the mean was subtracted.
    """

    batch_size: int = 0
    resize_height: int = 0
    resize_width: int = 0
    crop_size: int | None = None
    mean_file: str = ""
    mean_value: tuple[float, ...] = ()
    scale: float | None = None

    def apply(self, transform: Transform) -> Transform:
        """Give the transform of a prototxt with these changes."""
        if self.mean_file or self.mean_value:
            transform = replace(transform, mean_file=self.mean_file, mean_value=self.mean_value)
        if self.crop_size is not None:
            transform = replace(transform, crop_size=self.crop_size)
        if self.scale is not None:
            transform = replace(transform, scale=self.scale)
        return transform


AS_WRITTEN = Preparation()
"""As the prototxt says."""


@dataclass(frozen=True)
class _Blob:
    """A blob that is to be fed; `shape` is what the prototxt declares, if it does."""

    name: str
    batch_size: int
    shape: Shape | None

    @property
    def is_like_labels(self) -> bool:
        """Whether it may hold one number for each picture."""
        return self.shape is None or math.prod(self.shape[1:]) == 1


def table_of(arrays: Mapping[str, NDArray[Any]]) -> ArrayTable:
    """Give arrays in memory as a table, named by what they hold: the same ones have one name, others another.

    Raises
    ------
    DataError
        When one holds no numbers, or they differ in rows.
    """
    for key, array in arrays.items():
        # Before they are named: objects have no digest.
        check_column("memory", key, array.dtype, array.shape)
    return ArrayTable(f"arrays {digest(arrays)[:8]}", arrays)


def feed(
    given: Feed,
    layers: Sequence[Layer],
    *,
    phase: Phase,
    search_path: Sequence[Path] = (),
    preparation: Preparation = AS_WRITTEN,
    spare_labels: str | None = None,
) -> BatchSource:
    """Open a path as the source of a net's data layers.

    The first top of the first data layer gets the pictures, transformed as that layer says. DummyData layers keep
    their own values.

    Parameters
    ----------
    given : path, or mapping of str to array
        A database, a folder of pictures (flat, or with one folder for each class), a list of pictures, arrays in
        ``.npy``, ``.npz`` or HDF5 files, or in memory. Arrays are found by the name of the blob, else as ``data`` and
        ``label``.
    layers : sequence of Layer
        The data layers of one phase.
    phase : Phase
        Decides where pictures are cropped.
    search_path : sequence of Path
        Where a mean file or a picture of a list is looked for after the current folder.
    preparation : Preparation
    spare_labels : str or None
        The name of a blob for labels that no layer asks for; it is left out where the path holds no labels.

    Raises
    ------
    DataError
        When there is nothing to feed, the path is missing, damaged or of no known kind, or what it holds does not fit
        the net.
    """
    table: Table | None = None
    if isinstance(given, Mapping):
        table = table_of(given)
        # What messages call them.
        path = Path(table.name)
    else:
        path = Path(given)
        if not os.path.exists(path):
            raise DataError(f"{path} does not exist", hint=f"it may be {ACCEPTED}")
    fed = [layer for layer in layers if not isinstance(layer.op, DummyData)]
    if not fed:
        raise DataError(f"the net has no data layer that {path} could feed")
    if bool(preparation.resize_height) != bool(preparation.resize_width):
        raise DataError("resize_height and resize_width must stand together", hint="set both, or neither")
    blobs = [_blob(layer, index, preparation) for layer in fed for index in range(len(layer.tops))]
    lookup = partial(find, search_path=[*search_path, path.resolve().parent])
    source = _Feeder(path, fed[0], blobs, phase, lookup, preparation, spare_labels).open(table)
    for blob in blobs:
        got = source.shapes[blob.name]
        fits = blob.shape is None or got[1:] == blob.shape[1:] or math.prod(got[1:] + blob.shape[1:]) == 1
        if not fits:
            raise DataError(
                f"{path} gives the blob '{blob.name}' the shape {got}, and the net asks for {blob.shape}",
                hint="crop the pictures (--crop_size), or resize those that are files of their own (--resize_height)",
            )
    dummies = [layer for layer in layers if layer not in fed]
    return MergedSource([source, open_sources(dummies, phase=phase)]) if dummies else source


class _Feeder:
    """Opens a path for blobs; holds what all the ways of doing so need."""

    def __init__(
        self,
        path: Path,
        layer: Layer,
        blobs: Sequence[_Blob],
        phase: Phase,
        lookup: Callable[[str], Path],
        preparation: Preparation,
        spare_labels: str | None,
    ) -> None:
        self.path = path
        self.layer = layer
        self.pictures, *self.others = blobs
        self.lookup = lookup
        self.preparation = preparation
        self.transform = preparation.apply(_transform(layer))
        self.transformer = open_transformer(self.transform, phase, lookup)
        named = [blob.name for blob in self.others if blob.name == LABELS]
        alone = [blob.name for blob in self.others if len(self.others) == 1 and blob.is_like_labels]
        self.labels = next(iter(named + alone), None)
        self.spare = spare_labels if self.labels is None else None

    def open(self, table: Table | None = None) -> BatchSource:
        if table is not None:
            return self._from_table(table)
        path, name = self.path, self.path.name.lower()
        if path.is_dir():
            if held_by(path):
                return self._from_database()
            entries, labelled = read_folder(path)
            return self._from_pictures(FilePictures(str(path), entries, self._reading()), labelled=labelled)
        if name.endswith((".npy", ".npz")):
            return self._from_table(open_arrays(path))
        if name.endswith(HDF5_SUFFIXES):
            return self._from_table(Hdf5Table(str(path), [path]))
        if name.endswith(".mdb"):
            return self._from_database()
        if name.endswith(".txt"):
            if _lists_hdf5(path):
                return self._from_table(Hdf5Table(str(path), read_file_list(path, self.lookup)))
            return self._from_pictures(FilePictures(str(path), read_list(path, self.lookup), self._reading()))
        raise DataError(f"{path} is of no known kind", hint=f"it may be {ACCEPTED}")

    def _from_database(self) -> BatchSource:
        self._refuse_resizing()
        return self._from_pictures(open_database(self.path, self.transform))

    def _refuse_resizing(self) -> None:
        if self.preparation.resize_height:
            raise DataError(
                f"{self.path} holds no picture files, and only those are resized",
                hint="leave --resize_height and --resize_width out; --crop_size takes a part of each picture",
            )

    def _from_pictures(self, pictures: Pictures, *, labelled: bool = True) -> BatchSource:
        more = [blob.name for blob in self.others if blob.name != self.labels]
        if more:
            raise DataError(
                f"{self.path} holds pictures only, and the net reads the blob '{more[0]}' too",
                hint="use an .npz file with one array for each blob, named like it",
            )
        if self.labels and not labelled:
            raise DataError(
                f"{self.path} has no labels, and the net reads the blob '{self.labels}'",
                hint="put the pictures into folders, one for each class, or name a list with labels",
            )
        labels = self.labels or (self.spare if labelled else None)
        tops = (self.pictures.name, labels) if labels else (self.pictures.name,)
        return PictureSource(pictures, self.pictures.batch_size, tops, self.transformer)

    def _from_table(self, table: Table) -> BatchSource:
        self._refuse_resizing()
        pictures = self.pictures
        columns = {pictures.name: Column(self._array(table, pictures.name, PICTURES), pictures.batch_size)}
        declared = pictures.shape is not None and len(pictures.shape) == 4
        if declared or isinstance(self.layer.op, Data | ImageData) or self.transform != Transform():
            columns[pictures.name] = replace(columns[pictures.name], transformer=self.transformer)
        for blob in self.others:
            array = self._array(table, blob.name, LABELS if blob.name == self.labels else blob.name)
            columns[blob.name] = Column(array, blob.batch_size)
        if self.spare and LABELS in table.row_shapes:
            columns[self.spare] = Column(LABELS, pictures.batch_size)
        return TableSource(table, columns)

    def _array(self, table: Table, *names: str) -> str:
        for name in names:
            if name in table.row_shapes:
                return name
        held = ", ".join(f"'{name}'" for name in table.row_shapes)
        raise DataError(
            f"{self.path} holds no array for the blob '{names[0]}', only {held}",
            hint=f"name the array '{names[0]}'" + (f" or '{names[-1]}'" if names[-1] != names[0] else ""),
        )

    def _reading(self) -> Reading:
        op, shape = self.layer.op, self.pictures.shape
        height, width = self.preparation.resize_height, self.preparation.resize_width
        color: bool | None = None
        if isinstance(op, ImageData):
            height, width = (height, width) if height else (op.new_height, op.new_width)
            color = op.is_color
        elif self.transform.force_color or self.transform.force_gray:
            color = self.transform.force_color
        elif shape is not None and len(shape) == 4 and shape[1] in (1, 3):
            color = shape[1] == 3
        return Reading(height, width, color)


def _blob(layer: Layer, index: int, preparation: Preparation) -> _Blob:
    op = layer.op
    try:
        shape = op.declared_shape(index)
    except ModelError as error:
        raise ModelError(error.message, layer=layer.name, hint=error.hint) from error
    if preparation.batch_size:
        size = preparation.batch_size
    elif isinstance(op, Data | HDF5Data | ImageData | MemoryData):
        size = op.batch_size
    elif shape:
        size = shape[0]
    else:
        raise DataError(f"layer '{layer.name}': the batch size of its top '{layer.tops[index]}' is not known")
    return _Blob(layer.tops[index], size, shape)


def _transform(layer: Layer) -> Transform:
    return layer.op.transform if isinstance(layer.op, Data | ImageData | MemoryData) else Transform()


def _lists_hdf5(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.readline(1 << 12).strip().lower().endswith(tuple(map(str.encode, HDF5_SUFFIXES)))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
