"""Caffemodels: the weights of a net, as arrays that lie in the file itself.

protobuf would parse a file of 240 MB into 240 MB more. Here the file is mapped into memory and only its structure is
walked; a blob is a read-only view of the file's bytes. Such a view need not begin at a multiple of four bytes, which
numpy and numba bear: measured on 151 MB, a look at every number takes 12 ms instead of 8, while a copy takes 13 ms and
the memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ristretto.caffe.binary_file import HDF5, map_file, printable, refuse_other_kinds
from ristretto.caffe.blob import DAMAGED, Blob, number, read_blob, write_blob
from ristretto.caffe.schema import message_class
from ristretto.caffe.wire import LENGTH, Piece, Span, WireError, fields, length_field
from ristretto.errors import CaffemodelError, ModelError
from ristretto.net import Layer, Net

CAFFE_LIMIT = (1 << 31) - 1
"""Bytes; Caffe reads no longer file."""


class Form(NamedTuple):
    """One version of the format: the field numbers of a layer's name and weights."""

    name: int
    blobs: int
    inner: int = 0
    """Of the layer of the version before, where there can be one inside."""


def _form(message: str, inner: str = "") -> Form:
    return Form(number(message, "name"), number(message, "blobs"), number(message, inner) if inner else 0)


V0 = _form("V0LayerParameter")
V1 = _form("V1LayerParameter", inner="layer")
V2 = _form("LayerParameter")
LAYERS = {number("NetParameter", "layers"): V1, number("NetParameter", "layer"): V2}
"""By the number of the net's field that holds the layers."""


@dataclass(frozen=True, eq=False)
class Weights:
    """What a caffemodel holds.

    Parameters
    ----------
    layers : mapping of str to tuple of float32 arrays, read-only
        The blobs of each layer that has some, by the layer's name; of two layers with one name the last, as in Caffe.
        A blob of a file from before 2015 has four axes, leading ones included.
    """

    layers: Mapping[str, tuple[Blob, ...]]


def read_weights(path: str | Path) -> Weights:
    """Read a caffemodel of any version of the format, V2, V1 or V0, or the weights of an HDF5 file.

    Parameters
    ----------
    path : path
        The file, of any size. But for HDF5 the arrays are views of it, so it must not be changed in place while they
        are in use; to put another file under its name does no harm.

    Returns
    -------
    Weights
        All numbers in it are finite.

    Raises
    ------
    CaffemodelError
        When the file is missing, truncated, corrupt or of another kind, when a blob's values do not fit its shape, or
        when one of them is NaN or infinite. A file that ends exactly between two layers shows nothing of it.
    """
    data = map_file(path)
    if bytes(data[: len(HDF5)]) == HDF5:
        from ristretto.caffe.hdf5_weights import read_hdf5  # h5py takes longer to load than most weights

        return Weights(read_hdf5(path))
    refuse_other_kinds(path, data)
    layers: dict[str, tuple[Blob, ...]] = {}
    forms = set()
    layer = ""
    try:
        for field in fields(data, 0, len(data)):
            if field.number in LAYERS and field.wire == LENGTH:
                form = LAYERS[field.number]
                forms.add(form)
                layer, spans = _find_blobs(data, field.span, form)
                if spans:
                    layers[layer] = tuple(_read_blob(data, span, index) for index, span in enumerate(spans))
                # What may be wrong from here on is not this layer's.
                layer = ""
    except WireError as error:
        message = f"{path} is truncated or corrupt: {error}"
        raise CaffemodelError(message, layer=printable(layer), hint=DAMAGED) from error
    except CaffemodelError as error:
        raise CaffemodelError(f"{error.message} in {path}", layer=printable(layer), hint=error.hint) from error
    if not forms:
        raise CaffemodelError(f"{path} holds no layers", hint="is it a mean file or a solverstate?")
    if len(forms) > 1:
        raise CaffemodelError(f"{path} holds layers of two versions of the format", hint=DAMAGED)
    return Weights(layers)


def _find_blobs(data: memoryview, span: Span, form: Form) -> tuple[str, list[Span]]:
    """Give a layer's name and where its blobs lie."""
    name, spans, inner = "", [], None
    for field in fields(data, *span):
        if field.wire != LENGTH:
            continue
        if field.number == form.name:
            name = str(data[field.start : field.end], "utf-8", "replace")
        elif field.number == form.blobs:
            spans.append(field.span)
        elif field.number == form.inner:
            inner = field.span
    return _find_blobs(data, inner, V0) if inner else (name, spans)


def _read_blob(data: memoryview, span: Span, index: int) -> Blob:
    try:
        return read_blob(data, span)
    except CaffemodelError as error:
        raise CaffemodelError(f"weight blob {index} {error.message}", hint=error.hint) from error


def encode_weights(net: Net) -> bytes:
    """Give a net's weights as a V2 caffemodel, the same bytes for the same net.

    Parameters
    ----------
    net : Net
        Its layers are all written, those without weights too.

    Returns
    -------
    bytes
        A ``NetParameter`` that holds of each layer its name, type, bottoms, tops and blobs.

    Raises
    ------
    ModelError
        When the file would be longer than Caffe can read.
    """
    size = sum(blob.nbytes for layer in net for blob in layer.blobs)
    if size > CAFFE_LIMIT:
        raise ModelError(f"{size} bytes of weights are too many for a caffemodel", hint="Caffe reads up to 2 GiB")
    pieces: list[Piece] = [message_class("NetParameter")(name=net.name).SerializeToString()]
    for layer in net:
        pieces += length_field(number("NetParameter", "layer"), _write_layer(layer))
    return b"".join(pieces)


def _write_layer(layer: Layer) -> list[Piece]:
    message = message_class("LayerParameter")
    words = message(name=layer.name, type=layer.type, bottom=layer.bottoms, top=layer.tops)
    pieces: list[Piece] = [words.SerializeToString()]
    for blob in layer.blobs:
        pieces += length_field(V2.blobs, write_blob(blob))
    return pieces
