"""The options that say which widths may be chosen, and of what."""

from __future__ import annotations

import argparse

from ristretto.api import GRANULARITIES
from ristretto.cli.arguments import WIDEST
from ristretto.errors import SearchError
from ristretto.search import COSTS
from ristretto.search.sites import WIDEST as WIDEST_CHOSEN
from ristretto.search.sites import Kept

DESCRIPTION = """With --granularity layer each layer's weights have a width of their own, and so have activations that
meet: what a layer makes, and what is read of it behind ReLU, pooling, Concat and the like. Sensitivities, measured on
calibration data without labels, say which widths are worth a trial. A fifth of what a naive search would run is the
most that is run. Where the cost leaves widths open (weight_bits those of activations), the bits that weights and
activations take decide on them."""


def width(text: str) -> int:
    """Read a width that a search may choose, bits."""
    number = int(text)
    if not 1 <= number <= WIDEST_CHOSEN:
        raise argparse.ArgumentTypeError(f"{text} does not lie between 1 and {WIDEST_CHOSEN}")
    return number


width.__name__ = "width"


def kept_layer(text: str) -> tuple[str, Kept]:
    """Read a layer with the width that it keeps, or with that of its weights and that of its activations.

    Examples
    --------
    >>> kept_layer("fire2/squeeze1x1=8")
    ('fire2/squeeze1x1', Kept(params=8, activations=8))
    >>> kept_layer("conv1=4/8")
    ('conv1', Kept(params=4, activations=8))
    """
    layer, _, widths = text.rpartition("=")
    words = widths.split("/")
    if not layer or len(words) > 2:
        raise argparse.ArgumentTypeError(f"{text} is not of the form LAYER=BITS or LAYER=WEIGHTS/ACTIVATIONS")
    numbers = [int(word) for word in words]
    if not all(1 <= number <= WIDEST for number in numbers):
        raise argparse.ArgumentTypeError(f"{text} has a width that does not lie between 1 and {WIDEST}")
    return layer, Kept(numbers[0], numbers[-1])


kept_layer.__name__ = "layer with a width"


def kept_layers(arguments: argparse.Namespace) -> dict[str, Kept]:
    """Give the widths that layers keep.

    Raises
    ------
    SearchError
        When a layer is named twice.
    """
    names = [layer for layer, _ in arguments.keep]
    if twice := [name for name in names if names.count(name) > 1]:
        raise SearchError(f"--keep names layer '{twice[0]}' twice", hint="keep each layer once")
    return dict(arguments.keep)


def add_layers(parser: argparse.ArgumentParser) -> None:
    """Add the group of options."""
    group = parser.add_argument_group("widths", DESCRIPTION)
    group.add_argument(
        "--granularity",
        choices=list(GRANULARITIES),
        default=GRANULARITIES[0],
        help="what has a width of its own: each part of the net, or each layer (%(default)s)",
    )
    group.add_argument(
        "--minimize", choices=list(COSTS), help=f"what widths of layers are to save ({next(iter(COSTS))})"
    )
    group.add_argument("--min_bits", type=width, metavar="BITS", help="the narrowest word that may be chosen (1)")
    group.add_argument(
        "--max_bits", type=width, metavar="BITS", help=f"the widest word that may be chosen ({WIDEST_CHOSEN})"
    )
    group.add_argument(
        "--keep",
        type=kept_layer,
        action="append",
        default=[],
        metavar="LAYER=BITS",
        help="widths of a layer that are given, as conv1=8, or conv1=4/8 for weights and activations; repeatable",
    )
    group.add_argument(
        "--pareto",
        metavar="DIR",
        help="where the front of cost against score goes: each net's prototxt, front.json, front.png and front.svg "
        "(needs the extra `plot`)",
    )
