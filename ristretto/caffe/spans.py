"""Where layers and their fields stand in a prototxt's text, and the smallest changes to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

_ESCAPED = {"\\": "\\\\", **{chr(code): f"\\{code:03o}" for code in (*range(32), 127)}}
_REST_OF_LINE = re.compile(r"[ \t\r\v\f]*+\n")


class Patch(NamedTuple):
    """Replaces the text from `start` to `end`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class FieldSpan:
    """Where a field stands; all numbers are offsets into the text.

    Parameters
    ----------
    name : str
    value : str
        What a text in quotes holds, any other value as it is written; empty for a block.
    words : tuple of (int, int)
        Start and end of each token of the value; none for a block.
    start, end : int
        From the name to the end of the value, or of the ``;`` or ``,`` behind it.
    behind : int
        The end of the token before it.
    indent : str or None
        The spacing before it when it begins its line.
    block : BlockSpan or None
    """

    name: str
    value: str
    words: tuple[tuple[int, int], ...]
    start: int
    end: int
    behind: int
    indent: str | None
    block: BlockSpan | None = None


@dataclass(frozen=True, slots=True)
class BlockSpan:
    """Where a block in braces stands; all numbers are offsets into the text.

    Parameters
    ----------
    start : int
        Its opening brace.
    closing : int
        Its closing brace.
    behind : int
        The end of the token before the closing brace.
    indent, closing_indent, field_indent : str or None
        The spacing before its name, its closing brace, and the last field in it that begins a line; None where these
        do not begin one.
    fields : tuple of FieldSpan
        Those whose places were kept.
    """

    start: int
    closing: int
    behind: int
    indent: str | None
    closing_indent: str | None
    field_indent: str | None
    fields: tuple[FieldSpan, ...]

    def field(self, name: str) -> FieldSpan | None:
        """Give the field of a name."""
        return next((field for field in self.fields if field.name == name), None)


def insertion(text: str, block: BlockSpan, name: str, fields: Sequence[tuple[str, str]]) -> Patch:
    """Add a block of its own behind the last field of a block, spelled as its neighbours are.

    Parameters
    ----------
    text : str
        The whole prototxt.
    block : BlockSpan
        Where the new one goes: before the closing brace, on lines of its own when that begins a line, else inline.
    name : str
        The new block's; empty to add the fields themselves.
    fields : sequence of (str, str)
        Their names and values.
    """
    if block.closing_indent is None:
        inner = " ".join(f"{field}: {value}" for field, value in fields)
        closes = " " if block.behind == block.start + 1 == block.closing else ""
        return Patch(block.behind, block.behind, f" {name} {{ {inner} }}{closes}" if name else f" {inner}{closes}")
    outer = block.indent if block.indent is not None else block.closing_indent
    indent = block.field_indent if block.field_indent is not None else f"{block.closing_indent}  "
    deeper = indent.removeprefix(outer) if indent.startswith(outer) and indent != outer else "  "
    lines = [f"{field}: {value}" for field, value in fields]
    if name:
        lines = [f"{name} {{", *(deeper + line for line in lines), "}"]
    at = block.closing - len(block.closing_indent)
    newline = "\r\n" if text.endswith("\r\n", 0, at) else "\n"
    return Patch(at, at, "".join(f"{indent}{line}{newline}" for line in lines))


def removal(text: str, field: FieldSpan) -> Patch:
    """Take a field away, with its lines when it has them to itself.

    A comment behind it on its last line stays; one inside it goes with it.
    """
    if field.indent is None:
        # What stands before it on its line stays as it is; two words must not become one.
        behind = text[field.end : field.end + 1]
        return Patch(field.behind, field.end, "" if behind in " \t\r\n\v\f#}>" else " ")
    if rest := _REST_OF_LINE.match(text, field.end):
        return Patch(field.start - len(field.indent), rest.end(), "")
    return Patch(field.start, field.end, "")


def replacement(text: str, field: FieldSpan, value: str) -> list[Patch]:
    """Give a field another value; one in quotes keeps the kind of its quotes."""
    (start, end), *others = field.words
    quote = text[start] if text[start] in "\"'" else ""
    if quote:
        value = "".join(_ESCAPED.get(c, c) if c != quote else f"\\{c}" for c in value)
    # A text may be several in a row, even with comments between: the first takes it all, the others become empty.
    return [Patch(start, end, f"{quote}{value}{quote}"), *(Patch(start, end, "") for start, end in others)]


def patched(text: str, patches: Iterable[Patch]) -> str:
    """Give the text with all patches applied; no two overlap."""
    pieces, done = [], 0
    for patch in sorted(patches):
        assert patch.start >= done, "patches do not overlap"
        pieces += [text[done : patch.start], patch.text]
        done = patch.end
    return "".join([*pieces, text[done:]])
