"""protobuf's wire format: a walk over a message's bytes that copies none of them.

protobuf's own parser copies every blob of a caffemodel and refuses files above 2 GiB. A message is a sequence of
fields, each a tag (number and wire type) and a content; the walk yields where each content lies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Span = tuple[int, int]
"""A stretch of a file: its first byte, and the one after its last."""

Piece = bytes | memoryview
"""A stretch of a file to be written."""

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
"""The wire types. 3 and 4 are groups, which Caffe never had."""

WIDTHS = {FIXED64: 8, FIXED32: 4}
"""Bytes of the contents that need not say their length."""

LONGEST_VARINT = 10
LARGEST_TAG = (1 << 32) - 1
LONGEST_LOOK = 1 << 20
"""Fields looked at in one step when a run of them is measured."""


class WireError(Exception):
    """Bytes that are no protobuf message; says what and at which byte."""


class Field(NamedTuple):
    """One field of a message, or a run of fixed-width ones of the same number.

    A `repeated float` that is not packed is such a run: a tag before each value, five bytes in all.
    """

    number: int
    wire: int
    start: int
    """The content's first byte; for a run that of the first tag."""
    end: int
    """The byte after the content."""
    value: int = 0
    """The content of a varint: 64 bits, unsigned."""
    stride: int = 0
    """Bytes from one tag of a run to the next."""

    @property
    def span(self) -> Span:
        """The content's first byte, and the one after its last."""
        return self.start, self.end


def varint(data: memoryview, start: int, end: int) -> tuple[int, int]:
    """Read a number of variable length; give it and the byte after it."""
    value = 0
    for i in range(LONGEST_VARINT):
        if start + i >= end:
            raise WireError(f"it ends inside the number at byte {start}")
        octet = data[start + i]
        value |= (octet & 0x7F) << (7 * i)
        if octet < 0x80:
            return value & ((1 << 64) - 1), start + i + 1
    raise WireError(f"no number ends within {LONGEST_VARINT} bytes of byte {start}")


def fields(data: memoryview, start: int, end: int) -> Iterator[Field]:
    """Walk the fields of the message in ``data[start:end]``.

    Parameters
    ----------
    data : memoryview of bytes
        The whole file.
    start, end : int
        The message's first byte, and the one after its last.

    Yields
    ------
    Field
        In the file's order.

    Raises
    ------
    WireError
        When the bytes are no message, or the message goes on beyond `end`.
    """
    position = start
    while position < end:
        first = position
        tag, position = varint(data, first, end)
        number, wire = tag >> 3, tag & 7
        if number == 0 or tag > LARGEST_TAG:
            raise WireError(f"no field begins at byte {first}")
        if wire == VARINT:
            content = position
            value, position = varint(data, content, end)
            yield Field(number, wire, content, position, value=value)
        elif wire == LENGTH:
            length, content = varint(data, position, end)
            position = content + length
            if position > end:
                raise WireError(f"the field at byte {first} needs {length} bytes and {end - content} are left")
            yield Field(number, wire, content, position)
        elif wire in WIDTHS:
            stride = position - first + WIDTHS[wire]
            if first + stride > end:
                raise WireError(f"it ends inside the field at byte {first}")
            position = first + stride * _run(data, first, end, position - first, stride)
            yield Field(number, wire, first, position, stride=stride)
        else:
            raise WireError(f"the field at byte {first} has wire type {wire}")


def _run(data: memoryview, start: int, end: int, tag_size: int, stride: int) -> int:
    """Count the fields that follow each other with the same tag and width, the first included."""
    tag = data[start : start + tag_size]
    most = (end - start) // stride
    count, look = 1, 1
    # Most often there is no second one; only then is numpy worth its start.
    while count < most and data[start + count * stride : start + count * stride + tag_size] == tag:
        look = min(2 * look, most - count, LONGEST_LOOK)
        block = np.frombuffer(data, np.uint8, look * stride, start + count * stride).reshape(look, stride)
        same = (block[:, :tag_size] == np.frombuffer(tag, np.uint8)).all(axis=1)
        if not same.all():
            return count + int(same.argmin())
        count += look
    return count


def fixed_values(data: memoryview, field: Field, dtype: str) -> NDArray[np.floating]:
    """Give the values of a packed field, as a view of the bytes, or of a run, gathered.

    Parameters
    ----------
    data : memoryview of bytes
        The whole file.
    field : Field
        Packed (wire type `LENGTH`), or a run.
    dtype : str
        numpy's name of the values' type, byte order included: ``<f4``.

    Raises
    ------
    WireError
        When a packed field is no multiple of the width.
    """
    width = np.dtype(dtype).itemsize
    size = field.end - field.start
    if field.wire != LENGTH:
        octets = np.frombuffer(data, np.uint8, size, field.start).reshape(-1, field.stride)
        return np.ascontiguousarray(octets[:, field.stride - width :]).view(dtype).reshape(-1)
    if size % width:
        raise WireError(f"{size} bytes of values at byte {field.start} are no multiple of {width}")
    return np.frombuffer(data, dtype, size // width, field.start)


def signed(value: int, bits: int) -> int:
    """Read the low `bits` of a number as two's complement, as protobuf does for int32 and int64."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def varint_bytes(value: int) -> bytes:
    """Write a number that is not negative.

    Examples
    --------
    >>> varint_bytes(300).hex()
    'ac02'
    """
    octets = bytearray()
    while value > 0x7F:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    octets.append(value)
    return bytes(octets)


def varint_field(number: int, value: int) -> bytes:
    """Write a field that holds a number."""
    return varint_bytes(number << 3 | VARINT) + varint_bytes(value)


def length_field(number: int, pieces: Sequence[Piece]) -> list[Piece]:
    """Write a field whose content is there in pieces; these are not copied."""
    return [varint_bytes(number << 3 | LENGTH) + varint_bytes(sum(map(len, pieces))), *pieces]
