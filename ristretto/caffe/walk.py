"""A walk through a prototxt along the schema: what stands where, and its fields in plain spelling.

The walk knows the spellings that C++ protobuf takes and Python's does not, and the fields that a fork may have and our
schema lacks. What it passes on, known fields in plain spelling, protobuf reads. Open blocks stand on a stack of its
own, so that no depth of braces exhausts Python's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ristretto.caffe.field_types import FieldType, field_types
from ristretto.caffe.schema import message_class
from ristretto.caffe.spans import BlockSpan, FieldSpan
from ristretto.caffe.tokens import Kind, Tokens, content, shown
from ristretto.errors import PrototxtError

DEEPEST = 100
"""Blocks in blocks. Caffe's messages need 6; protobuf's limit for binary messages is this one too."""

LAYER = "layer"
TYPE = "type"
TOP = "top"
QUANTIZATION = "quantization_param"
SETTINGS = ("convolution_param", "inner_product_param")
"""Blocks of a layer in which a changed layer may need a field that it did without before."""

_CLOSERS = {"{": "}", "<": ">"}
_CLOSING = frozenset(_CLOSERS.values())
_OCTAL = re.compile(r"0[0-7]+")
_HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]+")
_LONGEST = 64
"""Characters of a number that fits a field; one of thousands of digits Python would not spell in decimal."""
_NOT_FINITE = ("inf", "infinity", "nan")


@dataclass(frozen=True)
class UnknownField:
    """A field that the schema lacks.

    Parameters
    ----------
    name : str
    parent : str
        The block that it stands in; empty for the net itself.
    line : int
        Where it stands first, counted from 1.
    count : int
        How often it stands in such blocks.
    """

    name: str
    parent: str
    line: int
    count: int


class _Head(NamedTuple):
    """Where a field begins: its name, the end of the token before it, the spacing before it if it begins a line."""

    start: int
    behind: int
    indent: str | None


@dataclass(slots=True, eq=False)
class _Block:
    """A block that is still open.

    Parameters
    ----------
    name : str
    fields : mapping of str to FieldType, or None
        Its fields; None for a block that the schema lacks.
    closer : str
        The brace that will close it.
    start : int
        Offset of its opening brace.
    head : _Head
    in_list : bool
        Whether it stands in ``[ ]``.
    kept : collection of str
        The fields in it whose places are kept.
    """

    name: str
    fields: Mapping[str, FieldType] | None
    closer: str
    start: int
    head: _Head
    in_list: bool = False
    kept: Collection[str] = ()
    field_indent: str | None = None
    seen: dict[str, int] = field(default_factory=dict)
    spans: list[FieldSpan] = field(default_factory=list)


class Walk:
    """One walk through a text.

    Parameters
    ----------
    text : str
        The whole file; bytes that are no UTF-8 as lone surrogates.
    where : str
        The file's name, for errors.
    kind : str
        The message that it holds.

    Attributes
    ----------
    layers : list of BlockSpan
        The net's ``layer`` blocks so far, in order.
    places : list of FieldSpan or None
        All that each of them takes up; None for one in a list.

    Raises
    ------
    PrototxtError
        Here or from `lines`: where the text breaks the rules of the text form, or gives a field twice that may stand
        once, with line and column.
    """

    def __init__(self, text: str, where: str, kind: str = "NetParameter") -> None:
        self.layers: list[BlockSpan] = []
        self.places: list[FieldSpan | None] = []
        self._tokens = Tokens(text, where)
        self._unknown: dict[tuple[str, str], list[int]] = {}
        net = field_types(message_class(kind).DESCRIPTOR)
        self._stack = [_Block("", net, "", 0, _Head(0, 0, None))]
        self._last: tuple[int, int, FieldType] | None = None

    @property
    def unknown(self) -> tuple[UnknownField, ...]:
        """The fields so far that the schema lacks, each once, in order of their first lines."""
        return tuple(UnknownField(name, parent, line, count) for (parent, name), (line, count) in self._unknown.items())

    def lines(self) -> Iterator[str]:
        """Go through the text; give its known fields, each on a line, in the spelling that every protobuf reads."""
        tokens = self._tokens
        while tokens.kind is not Kind.END:
            yield from self._close() if tokens.word in _CLOSING else self._field()
        if len(self._stack) > 1:
            block = self._stack[-1]
            raise tokens.error(
                f"the block of '{block.name}' is not closed", block.start, hint=f"add the missing '{block.closer}'"
            )

    def refusal(self) -> PrototxtError:
        """Give the error for the value in the last line that `lines` gave."""
        assert self._last is not None, "protobuf finds no fault before the first value"
        start, end, of = self._last
        word = self._tokens.text[start:end]
        if of.is_text and word[0] in "\"'":
            return self._tokens.error(f"'{of.name}' is not in UTF-8", start, hint="convert the file to UTF-8")
        hint = "put it in quotes" if of.is_text and word.isidentifier() else ""
        return self._tokens.error(f"'{of.name}' takes {of.wants}, found {shown(word)}", start, hint=hint)

    def _field(self) -> Iterator[str]:
        tokens, block = self._tokens, self._stack[-1]
        if tokens.kind is not Kind.NAME:
            raise tokens.unexpected("the name of a field")
        name = tokens.word
        # The places of other fields are not needed, and finding them takes time.
        indent = tokens.indent if block.kept or len(self._stack) == 1 else None
        head = _Head(tokens.start, tokens.behind, indent)
        if indent is not None:
            block.field_indent = indent
        known = self._known(block, name)
        tokens.advance()
        colon = tokens.take(":")
        if tokens.word == "[" and (known is None or (known.repeated and (colon or known.is_block))):
            tokens.advance()
            if tokens.take("]"):
                self._separator()
            else:
                yield from self._items(name, known, head)
        elif tokens.word in _CLOSERS:
            yield from self._open(name, known, head)
        else:
            if known is not None and known.is_block:
                raise tokens.unexpected(f"'{{' after '{name}'")
            if not colon:
                raise tokens.unexpected(f"':' after '{name}'" if known else f"':' or '{{' after '{name}'")
            value, words = self._value(name, known)
            if known is not None:
                yield f"{name}: {value}"
            self._separator()
            if name in block.kept:
                block.spans.append(self._scalar_span(name, words, head))

    def _known(self, block: _Block, name: str) -> FieldType | None:
        """Look a name up in the schema; note it when it is not there, refuse it when it may not stand twice."""
        if block.fields is None:
            return None
        known, tokens = block.fields.get(name), self._tokens
        if known is None:
            entry = self._unknown.setdefault((block.name, name), [0, 0])
            entry[0] = entry[0] or tokens.line(tokens.start)
            entry[1] += 1
        elif not known.repeated:
            if name in block.seen:
                first = tokens.line(block.seen[name])
                raise tokens.error(f"'{name}' is given twice", hint=f"it stands on line {first} already; keep one")
            block.seen[name] = tokens.start
        return known

    def _items(self, name: str, known: FieldType | None, head: _Head) -> Iterator[str]:
        """Read the items of a list in brackets, up to a block, which `_close` goes on from, or to the end."""
        tokens = self._tokens
        while True:
            if tokens.word in _CLOSERS:
                yield from self._open(name, known, head, in_list=True)
                return
            value, words = self._value(name, known)
            if known is not None:
                yield f"{name}: {value}"
            if name == TOP and name in self._stack[-1].kept:
                self._stack[-1].spans.append(self._scalar_span(name, words, head))
            if self._list_ends():
                return

    def _list_ends(self) -> bool:
        if self._tokens.take("]"):
            self._separator()
            return True
        if not self._tokens.take(","):
            raise self._tokens.unexpected("',' or ']'")
        return False

    def _open(self, name: str, known: FieldType | None, head: _Head, in_list: bool = False) -> Iterator[str]:
        tokens, parent = self._tokens, self._stack[-1]
        if known is not None and not known.is_block:
            raise tokens.error(f"'{name}' takes {known.wants}, found a block")
        if len(self._stack) > DEEPEST:
            raise tokens.error(f"more than {DEEPEST} blocks stand in one another")
        block = _Block(name, known.fields if known else None, _CLOSERS[tokens.word], tokens.start, head, in_list)
        if len(self._stack) == 1 and name == LAYER:
            block.kept = (TYPE, TOP, QUANTIZATION, *SETTINGS)
        elif len(self._stack) == 2 and name in parent.kept and known is not None:
            block.kept = known.fields
        self._stack.append(block)
        tokens.advance()
        if known is not None:
            yield f"{name} {{"

    def _close(self) -> Iterator[str]:
        tokens, block = self._tokens, self._stack.pop()
        if not self._stack:
            raise tokens.error(f"'{tokens.word}' closes no block")
        if tokens.word != block.closer:
            line = tokens.line(block.start)
            raise tokens.unexpected(f"'{block.closer}' for the block of '{block.name}' that begins on line {line}")
        span = None
        if block.kept:
            span = BlockSpan(
                start=block.start,
                closing=tokens.start,
                behind=tokens.behind,
                indent=None if block.in_list else block.head.indent,
                closing_indent=tokens.indent,
                field_indent=block.field_indent,
                fields=tuple(block.spans),
            )
        tokens.advance()
        if block.fields is not None:
            yield "}"
        parent = self._stack[-1]
        if span is not None and len(self._stack) == 1:
            self.layers.append(span)
        if block.in_list:
            if span is not None and len(self._stack) == 1:
                self.places.append(None)
            if not self._list_ends():
                known = parent.fields.get(block.name) if parent.fields is not None else None
                yield from self._items(block.name, known, block.head)
            return
        self._separator()
        place = _span(block.name, "", (), block.head, tokens.behind, span)
        if block.name in parent.kept:
            parent.spans.append(place)
        if span is not None and len(self._stack) == 1:
            self.places.append(place)

    def _separator(self) -> None:
        """Step over the one ``;`` or ``,`` that may stand behind a field."""
        if not self._tokens.take(";"):
            self._tokens.take(",")

    def _value(self, name: str, known: FieldType | None) -> tuple[str, list[tuple[int, int]]]:
        """Read a value that is no block; give it in plain spelling, and where its tokens stand."""
        tokens = self._tokens
        if known is not None and known.is_block:
            raise tokens.unexpected(f"'{{' in the list of '{name}'")
        if tokens.kind is Kind.QUOTED:
            plain, words = self._quoted()
        else:
            start, minus = tokens.start, "-" if tokens.take("-") else ""
            other_name = tokens.kind is Kind.NAME and tokens.word.lower() not in _NOT_FINITE
            if tokens.kind not in (Kind.NUMBER, Kind.NAME) or (minus and other_name):
                raise tokens.unexpected(f"a value for '{name}'")
            words = [(start, tokens.end)]
            plain = minus + _plain_word(tokens.word, tokens.kind, known)
            tokens.advance()
        if known is not None:
            self._last = (words[0][0], words[0][1], known)
        return plain, words

    def _quoted(self) -> tuple[str, list[tuple[int, int]]]:
        """Read a text, which may be several in a row."""
        tokens = self._tokens
        words: list[tuple[int, int]] = []
        plain: list[str] = []
        while tokens.kind is Kind.QUOTED:
            word = tokens.word
            words.append((tokens.start, tokens.end))
            if "\\" in word or not word.isascii():
                word = self._escaped()
            plain.append(word)
            tokens.advance()
        return " ".join(plain), words

    def _escaped(self) -> str:
        """Spell a text with the escapes alone that C++ and Python read alike."""
        try:
            data = content(self._tokens.word)
        except ValueError as error:
            raise self._tokens.error(
                f"unknown escape {error} in a text", hint="write \\\\ for a backslash, or / in a path"
            ) from error
        spelled = (chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:03o}" for b in data)
        return f'"{"".join(spelled)}"'

    def _scalar_span(self, name: str, words: list[tuple[int, int]], head: _Head) -> FieldSpan:
        texts = [self._tokens.text[begin:end] for begin, end in words]
        if texts[0][0] in "\"'":
            value = b"".join(content(text) for text in texts).decode("utf-8", "surrogateescape")
        else:
            value = texts[0]
        return _span(name, value, tuple(words), head, self._tokens.behind, None)


def _span(
    name: str, value: str, words: tuple[tuple[int, int], ...], head: _Head, end: int, block: BlockSpan | None
) -> FieldSpan:
    return FieldSpan(name, value, words, head.start, end, head.behind, head.indent, block)


def _plain_word(word: str, kind: Kind, known: FieldType | None) -> str:
    """Spell a number in decimal, without the ``f`` of C; leave anything else as it is."""
    if known is None or kind is not Kind.NUMBER or len(word) > _LONGEST:
        return word
    if known.is_real:
        return word.rstrip("fF")
    if _HEXADECIMAL.fullmatch(word):
        return str(int(word, 16))
    return str(int(word, 8)) if _OCTAL.fullmatch(word) else word
