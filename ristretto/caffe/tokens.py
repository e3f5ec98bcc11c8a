"""The words of a prototxt: names, numbers, quoted text, braces, and where each stands.

What is a word, and what is an error, follows the C++ protobuf that Caffe reads its files with. Comments and spacing
lie between the words; whoever needs them finds them in the text by the offsets.
"""

from __future__ import annotations

import re
from enum import Enum

from ristretto.errors import PrototxtError

BOM = "\ufeff"


class Kind(Enum):
    """What a token is."""

    NAME = "name"
    NUMBER = "number"
    QUOTED = "quoted"
    SYMBOL = "symbol"
    END = "end"


# Possessive throughout: no part of this may be tried twice, so that time stays linear whatever the text.
_GAP = r"(?:[ \t\r\n\v\f]++|\#[^\n]*+)*+"
_GAPS = re.compile(_GAP)
_TOKEN = re.compile(
    _GAP
    + r"""(?:
    ([A-Za-z_][A-Za-z0-9_]*+)
    |((?:0[xX][0-9a-fA-F]++|(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?+[0-9]++)?+[fF]?+)(?![A-Za-z0-9_.]))
    |("[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"|'[^'\\\n]*+(?:\\.[^'\\\n]*+)*+')
    |([{}<>\[\]:;,\-])
    |(\Z)
    )""",
    re.VERBOSE,
)
_KINDS = (Kind.END, Kind.NAME, Kind.NUMBER, Kind.QUOTED, Kind.SYMBOL, Kind.END)
"""By the number of the group in `_TOKEN` that matched."""

_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U(00[01][0-9a-fA-F]{5})|(.))")
_LETTERS = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "?": 63, "'": 39, '"': 34}

_SHOWN = 40
"""Characters of a token that an error shows."""


class Tokens:
    """Walks over a text, one token at a time.

    Parameters
    ----------
    text : str
        The whole file; bytes that are no UTF-8 as lone surrogates.
    where : str
        The file's name, for errors.

    Attributes
    ----------
    kind : Kind
        Of the current token.
    word : str
        The current token as it stands in the text, quotes included.
    start, end : int
        Its offsets in the text.
    behind : int
        Where the token before it ended.

    Raises
    ------
    PrototxtError
        By the constructor and by `advance`, when the next word is none that a prototxt may hold.
    """

    def __init__(self, text: str, where: str) -> None:
        self.text = text
        self.where = where
        self.end = self._first = len(BOM) if text.startswith(BOM) else 0
        self._counted = (0, 1)
        self.advance()

    def advance(self) -> None:
        """Go to the next token; at the end of the text, stay there."""
        self.behind = self.end
        match = _TOKEN.match(self.text, self.end)
        if match is None:
            raise self._no_token()
        group = match.lastindex or 0
        self.kind = _KINDS[group]
        self.word: str = match[group]
        self.start, self.end = match.span(group)

    def take(self, symbol: str) -> bool:
        """Step over a symbol if it is the current token."""
        if self.word != symbol:
            return False
        self.advance()
        return True

    @property
    def indent(self) -> str | None:
        """The spacing before the current token if it is the first on its line, else None."""
        line = self.text.rfind("\n", self.behind, self.start) + 1
        if not line:
            if self.behind > self._first:
                return None
            line = self._first
        # A comment reaches to the end of its line, so there is none between here and the token.
        return self.text[line : self.start]

    def line(self, offset: int) -> int:
        """Give the line of an offset, counted from 1.

        Asked for growing offsets it counts each line once.
        """
        at, line = self._counted if self._counted[0] <= offset else (0, 1)
        line += self.text.count("\n", at, offset)
        self._counted = (offset, line)
        return line

    def error(self, what: str, offset: int | None = None, *, hint: str = "") -> PrototxtError:
        """Give the error for a place in the text, by default the current token's."""
        offset = self.start if offset is None else offset
        line = self.text.rfind("\n", 0, offset) + 1
        column = offset - max(line, self._first) + 1
        return PrototxtError(f"{self.where}:{self.line(offset)}:{column}: {what}", hint=hint)

    def unexpected(self, wanted: str, *, hint: str = "") -> PrototxtError:
        """Give the error for a current token that may not stand here."""
        found = "the end of the file" if self.kind is Kind.END else shown(self.word)
        return self.error(f"expected {wanted}, found {found}", hint=hint)

    def _no_token(self) -> PrototxtError:
        gap = _GAPS.match(self.text, self.end)
        assert gap is not None, "a gap may be empty"
        at = gap.end()
        rest = self.text[at : at + 2 * _SHOWN]
        if rest[0] in "\"'":
            return self.error("a text in quotes that does not end on its line", at, hint="add the closing quote")
        if number := re.match(r"\.?[0-9][A-Za-z0-9_.]*", rest):
            return self.error(f"{shown(number[0])} is no number", at)
        code = ord(rest[0])
        if 0xDC80 <= code <= 0xDCFF:
            return self.error(f"unexpected byte 0x{code - 0xDC00:02x}", at, hint="is this file a prototxt?")
        what = shown(rest[0]) if rest[0].isprintable() and rest[0].isascii() else f"character U+{code:04X}"
        hint = "a comment begins with #" if rest[0] == "/" else ""
        return self.error(f"unexpected {what}", at, hint=hint)


def shown(word: str) -> str:
    """Give a token as an error shows it: on one line, printable, not too long."""
    word = word if len(word) <= _SHOWN else word[:_SHOWN] + "..."
    text = word.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return f"'{text}'" if text.isprintable() else repr(text)


def content(word: str) -> bytes:
    r"""Give what a text in quotes holds.

    Parameters
    ----------
    word : str
        The token, quotes included.

    Returns
    -------
    bytes
        Escapes replaced as C++ protobuf does; UTF-8 if the file is.

    Raises
    ------
    ValueError
        At an escape that C++ protobuf does not know, or at half of a pair of UTF-16; the message is what stands there.

    Examples
    --------
    >>> content(r"'conv\x31\t'")
    b'conv1\t'
    """
    data = word[1:-1].encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(_plain, data.decode("latin-1")).encode("latin-1") if b"\\" in data else data


def _plain(match: re.Match[str]) -> str:
    octal, hexadecimal, short, long, letter = match.groups()
    if octal:
        return chr(int(octal, 8) & 0xFF)
    if hexadecimal:
        return chr(int(hexadecimal, 16))
    if short or long:
        code = int(short or long, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise ValueError(match[0])
        return chr(code).encode("utf-8").decode("latin-1")
    if letter not in _LETTERS:
        raise ValueError(match[0])
    return chr(_LETTERS[letter])
