"""Entry: a value of a JSON file, with the way to it, so that whatever is wrong with it can be named."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ristretto.errors import ResultError

MOST = 1e60
"""Greatest number that counts as one: far beyond float32's, and so small that sums and squares of it are finite."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A value of a JSON file.

    Parameters
    ----------
    value : object
        As ``json`` gives it.
    file : str
    way : str
        Of keys and indices from the file's outermost object.
    """

    value: Any
    file: str
    way: str = ""

    def __getitem__(self, key: str) -> Entry:
        """Give what an object has under a key.

        Raises
        ------
        ResultError
            When it has no such key, or is no object.
        """
        if not isinstance(self.value, dict):
            raise self.wrong("no object")
        return Entry(self.value.get(key), self.file, f"{self.way}.{key}" if self.way else key)

    @property
    def given(self) -> bool:
        """Whether there is a value: neither null nor left out."""
        return self.value is not None

    def items(self) -> list[Entry]:
        """Give what a list holds."""
        if not isinstance(self.value, list):
            raise self.wrong("no list")
        return [Entry(value, self.file, f"{self.way}[{index}]") for index, value in enumerate(self.value)]

    def pairs(self) -> list[tuple[str, Entry]]:
        """Give the keys of an object, made fit to be shown, and what it has under them."""
        if not isinstance(self.value, dict):
            raise self.wrong("no object")
        return [(shown(key), Entry(value, self.file, f"{self.way}.{key}")) for key, value in self.value.items()]

    def text(self) -> str:
        """Give a text, made fit to be shown."""
        if not isinstance(self.value, str):
            raise self.wrong("no text")
        return shown(self.value)

    def texts(self) -> tuple[str, ...]:
        """Give a list of texts."""
        return tuple(item.text() for item in self.items())

    def number(self) -> float:
        """Give a number: none that JSON lacks, and none too large for a float."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.wrong("no number")
        try:
            number = float(self.value)
        except OverflowError:
            number = math.inf
        if not abs(number) <= MOST:
            raise self.wrong("no number that one can count with")
        return number

    def count(self) -> int:
        """Give a whole number of at least 0."""
        if isinstance(self.value, bool) or not isinstance(self.value, int) or self.number() < 0:
            raise self.wrong("no whole number of at least 0")
        return self.value

    def flag(self) -> bool:
        """Give what is true or false."""
        if not isinstance(self.value, bool):
            raise self.wrong("neither true nor false")
        return self.value

    def number_if_given(self) -> float | None:
        """Give a number, or None for null."""
        return self.number() if self.given else None

    def count_if_given(self) -> int | None:
        """Give a whole number, or None for null."""
        return self.count() if self.given else None

    def wrong(self, what: str) -> ResultError:
        """Give the error that says what the value is not."""
        subject = f"{shown(self.way)} is" if self.way else "it is"
        return ResultError(
            f"{self.file} is damaged: {subject} {'missing' if not self.given else what}",
            hint="write it anew by the command that it is from",
        )


def shown(text: str) -> str:
    """Give a text on one line, with a mark in place of each character that is invisible or turns the others around.

    Examples
    --------
    >>> shown("conv 1" + chr(10) + "x") == "conv 1 x"
    True
    >>> shown("a" + chr(0x202E) + "b") == "a" + chr(0xFFFD) + "b"
    True
    """
    return "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))
