"""Arguments: the original tool's spelling of flags, and checks that argparse lacks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ristretto.cli.help import CHOOSING, FILES, RUNNING, section
from ristretto.formats import EMULATIONS, EXACT, HALF_EVEN, Arithmetic
from ristretto.net import Part
from ristretto.search import PRESETS
from ristretto.search.criteria import AUTO, FORMATS_BY

OPTION = "-"

WIDEST = 32
"""Bits of the longest word."""

Group = argparse._ActionsContainer
"""What options are added to: a parser, or a group of one."""


def normalise(argv: Sequence[str]) -> list[str]:
    """Spell every long flag as ``--with_underscores``.

    The original's flags are gflags: one dash or two, ``-`` and ``_`` alike, ``--flag=value`` or ``--flag value``.

    Examples
    --------
    >>> normalise(["quantize", "-error-margin=1", "--model", "a-b.prototxt", "-h"])
    ['quantize', '--error_margin=1', '--model', 'a-b.prototxt', '-h']
    """
    result = []
    for word in argv:
        name, equals, value = word.partition("=")
        bare = name.lstrip(OPTION)
        is_flag = name.startswith(OPTION) and len(bare) > 1 and bare[0].isalpha()
        result.append(f"--{bare.replace('-', '_')}{equals}{value}" if is_flag else word)
    return result


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


positive.__name__ = "whole number"


def whole(text: str) -> int:
    """Read a whole number of at least 0."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is less than 0")
    return number


whole.__name__ = "whole number"


def percentage(text: str) -> float:
    """Read a number of percentage points, 0 to 100."""
    number = float(text)
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError(f"{text} does not lie between 0 and 100")
    return number


percentage.__name__ = "number"


def part_widths(text: str) -> dict[Part, int]:
    """Read the width of each part, 1 to 32 bits, with slashes between; ``-`` for one that is left in float.

    Examples
    --------
    >>> {part.value: width for part, width in part_widths("4/-/8").items()}
    {'conv_params': 4, 'activations': 8}
    """
    words = text.split("/")
    if len(words) != len(Part):
        raise argparse.ArgumentTypeError(f"{text} is not of the form CONV/FC/OUTPUTS, as 8/4/8 or 8/-/8")
    widths = {part: int(word) for part, word in zip(Part, words, strict=True) if word != "-"}
    if not all(1 <= width <= WIDEST for width in widths.values()):
        raise argparse.ArgumentTypeError(f"{text} has a width that does not lie between 1 and {WIDEST}")
    return widths


part_widths.__name__ = "list of widths"


def part_of_one(text: str) -> float:
    """Read a share: a number from 0 to below 1."""
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"{text} does not lie between 0 and 1")
    return number


part_of_one.__name__ = "number"


def add_model(parser: argparse.ArgumentParser, *, weights_required: bool) -> None:
    """Add what every command reads: a prototxt, and weights."""
    files = section(parser, FILES)
    files.add_argument("--model", required=True, metavar="PROTOTXT", help="the net")
    files.add_argument("--weights", required=weights_required, metavar="CAFFEMODEL", help="its weights")


def add_choosing(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command that chooses formats by scores."""
    choosing = section(parser, CHOOSING)
    choosing.add_argument(
        "--preset", choices=list(PRESETS), default=next(iter(PRESETS)), help="how formats are chosen (%(default)s)"
    )
    choosing.add_argument(
        "--formats_by",
        choices=FORMATS_BY,
        default=AUTO,
        help="what chooses among formats of one width: the preset's own rules, the range (the finest format in which "
        "nothing saturates), the squared error of the numbers themselves, or the error of the layer's output; "
        "--preset original has only its own (%(default)s)",
    )
    choosing.add_argument(
        "--score", metavar="BLOB", help="the output blob that is the score (the first accuracy, else the first loss)"
    )
    add_no_cache(choosing)


def add_running(parser: argparse.ArgumentParser, *, iterations: int) -> None:
    """Add the options of every command that runs a net."""
    running = section(parser, RUNNING)
    running.add_argument(
        "--iterations", type=positive, default=iterations, metavar="N", help="TEST batches for each score (%(default)s)"
    )
    add_threads(running)
    halves = running.add_mutually_exclusive_group()
    add_round_halves(halves)
    halves.add_argument(
        "--emulate",
        choices=list(EMULATIONS),
        help="repeat the arithmetic of the original's CPU or GPU build, its defects included (of neither)",
    )
    running.add_argument("--gpu", metavar="ID", help="accepted for the original's sake; everything runs on the CPU")


def add_threads(group: Group) -> None:
    """Add ``--threads``, where these share batches."""
    group.add_argument(
        "--threads", type=positive, metavar="N", help="batches run side by side (one for each core); changes no result"
    )


def add_scheduler(group: Group) -> None:
    """Add ``--scheduler``."""
    group.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="score nets on the Dask workers of this scheduler, tcp://host:port, or local:N for N processes here; "
        "changes no result",
    )


def add_no_cache(group: Group) -> None:
    """Add ``--no_cache``."""
    group.add_argument(
        "--no_cache",
        action="store_true",
        help="neither take finished trials from the journal of earlier runs nor keep any; changes no result",
    )


def add_round_halves(group: Group) -> None:
    """Add ``--round_halves``."""
    group.add_argument(
        "--round_halves",
        choices=["away", "even"],
        default="away",
        help="where numbers half-way between two codes go: away from zero, or to the even code (%(default)s)",
    )


def chosen_halves(arguments: argparse.Namespace) -> Arithmetic:
    """Give the arithmetic that ``--round_halves`` asks for."""
    return HALF_EVEN if arguments.round_halves == "even" else EXACT


def chosen_arithmetic(arguments: argparse.Namespace) -> Arithmetic:
    """Give the arithmetic that the flags of `add_running` ask for."""
    return EMULATIONS[arguments.emulate] if arguments.emulate else chosen_halves(arguments)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    section(parser, FILES).add_argument(
        "--json", metavar="FILE", help="write the result as JSON too; '-' for standard output"
    )


def json_files(arguments: argparse.Namespace) -> list[str]:
    """Give the file that ``--json`` names, if it names one."""
    return [] if arguments.json in (None, "-") else [arguments.json]
