"""Caffemodels, held to what protobuf itself reads and writes."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import struct
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from ristretto.caffe.caffemodel import Weights, encode_weights, read_weights
from ristretto.caffe.schema import message_class
from ristretto.errors import CaffemodelError, ModelError
from ristretto.formats import FixedPoint
from ristretto.layers.inner_product import InnerProduct
from ristretto.layers.relu import ReLU
from ristretto.net import Layer, LayerQuant, Net

Array = NDArray[np.float32]

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def add_blob(blobs: Any, values: Any, *, legacy: bool = False, double: bool = False) -> Any:
    """Append an array to a repeated BlobProto, as Caffe does."""
    values = np.asarray(values)
    blob = blobs.add()
    if legacy:
        blob.num, blob.channels, blob.height, blob.width = (1,) * (4 - values.ndim) + values.shape
    else:
        blob.shape.dim.extend(values.shape)
    (blob.double_data if double else blob.data).extend(values.ravel().tolist())
    return blob


def small() -> Any:
    """A net of three layers, two of them with weights."""
    net = message_class("NetParameter")(name="small")
    conv = net.layer.add(name="conv1", type="Convolution", bottom=["data"], top=["conv1"])
    conv.convolution_param.num_output = 2
    add_blob(conv.blobs, np.arange(18).reshape(2, 1, 3, 3) / 8)
    add_blob(conv.blobs, [0.5, -0.25])
    net.layer.add(name="relu1", type="ReLU", bottom=["conv1"], top=["conv1"])
    add_blob(net.layer.add(name="fc", type="InnerProduct").blobs, [[1, 2], [3, 4], [5, 6]])
    return net


def as_protobuf_reads(net: Any) -> dict[str, list[Array]]:
    """The weights of a parsed message, by Caffe's rules: four numbers before a shape, doubles before floats."""
    found = {}
    for layer in [*net.layer, *(v1.layer if v1.HasField("layer") else v1 for v1 in net.layers)]:
        arrays = []
        for blob in layer.blobs:
            shape = tuple(blob.shape.dim)
            if any(map(blob.HasField, ("num", "channels", "height", "width"))):
                shape = (blob.num, blob.channels, blob.height, blob.width)
            arrays.append(np.array(blob.double_data or blob.data, np.float64).astype(np.float32).reshape(shape))
        if arrays:
            found[layer.name] = arrays
    return found


def assert_same(weights: Weights, wanted: dict[str, list[Array]]) -> None:
    assert list(weights.layers) == list(wanted)
    for name, arrays in wanted.items():
        assert len(weights.layers[name]) == len(arrays)
        for got, array in zip(weights.layers[name], arrays, strict=True):
            assert got.dtype == np.float32
            assert got.shape == array.shape
            assert got.tobytes() == array.astype("<f4").tobytes()
            assert not got.flags.writeable


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def read(folder: Path, content: bytes) -> Weights:
    path = folder / "net.caffemodel"
    # A file of its own each time: the one before may still be mapped.
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    return read_weights(path)


def refused(folder: Path, content: bytes) -> CaffemodelError:
    with pytest.raises(CaffemodelError) as caught:
        read(folder, content)
    assert "\n" not in str(caught.value)
    assert "net.caffemodel" in str(caught.value)
    assert caught.value.hint
    return caught.value


def test_reads_what_protobuf_wrote(folder: Path) -> None:
    net = small()
    weights = read(folder, net.SerializeToString())
    assert list(weights.layers) == ["conv1", "fc"]
    assert_same(weights, as_protobuf_reads(net))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "layers"), [("lenet", 4), ("lenet_v1", 4), ("cifar10_full", 4), ("resnet20", 64), ("squeezenet_v1.0", 26)]
)
def test_reads_real_files_as_protobuf_does(shared: Path, name: str, layers: int) -> None:
    (path,) = (shared / "data" / "models").glob(f"*/{name}.caffemodel")
    weights = read_weights(path)
    assert len(weights.layers) == layers
    assert_same(weights, as_protobuf_reads(message_class("NetParameter").FromString(path.read_bytes())))


