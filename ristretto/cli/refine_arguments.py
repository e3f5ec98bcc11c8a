"""The options that let a search change weights."""

from __future__ import annotations

import argparse

from ristretto.api import EQUALIZE
from ristretto.cli.arguments import positive
from ristretto.errors import SearchError
from ristretto.search import PRESETS
from ristretto.search.refine import TECHNIQUES, Techniques

AUTO, NONE, OFF = "auto", "none", "off"
UNASKED = object()
"""Stands for what the preset does."""


def techniques(text: str) -> Techniques | None:
    """Read which techniques to use.

    Examples
    --------
    >>> techniques("rounding")
    Techniques(bias=False, rounding=True, centring=False, checked=False)
    >>> techniques("none")
    """
    if text == AUTO:
        return Techniques()
    if text == NONE:
        return None
    asked = text.split(",")
    for word in asked:
        if word not in TECHNIQUES:
            known = ", ".join((AUTO, NONE, *TECHNIQUES))
            raise argparse.ArgumentTypeError(f"'{word}' is none of {known}")
    if "centring" in asked and "rounding" not in asked:
        raise argparse.ArgumentTypeError("centring needs rounding: together they find the biases anew")
    return Techniques(**{name: name in asked for name in TECHNIQUES}, checked=False)


def add_refining(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group(
        "weights",
        "The formats alone leave the caffemodel as it is. With --weights_quantized weights may change, too, so that "
        "fewer bits do. What was tried is kept where it helps on calibration pictures that were held back.",
    )
    group.add_argument(
        "--weights_quantized",
        metavar="CAFFEMODEL",
        help="where the weights go that belong to the quantized prototxt: numbers of its formats",
    )
    group.add_argument(
        "--refine",
        type=techniques,
        default=UNASKED,
        metavar="auto|none|LIST",
        help="how weights are changed: bias (correction), rounding (learned), centring (of class scores), with commas "
        "between, whether they help or not; auto checks (auto with --preset accurate, none with original)",
    )
    group.add_argument(
        "--equalize",
        choices=EQUALIZE,
        help="bring channels to like ranges by powers of two, which the next layer takes back: where that helps, "
        "always, never (auto with --weights_quantized and --preset accurate, else off)",
    )
    group.add_argument(
        "--calibration_batches",
        type=positive,
        default=10,
        metavar="N",
        help="batches that ranges are measured on, and weights fitted to (%(default)s)",
    )


def chosen_techniques(arguments: argparse.Namespace) -> Techniques | None:
    """Give what may be done to weights.

    Raises
    ------
    SearchError
        When there is no file for them, or the preset leaves weights alone.
    """
    asked: Techniques | None = arguments.refine
    refines = PRESETS[arguments.preset].refines
    if asked is UNASKED:
        return Techniques() if refines and arguments.weights_quantized is not None else None
    if asked is not None and arguments.weights_quantized is None:
        raise SearchError("--refine changes weights", hint="name a file for them with --weights_quantized")
    if asked is not None and not refines:
        raise SearchError(f"the {arguments.preset} preset leaves weights as they are", hint="leave --refine out")
    return asked


def chosen_equalizing(arguments: argparse.Namespace) -> str:
    """Give whether channels are brought to like ranges.

    Raises
    ------
    SearchError
        When there is no file for the weights.
    """
    asked: str | None = arguments.equalize
    if asked is None:
        return AUTO if arguments.weights_quantized is not None and PRESETS[arguments.preset].refines else OFF
    if asked != OFF and arguments.weights_quantized is None:
        raise SearchError("--equalize changes weights", hint="name a file for them with --weights_quantized")
    return asked
