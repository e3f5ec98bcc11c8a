"""Every sub-command, one file of this package for each, and the parser of them all."""

from __future__ import annotations

import argparse

from ristretto import __version__
from ristretto.cli import (
    build,
    check,
    completion,
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
from ristretto.cli.help import ENVIRONMENT, EXIT_CODES, Command, Formatter, describe, listed

COMMANDS: tuple[Command, ...] = (
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
    completion,
    info,
)
"""Every sub-command: a module with NAME, SUMMARY, EXAMPLES, `add_arguments` and `run`."""

CLOSING = """What stands in parentheses behind an option is what it says when it is left out.

`ristretto help COMMAND`, or `ristretto COMMAND --help`, shows a command's options and examples. `ristretto completion
SHELL` lets a shell complete them."""


def build_parser() -> argparse.ArgumentParser:
    """Give the parser of the whole command line."""
    codes = {str(code): meaning for code, meaning in EXIT_CODES.items()}
    parser = argparse.ArgumentParser(
        prog="ristretto",
        usage="ristretto COMMAND [options]",
        description="Condense trained Caffe nets to fixed point, without Caffe.",
        epilog="\n\n".join([listed("exit codes", codes), listed("environment", ENVIRONMENT), CLOSING]),
        formatter_class=Formatter,
    )
    parser.add_argument("--version", action="version", version=f"ristretto {__version__}")
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", required=True, prog="ristretto"
    )
    for command in COMMANDS:
        sub = commands.add_parser(command.NAME, help=command.SUMMARY, formatter_class=Formatter, allow_abbrev=False)
        command.add_arguments(sub)
        describe(sub, command)
        sub.set_defaults(run=command.run)
    return parser
