"""The prototxt, lossless: its text, where the layers stand in it, and the text with other types and formats.

protobuf reads the fields; the text itself is kept, and only the words that must change are written anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from ristretto.caffe.schema import message_class
from ristretto.caffe.spans import BlockSpan, FieldSpan, Patch, insertion, patched, removal, replacement
from ristretto.caffe.tokens import Tokens
from ristretto.caffe.walk import QUANTIZATION, SETTINGS, TOP, TYPE, UnknownField, Walk
from ristretto.errors import PrototxtError

_FIRST_BYTES = 1 << 16
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""The first bytes of a text in UTF-16."""
SOLVER_FIELDS = ("net", "train_net", "base_lr", "solver_type")
"""What a solver says and a net does not."""

_WRONG_FILE = "give the net as text (.prototxt); --weights takes the caffemodel"


@dataclass(frozen=True)
class LayerEdit:
    """What becomes of a layer.

    Parameters
    ----------
    type : str
        Its type.
    quantization : list of (str, str), or None
        The fields of its ``quantization_param`` with their values; None for no such block.
    settings : mapping of str to mapping of str to str
        What it must say beside that, by block (one of `SETTINGS`) and field.
    tops : tuple of str, or None
        Other names for its tops, as many as it has; None where they stay.
    """

    type: str
    quantization: list[tuple[str, str]] | None
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tops: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Prototxt:
    """A prototxt's text, and what stands where in it.

    Parameters
    ----------
    text : str
        The whole file, as `read_text` gives it.
    where : str
        The file's name, for errors.
    layers : tuple of BlockSpan
        The net's ``layer`` blocks, in order.
    places : tuple of FieldSpan or None
        All that each of them takes up; None for one in a list.
    unknown : tuple of UnknownField
        The fields that the schema lacks; they stay in the text and nothing here reads them.
    """

    text: str
    where: str
    layers: tuple[BlockSpan, ...]
    places: tuple[FieldSpan | None, ...]
    unknown: tuple[UnknownField, ...]

    @property
    def is_solver(self) -> bool:
        """Whether this looks like a solver's settings, read as a net."""
        return any(field.name in SOLVER_FIELDS and not field.parent for field in self.unknown)

    def rewrite(self, edits: Mapping[int, LayerEdit | None]) -> str:
        """Give the text with other types, formats and tops, or without some layers; all else stays, byte for byte.

        A new ``quantization_param`` stands before its layer's closing brace, as the fork writes it, in the layer's own
        indentation and line ends; in a layer on one line it stands inline. In one that is there already, the values
        that differ change, missing fields are added at its end, and those without a value go; comments and fields that
        the schema lacks stay. One that is taken away goes with its lines and the comments inside it. Of a block of
        settings, the fields that differ change and missing ones are added; the others stay. A layer that is taken away
        goes with its lines and the comments inside it; comments and empty lines around it stay.

        Parameters
        ----------
        edits : mapping of int to LayerEdit or None
            By the layer's place in the net, counted from 0; None takes the layer away.

        Returns
        -------
        str
            The same object when nothing differs.

        Raises
        ------
        PrototxtError
            When a layer that gets a type has none, or one that is taken away stands in a list.
        """
        patches: list[Patch] = []
        for index, edit in edits.items():
            patches += [self._without(index)] if edit is None else self._patches(self.layers[index], edit)
        return patched(self.text, patches) if patches else self.text

    def _without(self, index: int) -> Patch:
        place = self.places[index]
        if place is None:
            raise Tokens(self.text, self.where).error(
                "a layer in a list cannot be taken away",
                self.layers[index].start,
                hint="write `layer { }` for each layer instead of `layer: [ ]`",
            )
        return removal(self.text, place)

    def _patches(self, layer: BlockSpan, edit: LayerEdit) -> Iterator[Patch]:
        kind, quantization = layer.field(TYPE), layer.field(QUANTIZATION)
        if kind is None:
            raise Tokens(self.text, self.where).error("a layer without a type", layer.start)
        if kind.value != edit.type:
            yield from replacement(self.text, kind, edit.type)
        if edit.tops is not None:
            tops = [found for found in layer.fields if found.name == TOP]
            for named, top in zip(tops, edit.tops, strict=True):
                if named.value != top:
                    yield from replacement(self.text, named, top)
        if edit.quantization is None:
            if quantization is not None:
                yield removal(self.text, quantization)
        elif quantization is None:
            yield insertion(self.text, layer, QUANTIZATION, edit.quantization)
        else:
            assert quantization.block is not None, "the schema has a block there"
            yield from self._block_patches(quantization.block, edit.quantization, whole=True)
        for name, wanted in edit.settings.items():
            assert name in SETTINGS, "the places of other blocks are not kept"
            found = layer.field(name)
            if found is None or found.block is None:
                yield insertion(self.text, layer, name, list(wanted.items()))
            else:
                yield from self._block_patches(found.block, list(wanted.items()), whole=False)

    def _block_patches(self, block: BlockSpan, wanted: list[tuple[str, str]], *, whole: bool) -> Iterator[Patch]:
        """Change a block to hold what is wanted; to hold nothing else where that is the whole of it."""
        missing = dict(wanted)
        for found in block.fields:
            if found.name in missing:
                if found.value != (value := missing.pop(found.name)):
                    yield from replacement(self.text, found, value)
            elif whole:
                yield removal(self.text, found)
        if missing:
            yield insertion(self.text, block, "", list(missing.items()))


def read_text(path: str | Path) -> str:
    """Read a prototxt, keeping every byte: line ends, a byte order mark, bytes that are no UTF-8.

    Raises
    ------
    PrototxtError
        When there is no such file, it cannot be read, or it is no text.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_FIRST_BYTES)
            if data.startswith(UTF_16):
                raise PrototxtError(f"{path} is in UTF-16", hint="convert it to UTF-8")
            if b"\0" in data:
                raise PrototxtError(f"{path} is a binary file, not a prototxt", hint=_WRONG_FILE)
            data += file.read()
    except OSError as error:
        raise PrototxtError(f"cannot read {path}: {error.strerror}", hint="check the path of the prototxt") from error
    return decode(data)


def decode(data: bytes) -> str:
    """Give the text of a file's bytes, all of which `encode` gives back."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Give the bytes of a text: those of the file, where nothing was changed."""
    return text.encode("utf-8", "surrogateescape")


def scan(text: str, where: str, kind: str = "NetParameter") -> Prototxt:
    """Find the layers in a text.

    Parameters
    ----------
    text : str
        As `read_text` gives it.
    where : str
        The file's name, for errors.
    kind : str
        The message that it holds.

    Raises
    ------
    PrototxtError
        When the text is no prototxt; the message starts with ``file:line:column``.
    """
    walk = Walk(text, where, kind)
    for _ in walk.lines():
        pass
    return Prototxt(text, where, tuple(walk.layers), tuple(walk.places), walk.unknown)


def parse(text: str, where: str, kind: str = "NetParameter") -> Any:
    """Read the fields of a text.

    Fields that the schema lacks are left out; `scan` lists them.

    Parameters
    ----------
    text : str
        As `read_text` gives it.
    where : str
        The file's name, for errors.
    kind : str
        The message that it holds.

    Returns
    -------
    NetParameter, or another protobuf message

    Raises
    ------
    PrototxtError
        When the text is no prototxt or a value is not of its field's kind; the message starts with
        ``file:line:column``.
    """
    message = message_class(kind)()
    walk = Walk(text, where, kind)
    try:
        text_format.ParseLines(walk.lines(), message)
    except text_format.ParseError as error:
        raise walk.refusal() from error
    return message
