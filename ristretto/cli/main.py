"""``ristretto``: the command line's way in."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ristretto.errors import RistrettoError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; give its exit code."""
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
        return code
    except RistrettoError as error:
        print(f"error: {_one_line(error.message)}", file=sys.stderr)
        if error.hint:
            print(f"hint: {_one_line(error.hint)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        print("; ".join(["interrupted", "nothing was written", *map(str, stop.args)]), file=sys.stderr)
        return 130
    except MemoryError:
        print("error: not enough memory", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of our output has gone (`ristretto inspect | head`); keep the interpreter from complaining too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(argv: Sequence[str]) -> int:
    # Here, not above: with the commands the kernels are loaded, and RISTRETTO_TIER may name a tier that there is not.
    from ristretto.api import announced_compilation
    from ristretto.cli.arguments import normalise
    from ristretto.cli.commands import build_parser

    if argv[:1] == ["help"]:
        argv = [*argv[1:2], "--help"]
    arguments = build_parser().parse_args(normalise(argv))
    with announced_compilation(_tell):
        code: int = arguments.run(arguments)
    return code


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _one_line(text: str) -> str:
    return " ".join(text.split())
