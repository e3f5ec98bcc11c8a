"""Command lines as help pages and documents show them, parsed by the real parser."""

from __future__ import annotations

import argparse
import shlex

from ristretto.cli.arguments import normalise
from ristretto.cli.commands import COMMANDS, build_parser
from ristretto.cli.help import Command


def parser_of(command: Command) -> argparse.ArgumentParser:
    """Give the parser of a command."""
    (commands,) = (a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    parser = commands.choices[command.NAME]
    assert isinstance(parser, argparse.ArgumentParser)
    return parser


def parse(example: str) -> str:
    """Have a line parsed, with what it leaves out as in `...` filled in; give the command's name.

    Raises
    ------
    AssertionError
        When the command line refuses it.
    """
    words = shlex.split(example, comments=True)
    while "=" in words[0]:
        words = words[1:]
    words = words[: words.index(">")] if ">" in words else words
    assert words[0] == "ristretto", example
    (command,) = (command for command in COMMANDS if words[1] == command.NAME)
    parser = parser_of(command)
    if "..." in words:
        required = [a for a in parser._actions if a.required and a.option_strings]
        left_out = [a for a in required if not {*a.option_strings} & {*words}]
        place = words.index("...")
        words[place : place + 1] = [word for a in left_out for word in (a.option_strings[0], "x")]
    try:
        parser.parse_args(normalise(words[2:]))
    except SystemExit:
        raise AssertionError(f"refused: {example}") from None
    return command.NAME