@pytest.mark.shared
def test_packed_floats_are_views_of_the_file(shared: Path) -> None:
    weights = read_weights(shared / "data" / "models" / "lenet" / "lenet.caffemodel")
    for blobs in weights.layers.values():
        for blob in blobs:
            owner: Any = blob
            while isinstance(owner, np.ndarray):
                assert not owner.flags.owndata
                owner = owner.base
            assert isinstance(owner, memoryview)


@functools.cache
def unpacked_class() -> Any:
    """NetParameter, by a schema without ``packed = true``."""
    schema = descriptor_pb2.FileDescriptorProto()
    message_class("NetParameter").DESCRIPTOR.file.CopyToProto(schema)
    for message in schema.message_type:
        for field in message.field:
            field.options.ClearField("packed")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(schema.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))


def unpacked(net: Any) -> bytes:
    """Serialize a net with a tag before each value."""
    return bytes(unpacked_class().FromString(net.SerializeToString()).SerializeToString())


@st.composite
def nets(draw: st.DrawFn) -> Any:
    """A net in one version of the format, with blobs in all the forms they come in."""
    net = message_class("NetParameter")(name=draw(st.text(max_size=9)))
    version = draw(st.sampled_from([0, 1, 2]))
    for name in draw(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=4, unique=True)):
        layer = net.layer.add(type="X") if version == 2 else net.layers.add(bottom=["b"])
        layer = layer.layer if version == 0 else layer
        layer.name = name
        for _ in range(draw(st.integers(0, 3))):
            legacy, double = draw(st.booleans()), draw(st.booleans())
            shape = draw(hnp.array_shapes(min_dims=0, max_dims=4 if legacy else 6, max_side=3))
            values = draw(hnp.arrays(np.float32, shape, elements=FINITE))
            blob = add_blob(layer.blobs, values, legacy=legacy, double=double)
            if draw(st.booleans()):
                # Neither is read: a gradient, and the floats beside doubles.
                blob.diff.extend([float("nan"), 1.0])
            if double and draw(st.booleans()):
                blob.data.append(7.0)
    return net


@given(nets())
def test_every_form_packed_and_unpacked(net: Any) -> None:
    wanted = as_protobuf_reads(net)
    with tempfile.TemporaryDirectory() as name:
        assert_same(read(Path(name), net.SerializeToString()), wanted)
        assert_same(read(Path(name), unpacked(net)), wanted)


def test_runs_of_unpacked_floats_between_other_fields(folder: Path) -> None:
    # Runs are measured in steps that double: 3,000 values end in the middle of one.
    values = np.random.default_rng(0).standard_normal(3000).astype(np.float32)
    run = b"".join(b"\x2d" + value.tobytes() for value in values)
    packed = b"\x2a\x08" + values[:2].tobytes()
    shape = message_class("BlobProto")(shape={"dim": [6004]}).SerializeToString()
    blob = run + packed + run[:5] + shape + run[-5:] + run
    assert blob.count(shape) == 1
    weights = read(folder, b"\xa2\x06" + length(b"\x0a\x01a" + b"\x3a" + length(blob)))
    wanted = np.concatenate([values, values[:2], values[:1], values[-1:], values])
    assert weights.layers["a"][0].tobytes() == wanted.tobytes()
    net = message_class("NetParameter").FromString((folder / "net.caffemodel").read_bytes())
    assert_same(weights, as_protobuf_reads(net))


def length(content: bytes) -> bytes:
    """A content with its length before it, as protobuf has it."""
    return length_head(0, len(content))[1:] + content


def length_head(tag: int, size: int) -> bytes:
    """A field's tag and length."""
    octets = bytes([tag])
    while size > 127:
        octets += bytes([size & 127 | 128])
        size >>= 7
    return octets + bytes([size])


