"""Caffemodels of older formats, written in today's, blob by blob.

Only the net around the blobs goes through protobuf; what needs no change is taken over byte by byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from google.protobuf.message import DecodeError

from ristretto.caffe.binary_file import map_file, printable, refuse_other_kinds
from ristretto.caffe.blob import DAMAGED, DATA, DOUBLE_DATA, GRADIENTS, LEGACY, Blob, number, read_blob, write_blob
from ristretto.caffe.caffemodel import CAFFE_LIMIT, V0, V1, V2, Form
from ristretto.caffe.schema import message_class
from ristretto.caffe.upgrade import RATES_FIXED, Change, fix_rates, upgrade_net
from ristretto.caffe.wire import FIXED32, LENGTH, Field, Piece, Span, WireError, fields, length_field
from ristretto.errors import CaffemodelError, ModelError
from ristretto.net.op import Shape

LAYERS, LAYER = number("NetParameter", "layers"), number("NetParameter", "layer")
INPUTS = tuple(number("NetParameter", name) for name in ("input", "input_shape", "input_dim"))
TYPE, PARAM = number("LayerParameter", "type"), number("LayerParameter", "param")
KNOWN = frozenset(message_class("V1LayerParameter").DESCRIPTOR.fields_by_number)

DOUBLES = "values in double_data are float data"
UNPACKED = "values with a tag each are packed"
SHAPES = "the four numbers num, channels, height, width are the shape that the blob has today"

WITH_BIAS = ("Convolution", "Deconvolution", "InnerProduct")
"""The layers that had weights when every blob had four axes."""


class Part(NamedTuple):
    """A field with its tag."""

    field: Field
    raw: memoryview


@dataclass
class _Log:
    """What was done, to which layers."""

    layers: dict[str, list[str]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def add(self, what: str, layer: str) -> None:
        """Note a change, once for each layer."""
        names = self.layers.setdefault(what, [])
        if not names or names[-1] != layer:
            names.append(layer)

    @property
    def changes(self) -> tuple[Change, ...]:
        """All that was noted."""
        return tuple(Change(what, tuple(names)) for what, names in self.layers.items())


@dataclass(frozen=True, eq=False)
class UpgradedWeights:
    """A caffemodel in today's format.

    Parameters
    ----------
    pieces : tuple of bytes or memoryview
        The file's content; stretches of the source, mapped into memory, are among them.
    version : str
        The source's: ``V0``, ``V1`` or ``V2``.
    changes : tuple of Change
        None when the source is in today's format: the pieces are its bytes then.
    left_out : tuple of str
    """

    pieces: tuple[Piece, ...]
    version: str
    changes: tuple[Change, ...]
    left_out: tuple[str, ...] = ()


def upgrade_caffemodel(path: str | Path) -> UpgradedWeights:
    """Upgrade a caffemodel.

    Raises
    ------
    CaffemodelError
        When the file cannot be read; see `read_weights`.
    ModelError
        When its net cannot be upgraded, or would be longer than Caffe can read.
    """
    data = map_file(path)
    refuse_other_kinds(path, data)
    try:
        parts = list(_parts(data, (0, len(data))))
        numbers = {part.field.number for part in parts if part.field.wire == LENGTH}
        if not {LAYERS, LAYER} & numbers:
            raise CaffemodelError(f"{path} holds no layers", hint="is it a mean file or a solverstate?")
        if {LAYERS, LAYER} <= numbers:
            raise CaffemodelError(f"{path} holds layers of two versions of the format", hint=DAMAGED)
        upgraded = (_legacy if LAYERS in numbers else _today)(path, data, parts)
    except (WireError, DecodeError, UnicodeError) as error:
        raise CaffemodelError(f"{path} is truncated or corrupt: {printable(str(error))}", hint=DAMAGED) from error
    if not upgraded.changes:
        return UpgradedWeights((data,), upgraded.version, ())
    return _within_limit(upgraded, path)


def packed_weights(layers: Mapping[str, Iterable[Blob]], path: str | Path) -> UpgradedWeights:
    """Give the weights of an HDF5 file as a caffemodel: names and blobs, all that Caffe matches by."""
    pieces: list[Piece] = []
    for name, blobs in layers.items():
        content: list[Piece] = [message_class("LayerParameter")(name=name).SerializeToString()]
        for blob in blobs:
            content += length_field(V2.blobs, write_blob(blob))
        pieces += length_field(LAYER, content)
    change = Change("HDF5 weights are a binary caffemodel", tuple(layers))
    lacking = "types, bottoms and tops of the layers: an HDF5 file has names and weights only"
    return _within_limit(UpgradedWeights(tuple(pieces), "HDF5", (change,), (lacking,)), path)


def _within_limit(upgraded: UpgradedWeights, path: str | Path) -> UpgradedWeights:
    size = sum(map(len, upgraded.pieces))
    if size > CAFFE_LIMIT:
        raise ModelError(f"{path} would be a caffemodel of {size} bytes", hint="Caffe reads up to 2 GiB")
    return upgraded


def _parts(data: memoryview, span: Span) -> Iterator[Part]:
    """Give the fields of a message, each with the bytes from its tag on."""
    start = span[0]
    for item in fields(data, *span):
        yield Part(item, data[start : item.end])
        start = item.end


def _legacy(path: str | Path, data: memoryview, parts: list[Part]) -> UpgradedWeights:
    """Upgrade a file with V1 or V0 layers: their blobs aside, by way of a message."""
    log = _Log()
    skeleton: list[Piece] = []
    blobs: list[list[Span]] = []
    for part in parts:
        if part.field.number == LAYERS and part.field.wire == LENGTH:
            if unknown := sum(item.number not in KNOWN for item in fields(data, *part.field.span)):
                plural = "" if unknown == 1 else "s"
                log.left_out.append(f"{unknown} field{plural} of a fork in V1 layer {len(blobs) + 1}")
            content, spans = _without_blobs(data, part.field.span, V1)
            skeleton += length_field(LAYERS, content)
            blobs.append(spans)
        else:
            skeleton.append(part.raw)
    upgraded = upgrade_net(message_class("NetParameter").FromString(b"".join(skeleton)), str(path), of_weights=True)
    layers = list(upgraded.message.layer)
    upgraded.message.ClearField("layer")
    pieces: list[Piece] = [upgraded.message.SerializeToString(deterministic=True)]
    for layer, origin in zip(layers, upgraded.origins, strict=True):
        content = [layer.SerializeToString(deterministic=True)]
        for index, span in enumerate(blobs[origin] if origin >= 0 else ()):
            content += length_field(V2.blobs, _blob(data, span, index, (layer.name, layer.type), path, log))
        pieces += length_field(LAYER, content)
    changes = upgraded.changes + log.changes
    return UpgradedWeights(tuple(pieces), upgraded.version, changes, upgraded.left_out + tuple(log.left_out))


def _without_blobs(data: memoryview, span: Span, form: Form) -> tuple[list[Piece], list[Span]]:
    """Give a layer's bytes without its blobs, those of a V0 layer inside it included; and where the blobs lie."""
    pieces: list[Piece] = []
    spans: list[Span] = []
    for part in _parts(data, span):
        place, nested = part.field.number, part.field.wire == LENGTH
        if nested and place == form.blobs:
            spans.append(part.field.span)
        elif nested and place == form.inner:
            inner, spans = _without_blobs(data, part.field.span, V0)
            pieces += length_field(place, inner)
        else:
            pieces.append(part.raw)
    return pieces, spans


