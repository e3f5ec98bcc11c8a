"""The walk over protobuf's wire format, held to protobuf's own parser and to plain arithmetic."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.caffe.schema import message_class
from ristretto.caffe.wire import (
    FIXED32,
    FIXED64,
    LENGTH,
    VARINT,
    Field,
    WireError,
    fields,
    fixed_values,
    length_field,
    signed,
    varint,
    varint_bytes,
    varint_field,
)


def walk(content: bytes) -> list[Field]:
    return list(fields(memoryview(content), 0, len(content)))


@given(st.integers(0, 2**64 - 1))
def test_varints_go_round(value: int) -> None:
    octets = varint_bytes(value)
    assert varint(memoryview(b"\xff" + octets + b"\xff"), 1, 1 + len(octets)) == (value, 1 + len(octets))
    with pytest.raises(WireError, match="inside the number at byte 1"):
        varint(memoryview(b"\xff" + octets), 1, len(octets))


@given(st.integers(-(2**63), 2**63 - 1))
def test_signed_numbers_are_protobufs(value: int) -> None:
    octets = message_class("SolverParameter")(random_seed=value).SerializeToString()
    (field,) = walk(octets)
    assert signed(field.value, 64) == value
    assert signed(field.value, 32) == struct.unpack("<i", struct.pack("<q", value)[:4])[0]


def test_each_wire_type() -> None:
    content = b"\x08\xac\x02" + b"\x12\x03abc" + b"\x19" + bytes(8) + b"\x25" + bytes(4)
    found = [(field.number, field.wire, content[field.start : field.end]) for field in walk(content)]
    assert found == [
        (1, VARINT, b"\xac\x02"),
        (2, LENGTH, b"abc"),
        (3, FIXED64, b"\x19" + bytes(8)),
        (4, FIXED32, b"\x25" + bytes(4)),
    ]
    assert walk(content)[0].value == 300
    assert walk(b"") == []


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 100, 4097])
@pytest.mark.parametrize(("number", "width", "dtype"), [(5, 4, "<f4"), (9, 8, "<f8"), (700, 4, "<f4")])
def test_a_run_comes_as_one_field(count: int, number: int, width: int, dtype: str) -> None:
    values = np.random.default_rng(count).standard_normal(count).astype(dtype)
    tag = varint_bytes(number << 3 | {4: FIXED32, 8: FIXED64}[width])
    run = b"".join(tag + value.tobytes() for value in values)
    # What follows begins like one more of them, and is too short or another field.
    for after in (b"", b"\x08\x01", varint_bytes((number + 1) << 3 | 2) + b"\x40" + bytes(64)):
        content = b"\x08\x07" + run + after
        found = walk(content)
        assert [field.number for field in found[:2]] == [1, number]
        assert len(found) == (3 if after else 2)
        assert found[1].span == (2, 2 + len(run))
        got = fixed_values(memoryview(content), found[1], dtype)
        assert got.dtype == dtype
        assert got.tobytes() == values.tobytes()


def test_packed_values_are_a_view() -> None:
    values = np.arange(5, dtype="<f4")
    content = bytearray(b"\x2a\x14" + values.tobytes())
    (field,) = walk(bytes(content))
    got = fixed_values(memoryview(content), field, "<f4")
    assert got.tolist() == [0, 1, 2, 3, 4]
    content[2:6] = struct.pack("<f", 9.0)
    assert got[0] == 9.0
    with pytest.raises(WireError, match="20 bytes of values at byte 2 are no multiple of 8"):
        fixed_values(memoryview(content), field, "<f8")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x0a\x04abc", "the field at byte 0 needs 4 bytes and 3 are left"),
        (b"\x08\x01\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", f"the field at byte 2 needs {2**64 - 1} bytes"),
        (b"\x08", "inside the number at byte 1"),
        (b"\x08\xff", "inside the number at byte 1"),
        (b"\x08" + b"\xff" * 20, "no number ends within 10 bytes of byte 1"),
        (b"\x0d\x00\x00\x00", "inside the field at byte 0"),
        (b"\x0d\x00\x00\x00\x00\x0d\x00", "inside the field at byte 5"),
        (b"\x09" + bytes(7), "inside the field at byte 0"),
        (b"\x00\x01", "no field begins at byte 0"),
        (b"\xf8\xff\xff\xff\x7f\x01", "no field begins at byte 0"),
        (b"\x0b\x0c", "wire type 3"),
        (b"\x0c", "wire type 4"),
        (b"\x0e", "wire type 6"),
        (b"\x0f", "wire type 7"),
    ],
)
def test_what_is_no_message(content: bytes, said: str) -> None:
    with pytest.raises(WireError, match=said):
        walk(content)
    # The message ends where its owner says, whatever stands after it.
    with pytest.raises(WireError, match=said):
        list(fields(memoryview(content + bytes(30)), 0, len(content)))


def test_the_largest_tag() -> None:
    assert walk(b"\xf8\xff\xff\xff\x0f\x01")[0].number == 2**29 - 1


def test_writing_fields() -> None:
    assert varint_field(3, 300) == b"\x18\xac\x02"
    piece = memoryview(b"cde")
    pieces = length_field(100, [b"ab", piece])
    assert b"".join(pieces) == b"\xa2\x06\x05abcde"
    assert pieces[2] is piece


@given(st.builds(message_class("BlobProto"), num=st.integers(0, 9), data=st.lists(st.floats(width=32), max_size=5)))
def test_finds_the_fields_that_protobuf_wrote(message: Any) -> None:
    found = [field.number for field in walk(message.SerializeToString(deterministic=True))]
    assert found == [field.number for field, _ in message.ListFields()]