def test_of_two_layers_with_one_name_the_last_counts(folder: Path) -> None:
    net = small()
    add_blob(net.layer.add(name="fc").blobs, [9.0])
    net.layer.add(name="conv1")
    weights = read(folder, net.SerializeToString())
    assert weights.layers["fc"][0].tolist() == [9.0]
    assert len(weights.layers["conv1"]) == 2


def test_a_layer_without_a_name(folder: Path) -> None:
    net = message_class("NetParameter")()
    add_blob(net.layer.add().blobs, [1.0])
    assert list(read(folder, net.SerializeToString()).layers) == [""]


def test_replacing_the_file_leaves_the_arrays_alone(folder: Path) -> None:
    weights = read(folder, small().SerializeToString())
    os.replace(folder / "net.caffemodel", folder / "older")
    (folder / "net.caffemodel").write_bytes(b"other")
    (folder / "older").unlink()
    assert weights.layers["conv1"][1].tolist() == [0.5, -0.25]


# ---- Bad files


def test_missing_and_folder_and_pipe(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none", "No such file"), (tmp_path, "is a folder")):
        with pytest.raises(CaffemodelError, match=said) as caught:
            read_weights(path)
        assert str(path) in str(caught.value)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CaffemodelError, match="no regular file"):
        read_weights(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5"),
        (b'name: "LeNet"\nlayer {\n  name: "mnist"\n}\n', "text file"),
        ("# Übersicht\r\n\tlayers { }".encode(), "text file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\x1f\x8b\x08" + bytes(40), "gzip"),
        (b"\x0a\x03abc\x1a\x04\x00\x00\x00\x00", "no layers"),
        (bytes(64), "corrupt"),
    ],
)
def test_files_of_another_kind(folder: Path, content: bytes, said: str) -> None:
    error = refused(folder, content)
    assert said in f"{error} {error.hint}"


def test_other_binary_files_of_caffe(folder: Path) -> None:
    mean = message_class("BlobProto")(num=1, channels=1, height=1, width=2, data=[1, 2])
    state = message_class("SolverState")(iter=7, learned_net="x.caffemodel", history=[mean])
    for message in (mean, state):
        assert "solverstate" in str(refused(folder, message.SerializeToString()))
    mean = message_class("BlobProto")(shape={"dim": [2]}, data=[1, 2])
    assert "no layers" in str(refused(folder, mean.SerializeToString()))


def test_layers_of_two_versions(folder: Path) -> None:
    net = small()
    add_blob(net.layers.add(name="fc").blobs, [1.0])
    assert "two versions" in str(refused(folder, net.SerializeToString()))


def spoil(change: Callable[[Any], None]) -> bytes:
    net = small()
    change(net.layer[2].blobs[0])
    return bytes(net.SerializeToString())


