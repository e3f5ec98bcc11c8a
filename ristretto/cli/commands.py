"""Every sub-command, one file of this package for each, and the parser of them all."""

from __future__ import annotations

import argparse

from ristretto import __version__
from ristretto.cli import (
    build,
    check,
    diff,
    export,
    finetune,
    fold,
    hardware,
    info,
    init_weights,
    inspect,
    quantize,
    report,
    sweep,
    test,
    train,
    upgrade,
)

COMMANDS = (
    quantize,
    finetune,
    train,
    sweep,
    test,
    inspect,
    report,
    diff,
    export,
    hardware,
    build,
    check,
    init_weights,
    fold,
    upgrade,
    info,
)
"""Every sub-command: a module with NAME, SUMMARY, EXAMPLES, `add_arguments` and `run`."""

EPILOG = """exit codes: 0 done, 1 error, 2 wrong usage, 3 written but the margin is missed, 4 compared and not the same

`ristretto COMMAND --help` shows a command's options and examples."""


def build_parser() -> argparse.ArgumentParser:
    """Give the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="ristretto",
        description="Condense trained Caffe nets to fixed point, without Caffe.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ristretto {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        sub = commands.add_parser(
            command.NAME,
            help=command.SUMMARY,
            description=command.SUMMARY,
            epilog=command.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return parser
