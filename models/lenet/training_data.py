"""Select the digits that the LeNet beside this file is trained on, and those that settings are chosen by.

They go into two LMDBs: all of MNIST's training digits but those that are embedded here, and but the last 5,000 of
these, which are held out. Those to train on get a rim of zeros, so that a random crop moves them by a pixel.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from digits import Labels, Pictures, training_digits

from ristretto.caffe.datum import Datum
from ristretto.data import write_lmdb
from ristretto.errors import RistrettoError

TRAIN, HELD_OUT = "train_lmdb", "held_out_lmdb"
"""The databases, folders within the one that is named; train.prototxt names them, too."""
HELD_OUT_DIGITS = 5000
RIM = 1
"""Pixels of zeros on each side."""


def with_rim(pictures: Pictures) -> Pictures:
    """Give pictures (n, height, width) with zeros around them."""
    return np.pad(pictures, ((0, 0), (RIM, RIM), (RIM, RIM)))


def write(path: Path, pictures: Pictures, labels: Labels) -> None:
    """Write grey pictures, uint8 (n, height, width), as Datums.

    Raises
    ------
    OutputError
        When the database exists or cannot be written.
    """
    height, width = pictures.shape[1:]
    datums = (
        Datum(1, height, width, data=picture.tobytes(), label=int(label), encoded=False)
        for picture, label in zip(pictures, labels, strict=True)
    )
    write_lmdb(path, list(datums))
    print(f"{path}: {len(pictures)} digits of {height}x{width}")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the LMDB of MNIST's 60,000 training digits")
    parser.add_argument("folder", type=Path, help="where the databases go; it holds neither yet")
    arguments = parser.parse_args()
    try:
        pictures, labels, left_out = training_digits(arguments.source)
        print(f"{len(pictures) + left_out} training digits; {left_out} are embedded here and left out")
        write(arguments.folder / TRAIN, with_rim(pictures[:-HELD_OUT_DIGITS]), labels[:-HELD_OUT_DIGITS])
        write(arguments.folder / HELD_OUT, pictures[-HELD_OUT_DIGITS:], labels[-HELD_OUT_DIGITS:])
    except RistrettoError as error:
        sys.exit(f"error: {error.message}" + (f"\nhint: {error.hint}" if error.hint else ""))


if __name__ == "__main__":
    main()
