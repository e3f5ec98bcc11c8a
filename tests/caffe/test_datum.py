from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.caffe.datum import Datum, read_datum, read_mean, write_datum
from ristretto.caffe.schema import message_class
from ristretto.errors import DataError, RistrettoError


def one_line(error: RistrettoError) -> bool:
    return "\n" not in error.message and "\n" not in error.hint and bool(error.hint)


# channels 1, height 1, width 2, data (two bytes), label 3: field number and wire type, then the value.
WIRE = bytes([0x08, 1, 0x10, 1, 0x18, 2, 0x22, 2, 7, 255, 0x28, 3])


def test_bytes_are_read() -> None:
    datum = read_datum(WIRE)
    assert (datum.channels, datum.height, datum.width) == (1, 1, 2)
    assert datum.data == b"\x07\xff"
    assert datum.label == 3
    assert datum.float_data is None
    assert datum.encoded is False


def test_written_as_caffe_writes_it() -> None:
    assert write_datum(Datum(1, 1, 2, b"\x07\xff", 3)) == WIRE


def test_floats_may_be_packed_or_not() -> None:
    loose = b"".join(b"\x35" + struct.pack("<f", v) for v in (0.5, -2.0))
    packed = b"\x32\x08" + struct.pack("<2f", 0.5, -2.0)
    for wire in (loose, packed):
        floats = read_datum(wire).float_data
        assert floats is not None
        assert floats.dtype == np.float32
        assert floats.tolist() == [0.5, -2.0]
        assert not floats.flags.writeable


def test_encoded_is_read() -> None:
    assert read_datum(b"\x38\x01").encoded is True


@given(
    data=st.binary(max_size=20),
    label=st.integers(-(2**31), 2**31 - 1),
    floats=st.none() | st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=5),
    encoded=st.booleans(),
    shape=st.tuples(*[st.integers(0, 2**31 - 1)] * 3),
)
def test_what_is_written_is_read(
    data: bytes, label: int, floats: list[float] | None, encoded: bool, shape: tuple[int, int, int]
) -> None:
    values = None if floats is None else np.array(floats, np.float32)
    wire = write_datum(Datum(*shape, data, label, values, encoded))
    read = read_datum(wire)
    assert (read.channels, read.height, read.width) == shape
    assert (read.data, read.label, read.encoded) == (data, label, encoded)
    assert (None if read.float_data is None else read.float_data.tolist()) == floats
    assert write_datum(read) == wire


@pytest.mark.parametrize("wire", [WIRE[:-1], b"\xff" * 9, b"\x22\x7f"])
def test_other_bytes_are_no_datum(wire: bytes) -> None:
    with pytest.raises(DataError, match="no Datum") as caught:
        read_datum(wire)
    assert one_line(caught.value)


def mean_file(folder: Path, **fields: object) -> Path:
    path = folder / "mean.binaryproto"
    path.write_bytes(message_class("BlobProto")(**fields).SerializeToString())
    return path


VALUES = [0.5, 1.0, 2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize(
    "shape",
    [
        {"num": 1, "channels": 3, "height": 1, "width": 2},
        {"shape": {"dim": [1, 3, 1, 2]}},
        {"shape": {"dim": [3, 1, 2]}},
        # Caffe reads the older fields where both stand.
        {"shape": {"dim": [1, 1, 6]}, "num": 1, "channels": 3, "height": 1, "width": 2},
    ],
)
def test_mean_is_read_whatever_spells_its_shape(tmp_path: Path, shape: dict[str, object]) -> None:
    mean = read_mean(mean_file(tmp_path, data=VALUES, **shape))
    assert mean.dtype == np.float32
    assert mean.tolist() == [[[0.5, 1.0]], [[2.0, 3.0]], [[4.0, 5.0]]]
    assert not mean.flags.writeable


def test_mean_of_doubles_is_narrowed(tmp_path: Path) -> None:
    mean = read_mean(mean_file(tmp_path, double_data=[1 / 3], shape={"dim": [1, 1, 1]}))
    assert mean.dtype == np.float32
    assert mean[0, 0, 0] == np.float32(1 / 3)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"num": 1, "channels": 3, "height": 1, "width": 3, "data": VALUES}, "6 values for the shape 1x3x1x3"),
        ({"num": 2, "channels": 3, "height": 1, "width": 1, "data": VALUES}, "shape 2x3x1x1"),
        ({"shape": {"dim": [6]}, "data": VALUES}, "shape 6, not"),
        ({"shape": {"dim": [-1, -6, 1]}, "data": VALUES}, "shape -1x-6x1"),
        ({"data": VALUES}, "shape 0x0x0x0"),
        ({}, "shape 0x0x0x0"),
        ({"shape": {"dim": [1, 1, 1]}, "data": [float("nan")]}, "NaN"),
        ({"shape": {"dim": [1, 1, 1]}, "double_data": [float("inf")]}, "infinity"),
    ],
)
def test_mean_that_makes_no_sense_is_refused(tmp_path: Path, fields: dict[str, object], says: str) -> None:
    path = mean_file(tmp_path, **fields)
    with pytest.raises(DataError) as caught:
        read_mean(path)
    assert says in caught.value.message
    assert str(path) in caught.value.message
    assert one_line(caught.value)


@pytest.mark.parametrize("cut", [1, 3, 10])
def test_truncated_mean_is_refused(tmp_path: Path, cut: int) -> None:
    path = mean_file(tmp_path, num=1, channels=3, height=1, width=2, data=VALUES)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError) as caught:
        read_mean(path)
    assert str(path) in caught.value.message
    assert one_line(caught.value)


def test_missing_mean_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.binaryproto.*No such file") as caught:
        read_mean(tmp_path / "nowhere.binaryproto")
    assert one_line(caught.value)


@pytest.mark.shared
def test_real_mean(shared: Path) -> None:
    mean = read_mean(shared / "data/models/cifar10_full/mean.binaryproto")
    assert mean.shape == (3, 32, 32)
    assert 100 < mean.mean() < 140
