"""The options that say what feeds a net in place of what its prototxt names."""

from __future__ import annotations

import argparse
import math

from ristretto.cli.arguments import positive
from ristretto.data import Preparation

DESCRIPTION = """PATH is an LMDB or LevelDB, a folder of pictures (flat, or one folder for each class, in the order
of their names), a .txt list of pictures with labels, an .npy, .npz or .h5 file, or a .txt list of .h5 files. Arrays
are called like the net's blobs, or data and label, and hold what pictures hold before the transform. The transform is
that of the prototxt's data layer; the options below take the place of its settings. A net without a score gets an
accuracy where PATH has labels."""


def numbers(text: str) -> tuple[float, ...]:
    """Read finite numbers with commas between them."""
    values = tuple(float(part) for part in text.split(","))
    if not all(map(math.isfinite, values)):
        raise argparse.ArgumentTypeError(f"{text} is not finite")
    return values


numbers.__name__ = "list of numbers"


def factor(text: str) -> float:
    """Read a finite number."""
    (value,) = numbers(text)
    return value


factor.__name__ = "number"


def add_data(parser: argparse.ArgumentParser, *, calibration: bool) -> None:
    """Add the group of options; `calibration` is for a command that measures ranges."""
    group = parser.add_argument_group(
        "data",
        DESCRIPTION,
    )
    group.add_argument("--data", metavar="PATH", help="what feeds the net in place of the prototxt's TEST data")
    if calibration:
        group.add_argument(
            "--calibration_data",
            metavar="PATH",
            help="what ranges are measured on in place of its TRAIN data (without either: the TEST data)",
        )
    group.add_argument("--batch_size", type=positive, metavar="N", help="pictures in a batch (as in the prototxt)")
    group.add_argument(
        "--resize_height",
        type=positive,
        metavar="PIXELS",
        help="resize picture files to this height, as OpenCV does (as in the prototxt)",
    )
    group.add_argument(
        "--resize_width",
        type=positive,
        metavar="PIXELS",
        help="to this width; with the one before (as in the prototxt)",
    )
    group.add_argument(
        "--crop_size",
        type=positive,
        metavar="PIXELS",
        help="cut a square of this size out of the middle of each picture (as in the prototxt)",
    )
    mean = group.add_mutually_exclusive_group()
    mean.add_argument("--mean_file", metavar="FILE", help="the mean picture, which is subtracted (as in the prototxt)")
    mean.add_argument(
        "--mean_value",
        type=numbers,
        metavar="B,G,R",
        help="what is subtracted: one number, or one for each channel (as in the prototxt)",
    )
    group.add_argument(
        "--scale", type=factor, metavar="FACTOR", help="what values are then multiplied by (as in the prototxt)"
    )


def chosen_preparation(arguments: argparse.Namespace) -> Preparation:
    """Give what the options say of how pictures are prepared."""
    return Preparation(
        batch_size=arguments.batch_size or 0,
        resize_height=arguments.resize_height or 0,
        resize_width=arguments.resize_width or 0,
        crop_size=arguments.crop_size,
        mean_file=arguments.mean_file or "",
        mean_value=arguments.mean_value or (),
        scale=arguments.scale,
    )


def input_paths(arguments: argparse.Namespace) -> list[str]:
    """Give what a command reads that runs a net on data: net, weights and data, which no result may be written to."""
    data = (arguments.data, getattr(arguments, "calibration_data", None), arguments.mean_file)
    return [arguments.model, arguments.weights, *(path for path in data if path)]
