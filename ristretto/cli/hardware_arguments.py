"""Options about hardware."""

from __future__ import annotations

import argparse

from ristretto.cli.arguments import Group
from ristretto.cli.help import CHOOSING, section


def add_strict(group: Group) -> None:
    """Add ``--strict_hardware``."""
    group.add_argument(
        "--strict_hardware",
        action="store_true",
        help="an error, with advice, where anything in the net needs more than integers and shifts",
    )


def add_hardware(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that chooses formats."""
    choosing = section(parser, CHOOSING)
    choosing.add_argument(
        "--hardware",
        action="store_true",
        help="choose formats in which nothing is rounded but accumulators: activations that meet share a radix point, "
        "outputs are no finer than accumulators",
    )
    add_strict(choosing)
