"""Options about hardware."""

from __future__ import annotations

import argparse


def add_strict(parser: argparse.ArgumentParser) -> None:
    """Add ``--strict_hardware``."""
    parser.add_argument(
        "--strict_hardware",
        action="store_true",
        help="an error, with advice, where anything in the net needs more than integers and shifts",
    )


def add_hardware(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that chooses formats."""
    parser.add_argument(
        "--hardware",
        action="store_true",
        help="choose formats in which nothing is shifted but accumulators: activations that meet share a radix point, "
        "outputs and biases are no finer than accumulators",
    )
    add_strict(parser)