def _today(path: str | Path, data: memoryview, parts: list[Part]) -> UpgradedWeights:
    """Upgrade a file with V2 layers: only what is old in them is written anew."""
    log = _Log()
    inputs = [part.raw for part in parts if part.field.number in INPUTS]
    changes: tuple[Change, ...] = ()
    pieces: list[Piece] = []
    if inputs:
        upgraded = upgrade_net(message_class("NetParameter").FromString(b"".join(inputs)), str(path), of_weights=True)
        changes = upgraded.changes
        for layer in upgraded.message.layer:
            pieces += length_field(LAYER, [layer.SerializeToString(deterministic=True)])
    for part in parts:
        if part.field.number == LAYER and part.field.wire == LENGTH:
            pieces += _today_layer(path, data, part, log)
        elif part.field.number not in INPUTS:
            pieces.append(part.raw)
    return UpgradedWeights(tuple(pieces), "V2", changes + log.changes, tuple(log.left_out))


def _today_layer(path: str | Path, data: memoryview, layer: Part, log: _Log) -> list[Piece]:
    words = {V2.name: "", TYPE: ""}
    parts = list(_parts(data, layer.field.span))
    for part in parts:
        if part.field.number in words and part.field.wire == LENGTH:
            words[part.field.number] = str(data[part.field.start : part.field.end], "utf-8", "replace")
    name, kind = words[V2.name], words[TYPE]
    params = [part.field for part in parts if part.field.number == PARAM and part.field.wire == LENGTH]
    specs = [message_class("ParamSpec").FromString(bytes(data[param.start : param.end])) for param in params]
    fixed = iter(specs if fix_rates(kind, specs) else ())
    index = 0
    content: list[Piece] = []
    for part in parts:
        if part.field.number == V2.blobs and part.field.wire == LENGTH:
            content += length_field(V2.blobs, _blob(data, part.field.span, index, (name, kind), path, log))
            index += 1
        elif part.field in params and (spec := next(fixed, None)) is not None:
            content += length_field(PARAM, [spec.SerializeToString(deterministic=True)])
            log.add(RATES_FIXED, name)
        else:
            content.append(part.raw)
    return length_field(LAYER, content)


