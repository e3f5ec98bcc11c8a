"""ImageData layers: pictures from files that a list names, or that lie in a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ristretto.data.datums import check_tops
from ristretto.data.picture import FILE_FORMATS, decode
from ristretto.data.pictures import Labelled, PictureSource
from ristretto.data.resize import resize
from ristretto.data.shuffle import permutation, skipped
from ristretto.data.source import BatchSource
from ristretto.data.transform import open_transformer
from ristretto.errors import DataError
from ristretto.identity import FileHash, digest
from ristretto.layers.image_data import ImageData
from ristretto.net import Layer, Phase

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm")
"""The files of a folder that are taken for pictures."""
LIST_HINT = "each line of the list holds a path, a space and a whole number, the label"

Entry = tuple[str, int]
"""The path of a picture, and its label."""


@dataclass(frozen=True)
class Reading:
    """How picture files are read.

    Parameters
    ----------
    height, width : int
        What they are resized to, in pixels; 0 leaves them as they are.
    color : bool or None
        Make three channels, or one, of whatever a file holds; None leaves that as it is.
    """

    height: int = 0
    width: int = 0
    color: bool | None = None


MOST_PIXELS = 1 << 24
"""Pixels of a resized picture, 4096 by 4096: more than any net takes, and a second's work."""


class FilePictures:
    """Pictures from files.

    Parameters
    ----------
    name : str
        The list or folder, for messages and reports.
    entries : sequence of (str, int)
        Paths and labels.
    reading : Reading
    shuffle : bool
        Whether each epoch has an order of its own.
    skip : int
        How many are left out at the start of the first epoch.

    Raises
    ------
    DataError
        When a picture alone would be larger than a blob may be.
    """

    encoded = True

    def __init__(
        self, name: str, entries: Sequence[Entry], reading: Reading, *, shuffle: bool = False, skip: int = 0
    ) -> None:
        if reading.height * reading.width > MOST_PIXELS:
            raise DataError(
                f"pictures are to be resized to {reading.height} by {reading.width}",
                hint=f"at most {MOST_PIXELS} pixels are made",
            )
        self.name = name
        self._entries = entries
        self._reading = reading
        self._shuffle = shuffle
        self._skip = skip

    @property
    def period(self) -> int | None:
        """The number of files, unless they are shuffled."""
        return None if self._shuffle else len(self._entries)

    def place(self, number: int) -> int:
        """Give the file that comes `number`-th."""
        epoch, rest = divmod(number + self._skip, len(self._entries))
        return int(permutation(len(self._entries), epoch)[rest]) if self._shuffle else rest

    def load(self, place: int) -> Labelled:
        """Read a file; give its picture and label."""
        path, label = self._entries[place]
        try:
            data = Path(path).read_bytes()
        except (OSError, ValueError) as error:
            raise DataError(
                f"cannot be read: {getattr(error, 'strerror', None) or error}", hint="correct the list, or restore it"
            ) from error
        reading = self._reading
        picture = decode(
            data, force_color=reading.color is True, force_gray=reading.color is False, formats=FILE_FORMATS
        )
        return resize(picture, reading.height, reading.width) if reading.height else picture, float(label)

    def where(self, place: int) -> str:
        """Name a file."""
        return self._entries[place][0]

    def fingerprint(self, places: Sequence[int], hashed: FileHash) -> str:
        """Give a digest of these files and their labels, and of how they are read."""
        used, order = np.unique(places, return_inverse=True)
        files = hashed([Path(self._entries[place][0]) for place in used.tolist()])
        labels = [self._entries[place][1] for place in used.tolist()]
        return digest("files", files, labels, order.reshape(-1), self._reading)


def open_image_list(layer: Layer, phase: Phase, find: Callable[[str], Path]) -> BatchSource:
    """Open the pictures of an ImageData layer.

    Parameters
    ----------
    layer : Layer
        Its operation is an `ImageData`.
    phase : Phase
        Decides where pictures are cropped.
    find : callable
        Finds a file that the prototxt names.

    Raises
    ------
    DataError
        When the layer's settings make no sense, or the list, a picture or the mean file is missing or damaged.
    """
    op = layer.op
    assert isinstance(op, ImageData)
    if not op.source:
        raise DataError("image_data_param has no source", hint="add source: the list of pictures")
    check_tops(layer)
    transformer = open_transformer(op.transform, phase, find)
    entries = read_list(find(op.source), find, op.root_folder)
    skip = skipped(op.rand_skip)
    if skip >= len(entries):
        raise DataError(
            f"rand_skip leaves out {skip} of {len(entries)} pictures", hint="lower rand_skip in image_data_param"
        )
    reading = Reading(op.new_height, op.new_width, op.is_color)
    pictures = FilePictures(op.source, entries, reading, shuffle=op.shuffle, skip=skip)
    return PictureSource(pictures, op.batch_size, layer.tops, transformer)


def read_list(path: Path, find: Callable[[str], Path], root_folder: str = "") -> list[Entry]:
    """Read a list of pictures.

    Parameters
    ----------
    path : Path
        A path and a label on each line; the path may hold spaces.
    find : callable
        Finds the first picture: what stands before its path there is put before all other relative paths.
    root_folder : str
        Put in front of every path in the list, as it is.

    Raises
    ------
    DataError
        When the list cannot be read, is empty, or has a line of another form.
    """
    try:
        lines = path.read_text("utf-8", errors="surrogateescape").splitlines()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", hint=LIST_HINT) from error
    entries: list[Entry] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        matched = re.fullmatch(r"\s*(\S.*?)\s+([+-]?\d{1,9})\s*", line)
        if not matched:
            raise DataError(f"line {number} of {path} is no path with a label: {line[:60]!a}", hint=LIST_HINT)
        entries.append((root_folder + matched[1], int(matched[2])))
    if not entries:
        raise DataError(f"{path} is empty", hint=LIST_HINT)
    first = entries[0][0]
    found = str(find(first))
    before = found[: len(found) - len(first)] if found.endswith(first) else ""
    return [(name if os.path.isabs(name) else before + name, label) for name, label in entries]


def read_folder(path: Path) -> tuple[list[Entry], bool]:
    """List the pictures of a folder.

    Parameters
    ----------
    path : Path
        Holds either pictures, or folders of pictures: one for each class, in the order of their names. Files with
        another ending than those of pictures are passed over.

    Returns
    -------
    list of (str, int)
        In the order of the names, folder by folder; the labels are 0 where there are none.
    bool
        Whether there are labels.

    Raises
    ------
    DataError
        When there is no picture, there are both, or the folder cannot be read.
    """
    try:
        folders = sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
        flat = _files(path)
        # A class without a picture keeps its number.
        entries = [(file, label) for label, folder in enumerate(folders) for file in _files(folder)]
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if flat and entries:
        raise DataError(
            f"{path} holds pictures and folders of pictures", hint="put all pictures into folders, one for each class"
        )
    if not flat and not entries:
        raise DataError(f"{path} holds no pictures", hint=f"files are told by their endings: {', '.join(SUFFIXES)}")
    return (entries, True) if entries else ([(file, 0) for file in flat], False)


def _files(folder: Path) -> list[str]:
    names = sorted(name for name in os.listdir(folder) if name.lower().endswith(SUFFIXES))
    return [str(folder / name) for name in names if not name.startswith(".")]
