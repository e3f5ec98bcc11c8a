"""Tables of a TOML file, checked: which keys there are, and what kind their values have."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ristretto.errors import JobError

Table = Mapping[str, Any]

KINDS = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a table",
}
"""What users call the types of TOML."""


def read_toml(path: Path) -> Table:
    """Read a file.

    Raises
    ------
    JobError
        When it is missing, cannot be read or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise JobError(
            f"{path} does not exist", hint="name the job file with --file; docs/ci-jobs.md says what it holds"
        ) from error
    except OSError as error:
        raise JobError(f"cannot read {path}: {error.strerror}", hint="name the job file with --file") from error
    except UnicodeDecodeError as error:
        raise JobError(f"{path} is not in UTF-8", hint="TOML is text in UTF-8") from error
    except ValueError as error:
        raise JobError(f"{path} is no TOML: {error}", hint="correct it there") from error
    except RecursionError as error:
        raise JobError(f"{path} is nested too deeply", hint="a job file has tables in tables, and no more") from error


def check_keys(table: Table, known: Iterable[str], where: str, what: str = "key") -> None:
    """Make sure that a table has no keys but those that are known.

    Raises
    ------
    JobError
        The hint names the key that was probably meant.
    """
    known = list(known)
    for key in table:
        if key not in known:
            raise JobError(f"{where}: there is no {what} '{key}'", hint=meant(key, known))


def meant(word: str, known: Iterable[str]) -> str:
    """Give a hint at what was meant by a word that stands for nothing."""
    known = list(known)
    close = get_close_matches(word.replace("-", "_"), known, 1)
    return f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(known)}"


def taken(table: Table, key: str, kind: type, where: str) -> Any:
    """Give a value of a kind; None where there is none. A whole number passes for a number.

    Raises
    ------
    JobError
        When it is of another kind.
    """
    value = table.get(key)
    if kind is float and type(value) is int:
        return float(value)
    # Not isinstance: a bool passes for a whole number there.
    if value is not None and type(value) is not kind:
        raise JobError(f"{where}: {key} must be {KINDS[kind]}, not {value!r}")
    return value


def path_in(table: Table, key: str, where: str) -> str | None:
    """Give a path; None where there is none.

    Raises
    ------
    JobError
        When it can be none.
    """
    path: str | None = taken(table, key, str, where)
    if path is not None and (not path.strip() or "\0" in path):
        raise JobError(f"{where}: {key} is no path: {path!r}")
    return path


def output_in(table: Table, key: str, where: str) -> str | None:
    """Give the path of an output in its shortest form, as a lock has it; None where there is none.

    Raises
    ------
    JobError
        When it can be none.
    """
    path = path_in(table, key, where)
    return None if path is None else os.path.normpath(path)


def required(value: Any, key: str, where: str) -> Any:
    """Give a value that must be there.

    Raises
    ------
    JobError
        When it is not.
    """
    if value is None:
        raise JobError(f"{where}: {key} is missing", hint=f'add the line {key} = "..."')
    return value