def _blob(data: memoryview, span: Span, index: int, layer: tuple[str, str], path: str | Path, log: _Log) -> list[Piece]:
    """Give a blob's bytes: the source's own where they are in today's form."""
    name, kind = layer
    found = list(fields(data, *span))
    try:
        blob = read_blob(data, span)
    except CaffemodelError as error:
        message = f"weight blob {index} {error.message} in {path}"
        raise CaffemodelError(message, layer=printable(name), hint=error.hint) from error
    shape = blob.shape
    if any(item.number in LEGACY for item in found):
        shape = today_shape(kind, index, blob.shape)
    reasons = {
        DOUBLES: any(item.number == DOUBLE_DATA for item in found),
        UNPACKED: any(item.number == DATA and item.wire == FIXED32 for item in found),
        SHAPES: shape != blob.shape,
    }
    if not any(reasons.values()):
        return [data[span[0] : span[1]]]
    for what, holds in reasons.items():
        if holds:
            log.add(what, name)
    if any(item.number in GRADIENTS for item in found):
        log.left_out.append(f"the gradients of weight blob {index} of layer '{name}'")
    return write_blob(blob.reshape(shape))


def today_shape(kind: str, index: int, shape: Shape) -> Shape:
    """Give the shape that a blob with four axes has today.

    Parameters
    ----------
    kind : str
        Today's name of its layer's type.
    index : int
        Its place in the layer: 0 for the weights, 1 for the bias.
    shape : tuple of int
        All four axes.

    Examples
    --------
    >>> today_shape("InnerProduct", 0, (1, 1, 500, 800)), today_shape("Convolution", 1, (1, 1, 1, 20))
    ((500, 800), (20,))
    """
    if kind in WITH_BIAS and index == 1 and shape[:3] == (1, 1, 1):
        return shape[3:]
    if kind == "InnerProduct" and index == 0 and shape[:2] == (1, 1):
        return shape[2:]
    return shape