def set_legacy(blob: Any, *shape: int) -> None:
    blob.num, blob.channels, blob.height, blob.width = shape


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda blob: blob.data.append(1.0), "has 7 values for the shape 3x2"),
        (lambda blob: blob.ClearField("data"), "has 0 values for the shape 3x2"),
        (lambda blob: blob.ClearField("shape"), "has 6 values for the shape of a scalar"),
        (lambda blob: blob.shape.dim.append(0), "has the impossible shape 3x2x0"),
        (lambda blob: blob.shape.dim.extend([-1, -1]), "has the impossible shape 3x2x-1x-1"),
        (lambda blob: blob.shape.dim.extend([1] * 31), "has more than 32 axes"),
        (lambda blob: blob.shape.dim.append(2**62), f"has 6 values for the shape 3x2x{2**62}"),
        (lambda blob: set_legacy(blob, 1, 1, 2, 2), "has 6 values for the shape 1x1x2x2"),
        (lambda blob: set_legacy(blob, -3, -1, 1, 2), "has the impossible shape -3x-1x1x2"),
        (lambda blob: blob.data.__setitem__(3, float("nan")), "holds NaN"),
        (lambda blob: blob.data.__setitem__(3, float("-inf")), "holds infinity"),
        (lambda blob: blob.double_data.extend([1e300] * 6), "holds infinity"),
        (lambda blob: blob.double_data.extend([float("nan")] * 6), "holds NaN"),
        (lambda blob: blob.double_data.append(1.0), "has 1 values for the shape 3x2"),
    ],
)
def test_blobs_that_make_no_sense_are_named(folder: Path, change: Callable[[Any], None], said: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        error = refused(folder, spoil(change))
    assert str(error).startswith(f"layer 'fc': weight blob 0 {said}")


def test_nan_deep_in_a_large_blob(folder: Path) -> None:
    values = np.zeros(600_000, np.float32)
    values[-1] = np.nan
    layer = Layer("big", InnerProduct(1), blobs=(np.zeros(1, np.float32), values))
    assert "layer 'big': weight blob 1 holds NaN" in str(refused(folder, encode_weights(Net("n", (layer,)))))


@pytest.mark.parametrize("axes", [32, 33])
def test_as_many_axes_as_caffe_has(folder: Path, axes: int) -> None:
    net = message_class("NetParameter")()
    add_blob(net.layer.add(name="fc").blobs, np.ones(2)).shape.dim.extend([1] * (axes - 1))
    if axes == 32:
        assert read(folder, net.SerializeToString()).layers["fc"][0].ndim == 32
    else:
        refused(folder, net.SerializeToString())


@pytest.mark.parametrize(
    "content",
    [
        b"\xa2\x06\xff\xff\xff\xff\x07abc",  # a length beyond the file
        b"\xa2\x06\x03\x3a\x05\x2a" + bytes(9),  # a blob beyond its layer
        b"\xa2\x06\x02\x03\x04",  # a group
        b"\xa2\x06\x07\x3a\x05\x2a\x03\x00\x00\x00",  # three bytes of floats
        b"\xa2\x06\x05\x3a\x03\x3a\x01\x08",  # a dimension cut short
    ],
)
def test_bytes_that_are_no_message(folder: Path, content: bytes) -> None:
    assert "truncated or corrupt" in str(refused(folder, content))


def test_the_layer_that_is_damaged_is_named_and_no_other(folder: Path) -> None:
    content = small().SerializeToString()
    end = refused(folder, content + b"\xff")
    assert str(end).endswith(
        f"net.caffemodel is truncated or corrupt: it ends inside the number at byte {len(content)}"
    )
    assert end.layer == ""
    inside = bytearray(content)
    inside[content.index(b"\x2a\x08")] = 0x2B  # a group where conv1's bias stands
    assert str(refused(folder, bytes(inside))).startswith("layer 'conv1': ")


def test_a_damaged_name_stays_in_one_line(folder: Path) -> None:
    net = small()
    net.layer[2].name = "f\nc\x1b[1m"
    net.layer[2].blobs[0].data[0] = float("nan")
    assert str(refused(folder, net.SerializeToString())).startswith("layer 'f\ufffdc\ufffd[1m': ")


@pytest.mark.parametrize("field", [b"\x28\x01", b"\x29" + bytes(8), b"\x45" + bytes(4), b"\x38\x01", b"\x0a\x01a"])
def test_values_of_another_type_are_passed_over(folder: Path, field: bytes) -> None:
    blob = field + b"\x2a\x04\x00\x00\x80\x3f" + field
    weights = read(folder, b"\xa2\x06" + length(b"\x0a\x01a" + b"\x3a" + length(blob)))
    assert_same(weights, {"a": [np.float32(1).reshape(())]})
    net = message_class("NetParameter").FromString((folder / "net.caffemodel").read_bytes())
    assert_same(weights, as_protobuf_reads(net))


def test_every_truncation(folder: Path) -> None:
    content = small().SerializeToString()
    whole = as_protobuf_reads(small())
    read_short = []
    for end in range(len(content)):
        try:
            weights = read(folder, content[:end])
        except CaffemodelError as error:
            assert "\n" not in str(error)
        else:
            # Only a cut between layers goes unseen; what is read is right.
            assert_same(weights, {name: whole[name] for name in weights.layers})
            read_short.append(list(weights.layers))
    assert read_short == [["conv1"], ["conv1"]]


CONTENTS = [bytes(net.SerializeToString()) for net in (small(),)]
CONTENTS.append(unpacked(small()))


@given(
    content=st.sampled_from(CONTENTS),
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.none() | st.integers(0, 10_000),
)
def test_damaged_files(content: bytes, flips: list[tuple[int, int]], cut: int | None) -> None:
    octets = bytearray(content)
    for position, value in flips:
        octets[position % len(octets)] = value
    del octets[len(octets) if cut is None else cut :]
    with tempfile.TemporaryDirectory() as name:
        try:
            weights = read(Path(name), bytes(octets))
        except CaffemodelError as error:
            assert "\n" not in str(error)
            return
    # Protobuf is stricter: it looks into fields that we pass over. Where it reads the file it reads the same.
    try:
        net = message_class("NetParameter").FromString(bytes(octets))
    except Exception:
        return
    wanted = as_protobuf_reads(net)
    if not any("�" in layer for layer in weights.layers):
        assert_same(weights, wanted)


@given(st.binary(max_size=60))
def test_any_bytes(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name, contextlib.suppress(CaffemodelError):
        read(Path(name), b"\xa2\x06" + length(b"\x3a" + length(content)))


# ---- Memory

LARGE = """
import json, sys, tracemalloc
from ristretto.caffe.caffemodel import read_weights

def private():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) * 1024

read_weights(sys.argv[1])
before = private()
tracemalloc.start()
weights = read_weights(sys.argv[2])
print(json.dumps({
    "numbers": sum(blob.size for blobs in weights.layers.values() for blob in blobs),
    "last": float(weights.layers["fc"][1][-1]),
    "traced": tracemalloc.get_traced_memory()[1],
    "private": private() - before,
}))
"""


def write_large(path: Path, values: int, *, unread: int = 0) -> None:
    """Write a net of one layer: a weight matrix of zeros that takes no room on the disk, a bias, an unread diff."""
    floats = length_head(0x2A, 4 * values)
    shape = b"\x3a\x06\x0a\x04" + bytes([values // 8192 & 127 | 128, values // 8192 >> 7, 0x80, 0x40])
    assert values % 8192 == 0 and 128 <= values // 8192 < 16384
    diff = length_head(0x32, 4 * unread)
    bias = b"\x3a" + length(b"\x3a\x03\x0a\x01\x02" + b"\x2a\x08" + struct.pack("<2f", 0.0, 3.5))
    first = len(floats) + 4 * values + len(shape) + len(diff) + 4 * unread
    start = b"\x0a\x02fc" + length_head(0x3A, first)
    with open(path, "wb") as file:
        file.write(b"\xa2\x06" + length_head(0, len(start) + first + len(bias))[1:] + start)
        file.write(shape + diff)
        file.seek(4 * unread, 1)
        file.write(floats)
        file.seek(4 * values, 1)
        file.write(bias)


def test_240_megabytes_take_no_memory_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(small().SerializeToString())
    write_large(tmp_path / "large", 60_000_256 // 8192 * 8192)
    assert (tmp_path / "large").stat().st_size > 239e6
    command = [sys.executable, "-c", LARGE, str(tmp_path / "small"), str(tmp_path / "large")]
    done = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert done["numbers"] == 60_000_256 // 8192 * 8192 + 2
    assert done["last"] == 3.5
    assert done["traced"] < 2e6
    assert done["private"] < 8e6


def test_files_above_two_gigabytes(tmp_path: Path) -> None:
    write_large(tmp_path / "huge", 128 * 8192, unread=600_000_000)
    assert (tmp_path / "huge").stat().st_size > 2**31
    weights = read_weights(tmp_path / "huge")
    assert [blob.shape for blob in weights.layers["fc"]] == [(128, 8192), (2,)]
    assert weights.layers["fc"][1].tolist() == [0.0, 3.5]


# ---- Writing


def net_of(blobs: tuple[Array, ...]) -> Net:
    fc = Layer("fc", InnerProduct(3), ("data",), ("fc",), blobs)
    return Net("Netz \N{LATIN SMALL LETTER U WITH DIAERESIS}", (fc, Layer("relu", ReLU(), ("fc",), ("fc",))))


def test_writes_the_bytes_that_protobuf_would() -> None:
    weights, bias = np.float32([[1, 2], [3, 4], [5, 6]]), np.float32([7, 8, 9])
    net = net_of((weights, bias))
    wanted = message_class("NetParameter")(name=net.name)
    layer = wanted.layer.add(name="fc", type="InnerProduct", bottom=["data"], top=["fc"])
    add_blob(layer.blobs, weights)
    add_blob(layer.blobs, bias)
    wanted.layer.add(name="relu", type="ReLU", bottom=["fc"], top=["fc"])
    assert encode_weights(net) == wanted.SerializeToString(deterministic=True)
    assert encode_weights(net) == encode_weights(net)


def test_a_quantized_layer_is_written_with_its_type() -> None:
    net = net_of(())
    quant = LayerQuant(FixedPoint(8, 4), FixedPoint(8, 4), FixedPoint(8, 7))
    net = replace(net, layers=(replace(net.layers[0], quant=quant),))
    assert message_class("NetParameter").FromString(encode_weights(net)).layer[0].type == "FcRistretto"


@given(
    st.lists(
        hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=6, max_side=3), elements=FINITE),
        min_size=1,
        max_size=3,
    )
)
def test_what_is_written_is_read_back(blobs: list[Array]) -> None:
    content = encode_weights(net_of(tuple(blobs)))
    message = message_class("NetParameter").FromString(content)
    assert message.SerializeToString(deterministic=True) == content
    with tempfile.TemporaryDirectory() as name:
        assert_same(read(Path(name), content), {"fc": blobs})


def test_arrays_in_any_order_and_place() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    shifted = np.frombuffer(b"x" + values.tobytes(), "<f4", offset=1).reshape(2, 3)
    assert not shifted.flags.aligned
    plain = encode_weights(net_of((values,)))
    assert encode_weights(net_of((shifted,))) == plain
    assert encode_weights(net_of((np.asfortranarray(values),))) == plain
    assert encode_weights(net_of((np.repeat(values, 2, axis=1)[:, ::2],))) == plain


def test_the_bias_of_an_old_file_keeps_the_form_that_caffe_takes(folder: Path) -> None:
    # Blob::ShapeEquals compares 1x1x1x3 with 3 only when it stands in num, channels, height, width.
    bias = np.ones((1, 1, 1, 3), np.float32)
    content = encode_weights(net_of((np.ones((1, 1, 3, 2), np.float32), bias, np.ones((2, 1, 3, 3), np.float32))))
    layer = message_class("NetParameter").FromString(content).layer[0]
    assert [blob.HasField("shape") for blob in layer.blobs] == [False, False, True]
    assert (layer.blobs[1].num, layer.blobs[1].width) == (1, 3)
    assert read(folder, content).layers["fc"][1].shape == (1, 1, 1, 3)


def test_more_than_caffe_reads() -> None:
    with pytest.raises(ModelError, match="too many"):
        encode_weights(net_of((np.broadcast_to(np.float32(0), (1 << 29,)),)))


@pytest.mark.shared
def test_a_real_net_goes_round(shared: Path, folder: Path) -> None:
    weights = read_weights(shared / "data" / "models" / "lenet_v1" / "lenet_v1.caffemodel").layers
    net = Net("LeNet", tuple(Layer(name, ReLU(), blobs=blobs) for name, blobs in weights.items()))
    assert_same(read(folder, encode_weights(net)), {name: list(blobs) for name, blobs in weights.items()})
