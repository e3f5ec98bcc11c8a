"""Options of a job file: read by the very definitions that the command line has."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NoReturn, Protocol

from ristretto.cli import export, quantize
from ristretto.errors import JobError
from ristretto.jobs import Reading


class Command(Protocol):
    """A command whose options a job file may hold."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""

    def chosen_settings(self, arguments: argparse.Namespace) -> dict[str, Any]:
        """Give what the options are to the command's verb."""


class _Parser(argparse.ArgumentParser):
    """Raises what argparse would print."""

    def error(self, message: str) -> NoReturn:
        raise JobError(message.removeprefix("argument ").replace("--", ""))


def read_options(command: Command, options: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a command's verb is called with.

    Parameters
    ----------
    command : module
        Of a command.
    options : mapping of str to value
        By the names of flags, without dashes, or of positional arguments: texts, numbers, true for a flag without a
        value, a list for one that may be repeated or that takes values with commas between.

    Raises
    ------
    RistrettoError
        When there is no such option, or its value makes no sense.
    """
    parser = _Parser(prog="ristretto", add_help=False, allow_abbrev=False)
    command.add_arguments(parser)
    known = {_name(action): action for action in parser._actions}
    words, behind = [], []
    for name, value in options.items():
        if name not in known:
            close = get_close_matches(name.replace("-", "_"), known, 1)
            hint = f"did you mean '{close[0]}'?" if close else "docs/cli.md lists the options"
            raise JobError(f"there is no option '{name}'", hint=hint)
        given = list(_words(name, value, known[name]))
        if known[name].option_strings:
            words += given
        else:
            behind += given
    return command.chosen_settings(parser.parse_args([*words, *(["--", *behind] if behind else [])]))


READING = Reading(
    quantize=lambda options: read_options(quantize, options), export=lambda options: read_options(export, options)
)
"""How the options of a job file are read."""


def _name(action: argparse.Action) -> str:
    return action.option_strings[-1].lstrip("-") if action.option_strings else action.dest


def _words(name: str, value: Any, action: argparse.Action) -> list[str]:
    """Give an option as words of a command line."""
    flag = action.option_strings[-1] if action.option_strings else ""
    if action.nargs == 0:
        if type(value) is not bool:
            raise JobError(f"{name}: give true or false, not {value!r}")
        return [flag] if value else []
    values = value if type(value) is list else [value]
    texts = [_text(name, each) for each in values]
    if not isinstance(action, argparse._AppendAction):
        texts = [",".join(texts)]
    # Joined, as a value may begin with a dash.
    return [f"{flag}={text}" for text in texts] if flag else texts


def _text(name: str, value: Any) -> str:
    if type(value) not in (str, int, float):
        raise JobError(f"{name}: give a text or a number, not {value!r}")
    return str(value)
