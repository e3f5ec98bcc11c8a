"""Caffemodels of older formats, upgraded, held to what protobuf reads in the result."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ristretto.caffe.caffemodel import read_weights
from ristretto.caffe.schema import message_class
from ristretto.caffe.upgrade_weights import DOUBLES, SHAPES, UNPACKED, UpgradedWeights, upgrade_caffemodel
from ristretto.caffe.wire import length_field, varint_field
from ristretto.errors import CaffemodelError, ModelError, RistrettoError

CONV = np.arange(18, dtype=np.float32).reshape(2, 1, 3, 3) / 8
FC = np.float32([[1, 2], [3, 4], [5, 6]])
BIAS = np.float32([0.5, -0.25])


def add_blob(blobs: Any, values: Any, *, legacy: bool = True, double: bool = False) -> Any:
    values, blob = np.asarray(values), blobs.add()
    if legacy:
        blob.num, blob.channels, blob.height, blob.width = (1,) * (4 - values.ndim) + values.shape
    else:
        blob.shape.dim.extend(values.shape)
    (blob.double_data if double else blob.data).extend(values.ravel().tolist())
    return blob


def v1() -> Any:
    net = message_class("NetParameter")(name="old", input=["data"])
    conv = net.layers.add(name="conv/1", type="CONVOLUTION", bottom=["data"], top=["conv"], blobs_lr=[1, 2])
    conv.convolution_param.num_output = 2
    add_blob(conv.blobs, CONV)
    add_blob(conv.blobs, BIAS)
    net.layers.add(name="relu", type="RELU", bottom=["conv"], top=["conv"])
    add_blob(net.layers.add(name="fc", type="INNER_PRODUCT").blobs, FC)
    return net


def v0() -> Any:
    net = message_class("NetParameter")(name="older")
    padding = net.layers.add(bottom=["data"], top=["pad"]).layer
    padding.type, padding.pad = "padding", 1
    conv = net.layers.add(bottom=["pad"], top=["conv"]).layer
    conv.name, conv.type, conv.num_output = "conv/1", "conv", 2
    add_blob(conv.blobs, CONV)
    add_blob(conv.blobs, BIAS)
    fc = net.layers.add(bottom=["conv"], top=["fc"]).layer
    fc.name, fc.type = "fc", "innerproduct"
    add_blob(fc.blobs, FC)
    net.input.append("data")
    return net


def dims(blob: Any) -> list[int]:
    return list(blob.shape.dim) or [blob.num, blob.channels, blob.height, blob.width]


def upgrade(folder: Path, content: bytes) -> tuple[UpgradedWeights, Any]:
    """Give the result, and what protobuf reads in it."""
    (folder / "net").write_bytes(content)
    result = upgrade_caffemodel(folder / "net")
    return result, message_class("NetParameter").FromString(b"".join(result.pieces))


@pytest.mark.parametrize("old", [v0, v1])
def test_an_old_caffemodel(tmp_path: Path, old: Any) -> None:
    result, net = upgrade(tmp_path, old().SerializeToString())
    assert not net.layers and not net.input and net.name == old().name
    blobs = {layer.name: [(dims(blob), list(blob.data)) for blob in layer.blobs] for layer in net.layer}
    assert blobs.pop("relu", []) == []
    assert blobs == {
        "conv/1": [([2, 1, 3, 3], CONV.ravel().tolist()), ([2], BIAS.tolist())],
        "fc": [([3, 2], FC.ravel().tolist())],
    }
    assert result.version == ("V0" if old is v0 else "V1")
    conv = net.layer[0]
    assert (conv.type, list(conv.bottom), conv.convolution_param.num_output) == ("Convolution", ["data"], 2)
    assert list(conv.convolution_param.pad) == ([1] if old is v0 else [])
    assert [param.lr_mult for param in conv.param] == ([] if old is v0 else [1, 2])
    changed = {change.what: change.layers for change in result.changes}
    assert changed[SHAPES] == ("conv/1", "fc")


def test_the_result_needs_no_upgrade_and_is_read_alike(tmp_path: Path) -> None:
    before = v1().SerializeToString()
    result, _ = upgrade(tmp_path, before)
    old = read_weights(tmp_path / "net").layers
    (tmp_path / "new").write_bytes(b"".join(result.pieces))
    new = read_weights(tmp_path / "new").layers
    assert {name: [b.ravel().tolist() for b in blobs] for name, blobs in old.items()} == {
        name: [b.ravel().tolist() for b in blobs] for name, blobs in new.items()
    }
    again = upgrade_caffemodel(tmp_path / "new")
    assert again.changes == ()
    assert (tmp_path / "net").read_bytes() == before


def test_a_file_of_today_is_the_same_bytes(tmp_path: Path) -> None:
    net = message_class("NetParameter")(name="n")
    add_blob(net.layer.add(name="fc", type="InnerProduct").blobs, FC, legacy=False)
    result, _ = upgrade(tmp_path, net.SerializeToString())
    assert result.changes == ()
    assert b"".join(result.pieces) == net.SerializeToString()


def test_doubles_and_loose_floats_become_packed_floats(tmp_path: Path) -> None:
    net = message_class("NetParameter")()
    add_blob(net.layer.add(name="d", type="InnerProduct").blobs, FC / 3, legacy=False, double=True)
    loose = b"".join(b"\x2d" + struct.pack("<f", value) for value in BIAS)
    blob = loose + b"".join(length_field(7, length_field(1, [b"\x02"])))
    layer = b"".join(length_field(1, [b"loose"]) + length_field(7, [blob]))
    content = net.SerializeToString() + b"".join(length_field(100, [layer]))
    result, read = upgrade(tmp_path, content)
    assert {change.what: change.layers for change in result.changes} == {DOUBLES: ("d",), UNPACKED: ("loose",)}
    assert list(read.layer[0].blobs[0].data) == (FC / 3).ravel().tolist()
    assert not read.layer[0].blobs[0].double_data
    assert list(read.layer[1].blobs[0].data) == BIAS.tolist()
    assert BIAS.tobytes() in b"".join(result.pieces)


@pytest.mark.parametrize("number", [145, 147, 148])
def test_quantization_under_the_numbers_of_older_forks(tmp_path: Path, number: int) -> None:
    # Caffe's own parameter_param, swish_param and clip_param have these numbers today.
    net = message_class("NetParameter")(name="n")
    quantized = message_class("QuantizationParameter")(precision="MINIFLOAT", bw_params=4, fl_params=-2, exp_bits=5)
    layer = message_class("LayerParameter")(name="conv", type="ConvolutionRistretto")
    add_blob(layer.blobs, CONV, legacy=False)
    add_blob(layer.blobs, BIAS, legacy=False, double=True)
    field = b"".join(length_field(number, [quantized.SerializeToString()]))
    content = net.SerializeToString() + b"".join(length_field(100, [layer.SerializeToString() + field]))
    result, _ = upgrade(tmp_path, content)
    assert [blob.tolist() for blob in read_weights(tmp_path / "net").layers["conv"]] == [CONV.tolist(), BIAS.tolist()]
    assert [change.what for change in result.changes] == [DOUBLES]
    assert field in b"".join(result.pieces)


def test_batch_norm_and_inputs_of_today_s_layers(tmp_path: Path) -> None:
    net = message_class("NetParameter")(name="n", input=["a", "b"], input_dim=[1, 2, 3, 4, 5, 6, 7, 8])
    layer = net.layer.add(name="bn", type="BatchNorm", param=[{"lr_mult": 0}, {"name": "v"}, {}])
    add_blob(layer.blobs, BIAS, legacy=False)
    result, read = upgrade(tmp_path, net.SerializeToString())
    assert [layer.type for layer in read.layer] == ["Input", "BatchNorm"]
    assert [list(shape.dim) for shape in read.layer[0].input_param.shape] == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert [(p.name, p.lr_mult, p.decay_mult) for p in read.layer[1].param] == [("", 0, 0), ("v", 0, 0), ("", 0, 0)]
    assert len(result.changes) == 2
    assert upgrade(tmp_path, b"".join(result.pieces))[0].changes == ()


def test_what_is_lost_is_told(tmp_path: Path) -> None:
    net = v1()
    net.layers[0].blobs[1].diff.append(1)
    content = bytearray(net.layers[1].SerializeToString())
    content += varint_field(900, 1)
    del net.layers[1:]
    whole = net.SerializeToString() + b"".join(length_field(2, [bytes(content)]))
    result, _ = upgrade(tmp_path, whole)
    assert result.left_out == (
        "1 field of a fork in V1 layer 2",
        "the gradients of weight blob 1 of layer 'conv/1'",
    )


def test_bad_files(tmp_path: Path) -> None:
    both = v1()
    both.layer.add(name="x")
    spoiled = v1()
    spoiled.layers[0].blobs[0].data[3] = float("nan")
    v0_of_a_fork = v0()
    v0_of_a_fork.layers[2].layer.type = "odd"
    for content, kind, said in (
        (both.SerializeToString(), CaffemodelError, "two versions"),
        (spoiled.SerializeToString(), CaffemodelError, r"layer 'conv/1': weight blob 0 holds NaN"),
        (v0_of_a_fork.SerializeToString(), ModelError, "unknown V0 layer type 'odd'"),
        (v1().SerializeToString()[:-9], CaffemodelError, "truncated or corrupt"),
        (b"\x0a\x01n", CaffemodelError, "no layers"),
        (b"\x1f\x8b" + bytes(9), CaffemodelError, "gzip"),
        (b"", CaffemodelError, "empty"),
    ):
        with pytest.raises(kind, match=said):
            upgrade(tmp_path, content)


def test_a_result_that_caffe_could_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ristretto.caffe.upgrade_weights.CAFFE_LIMIT", 100)
    with pytest.raises(ModelError, match="would be a caffemodel of"):
        upgrade(tmp_path, v1().SerializeToString())


@pytest.mark.slow
def test_weights_beyond_2_gib(tmp_path: Path) -> None:
    # All zeros, and a hole on the disk.
    count = (1 << 29) + 1024
    shape = b"".join(length_field(7, length_field(1, [b"\x80\x08\x81\x80\x20"])))
    assert count == 1024 * (1 << 19 | 1)
    data = length_field(5, [bytes(1)])[0][:1] + _varint(4 * count)
    blob = _varint(len(shape) + len(data) + 4 * count)
    name = b"".join(length_field(1, [b"huge"]))
    layer = name + b"\x3a" + blob + shape + data
    tail = message_class("NetParameter")()
    add_blob(tail.layer.add(name="last").blobs, BIAS, legacy=False)
    with open(tmp_path / "net", "wb") as file:
        file.write(b"\xa2\x06" + _varint(len(layer) + 4 * count) + layer)
        file.seek(4 * count, 1)
        file.write(tail.SerializeToString())
    weights = read_weights(tmp_path / "net").layers
    assert weights["huge"][0].shape == (1024, (1 << 19) | 1)
    assert weights["last"][0].tolist() == BIAS.tolist()


def _varint(value: int) -> bytes:
    return varint_field(1, value)[1:]


@settings(max_examples=100)
@given(
    st.sampled_from([v0().SerializeToString(), v1().SerializeToString()]),
    st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), min_size=1, max_size=6),
)
# A blob that swallows its neighbour, of which it takes some bytes for gradients.
@example(v1().SerializeToString(), [(31, 112)])
def test_a_damaged_caffemodel_is_a_plain_error(content: bytes, edits: list[tuple[int, int]]) -> None:
    data = bytearray(content)
    for place, octet in edits:
        data[place % len(data)] = octet
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net"
        path.write_bytes(data)
        try:
            result = upgrade_caffemodel(path)
            message_class("NetParameter").FromString(b"".join(result.pieces))
        except RistrettoError as error:
            assert "\n" not in error.message
