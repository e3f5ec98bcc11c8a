"""The options of commands that draw."""

from __future__ import annotations

import argparse

from ristretto.cli.help import FILES, section
from ristretto.errors import OutputError
from ristretto.report.plot import plot_kind


def plot_file(text: str) -> str:
    """Read the name of a plot: its suffix says what kind it is."""
    try:
        plot_kind(text)
    except OutputError as error:
        raise argparse.ArgumentTypeError(error.message) from error
    return text


def add_plot(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--plot``; `what` is drawn."""
    section(parser, FILES).add_argument(
        "--plot",
        type=plot_file,
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help=f"draw {what}; one or more files, each .png or .svg (needs the extra `plot`)",
    )
