"""``ristretto``: one file of this package for each sub-command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ristretto import __version__
from ristretto.cli import fold, init_weights, inspect, quantize, test, upgrade
from ristretto.cli.arguments import normalise
from ristretto.errors import RistrettoError

COMMANDS = (quantize, test, inspect, init_weights, fold, upgrade)
"""Every sub-command: a module with NAME, SUMMARY, EXAMPLES, `add_arguments` and `run`."""

EPILOG = """exit codes: 0 done, 1 error, 2 wrong usage, 3 written but the margin is missed

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


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; give its exit code."""
    arguments = build_parser().parse_args(normalise(sys.argv[1:] if argv is None else argv))
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except RistrettoError as error:
        print(f"error: {_one_line(error.message)}", file=sys.stderr)
        if error.hint:
            print(f"hint: {_one_line(error.hint)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    except MemoryError:
        print("error: not enough memory", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of our output has gone (`ristretto inspect | head`); keep the interpreter from complaining too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _one_line(text: str) -> str:
    return " ".join(text.split())
