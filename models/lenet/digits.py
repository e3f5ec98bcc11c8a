"""Digits in LMDBs: reading them whole, and telling the embedded ones from the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ristretto.caffe.datum import read_datum
from ristretto.data.lmdb_reader import LmdbRecords
from ristretto.data.picture import planes

HERE = Path(__file__).resolve().parent
TRAIN, TEST = "digits_train_lmdb", "digits_test_lmdb"
"""The embedded databases, one for each phase; folders beside this file."""

Pictures = NDArray[np.uint8]
Labels = NDArray[np.int64]


def read_digits(path: Path) -> tuple[Pictures, Labels]:
    """Read all digits of an LMDB.

    Parameters
    ----------
    path : Path
        The database's folder; its Datums hold one channel.

    Returns
    -------
    uint8 array (n, height, width)
        Grey values 0..255, in the order of the keys.
    int64 array (n,)
        The classes.

    Raises
    ------
    DataError
        When the database or one of its records cannot be read.
    """
    records = LmdbRecords(path)
    datums = [read_datum(records.read(number)[1]) for number in range(len(records))]
    pictures = np.stack([planes(datum)[0] for datum in datums])
    return pictures, np.array([datum.label for datum in datums], np.int64)


def among(pictures: Pictures, others: Pictures) -> NDArray[np.bool_]:
    """Say of each picture whether the others hold it, pixel for pixel."""
    known = {other.tobytes() for other in others}
    return np.array([picture.tobytes() in known for picture in pictures])


def embedded_digits() -> Pictures:
    """Give the pictures of both embedded databases."""
    return np.concatenate([read_digits(HERE / name)[0] for name in (TRAIN, TEST)])


def training_digits(path: Path) -> tuple[Pictures, Labels, int]:
    """Read the digits of an LMDB that a net may be trained on: those that are not embedded here.

    Returns
    -------
    uint8 array (n, height, width), int64 array (n,)
        Grey values and classes.
    int
        How many were left out.
    """
    pictures, labels = read_digits(path)
    known = among(pictures, embedded_digits())
    return pictures[~known], labels[~known], int(known.sum())
