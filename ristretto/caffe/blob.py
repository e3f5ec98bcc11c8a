"""A BlobProto's bytes to an array and back: shape and values, found without copying them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ristretto.caffe.schema import message_class
from ristretto.caffe.wire import (
    FIXED32,
    FIXED64,
    LENGTH,
    VARINT,
    Field,
    Piece,
    Span,
    fields,
    fixed_values,
    length_field,
    signed,
    varint,
    varint_bytes,
    varint_field,
)
from ristretto.errors import CaffemodelError
from ristretto.net.op import Shape

Blob = NDArray[np.float32]

MOST_AXES = 32
"""Caffe's own limit."""

LOOK = 1 << 18
"""Numbers looked at in one step of the search for NaN, so that it needs no memory to speak of."""

DAMAGED = "copy or download the file again"


def number(message: str, field: str) -> int:
    """Give the number of a field of Caffe's schema."""
    return int(message_class(message).DESCRIPTOR.fields_by_name[field].number)


DATA, DOUBLE_DATA, SHAPE = (number("BlobProto", name) for name in ("data", "double_data", "shape"))
LEGACY = tuple(number("BlobProto", name) for name in ("num", "channels", "height", "width"))
GRADIENTS = {number("BlobProto", "diff"): "<f4", number("BlobProto", "double_diff"): "<f8"}
"""What nothing here reads, and its types."""
DIM = number("BlobShape", "dim")


def read_blob(data: memoryview, span: Span) -> Blob:
    """Read a BlobProto.

    Parameters
    ----------
    data : memoryview of bytes
        The whole file.
    span : (int, int)
        The message's first byte, and the one after its last.

    Returns
    -------
    float32 array, read-only, finite
        A view of the bytes where the file has packed floats, as Caffe writes them; else a copy. Its address is no
        multiple of four in general. Four axes where the file has ``num``, ``channels``, ``height``, ``width``.

    Raises
    ------
    WireError
        When the bytes are no message.
    CaffemodelError
        When values and shape do not fit, or a value is NaN or infinite; without the names of layer and file.
    """
    single, double = [], []
    dims: list[int] = []
    legacy: dict[int, int] = {}
    for field in fields(data, *span):
        if field.number == DATA and field.wire in (LENGTH, FIXED32):
            single.append(field)
        elif field.number == DOUBLE_DATA and field.wire in (LENGTH, FIXED64):
            double.append(field)
        elif field.number == SHAPE and field.wire == LENGTH:
            for dim in _read_dims(data, field.span):
                if len(dims) == MOST_AXES:
                    raise CaffemodelError(f"has more than {MOST_AXES} axes", hint=DAMAGED)
                dims.append(dim)
        elif field.number in GRADIENTS and field.wire == LENGTH:
            # Others do, and refuse a file in which they are cut off.
            fixed_values(data, field, GRADIENTS[field.number])
        elif field.number in LEGACY and field.wire == VARINT:
            legacy[field.number] = signed(field.value, 32)
    # Caffe's order: the four numbers win over a shape, doubles over floats.
    shape = tuple(legacy.get(axis, 0) for axis in LEGACY) if legacy else tuple(dims)
    values = _gather(data, double, "<f8") if double else _gather(data, single, "<f4")
    if min(shape, default=1) < 1:
        raise CaffemodelError(f"has the impossible shape {_named(shape)}", hint=DAMAGED)
    if math.prod(shape) != values.size:
        raise CaffemodelError(f"has {values.size} values for the shape {_named(shape)}", hint=DAMAGED)
    refuse_nonfinite(values)
    blob = values.reshape(shape)
    blob.flags.writeable = False
    return blob


def _named(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "of a scalar"


def _read_dims(data: memoryview, span: Span) -> Iterator[int]:
    for field in fields(data, *span):
        if field.number != DIM:
            continue
        if field.wire == VARINT:
            yield signed(field.value, 64)
        elif field.wire == LENGTH:
            position = field.start
            while position < field.end:
                value, position = varint(data, position, field.end)
                yield signed(value, 64)


def _gather(data: memoryview, parts: list[Field], dtype: str) -> Blob:
    """Give the values of a repeated field: a view of packed floats, else one copy."""
    pieces = [fixed_values(data, part, dtype) for part in parts] or [np.empty(0, np.float32)]
    # Doubles beyond float32 become infinite, and are refused as such.
    with np.errstate(over="ignore"):
        if len(pieces) == 1:
            return pieces[0].astype(np.float32, copy=False)
        return np.concatenate(pieces, dtype=np.float32, casting="same_kind")


def refuse_nonfinite(values: Blob) -> None:
    """Raise a CaffemodelError, without the names of layer and file, where a value is NaN or infinite."""
    for start in range(0, values.size, LOOK):
        look = values[start : start + LOOK]
        if not np.isfinite(look).all():
            kind = "NaN" if np.isnan(look).any() else "infinity"
            raise CaffemodelError(f"holds {kind}", hint="the training diverged: take an earlier snapshot")


def write_blob(blob: Blob) -> list[Piece]:
    """Give the bytes of a BlobProto, in pieces; the values are not copied where they lie in C order."""
    values = np.ascontiguousarray(blob, "<f4").reshape(-1).view(np.uint8).data
    data = length_field(DATA, [values])
    if len(blob.shape) == 4 and blob.shape[0] == 1:
        # The bias of an old file has the shape 1x1x1xn here. Caffe wants n of it, and takes 1x1x1xn for that only
        # where it stands in the four old fields; for a blob that does have four axes both forms mean the same.
        return [*(varint_field(axis, dim) for axis, dim in zip(LEGACY, blob.shape, strict=True)), *data]
    dims = b"".join(map(varint_bytes, blob.shape))
    return [*data, *length_field(SHAPE, length_field(DIM, [dims]) if dims else [])]
