"""Weights in HDF5 files, as Caffe lays them out and as they may be damaged."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.caffe.caffemodel import read_weights
from ristretto.caffe.hdf5_weights import DEEPEST, encode_hdf5, read_hdf5
from ristretto.caffe.reader import load_weights, read_model
from ristretto.caffe.schema import message_class
from ristretto.caffe.upgrade_file import upgrade_file
from ristretto.errors import CaffemodelError, ModelError, RistrettoError
from ristretto.layers.inner_product import InnerProduct
from ristretto.net import Layer, Net, ParamSpec

CONV = np.arange(18, dtype=np.float32).reshape(2, 1, 3, 3) / 8
BIAS = np.float32([0.5, -0.25])
WEIGHTS = {"conv": [CONV, BIAS], "3a/1x1": [CONV], "3a/1x1/deep": [BIAS]}


def write(path: Path, weights: dict[str, list[np.ndarray]]) -> Path:
    with h5py.File(path, "w") as file:
        for name, blobs in weights.items():
            for index, blob in enumerate(blobs):
                file[f"data/{name}/{index}"] = blob
        file.require_group("data").create_group("relu")
    return path


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f4", np.float16])
def test_weights_are_read_by_layer(tmp_path: Path, dtype: str) -> None:
    path = write(tmp_path / "net.caffemodel.h5", {n: [b.astype(dtype) for b in bs] for n, bs in WEIGHTS.items()})
    found = read_weights(path).layers
    assert {name: [blob.tolist() for blob in blobs] for name, blobs in found.items()} == {
        name: [blob.tolist() for blob in blobs] for name, blobs in WEIGHTS.items()
    }
    for blobs in found.values():
        assert all(blob.dtype == np.float32 and not blob.flags.writeable for blob in blobs)


def test_ten_blobs_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "net", {"lstm": [np.float32([index]) for index in range(12)]})
    assert [blob.item() for blob in read_hdf5(path)["lstm"]] == list(range(12))


def test_a_file_is_read_whoever_holds_its_lock(tmp_path: Path) -> None:
    path = write(tmp_path / "net.caffemodel.h5", WEIGHTS)
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert read_hdf5(path)["conv"][1].tolist() == BIAS.tolist()


def test_a_net_takes_its_weights_from_hdf5(tmp_path: Path) -> None:
    (tmp_path / "net").write_text(
        'input: "data" input_dim: [1, 1, 8, 8] layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" '
        "convolution_param { num_output: 2 kernel_size: 3 } }"
    )
    net = load_weights(read_model(tmp_path / "net").net, write(tmp_path / "h5", WEIGHTS))
    assert [blob.tolist() for blob in net["conv"].blobs] == [CONV.tolist(), BIAS.tolist()]


def test_hdf5_becomes_a_caffemodel(tmp_path: Path) -> None:
    result = upgrade_file(write(tmp_path / "h5", WEIGHTS))
    (tmp_path / "net").write_bytes(b"".join(result.pieces))
    assert (result.kind, result.version) == ("caffemodel", "HDF5")
    assert any("names and weights only" in note for note in result.notes)
    read = message_class("NetParameter").FromString((tmp_path / "net").read_bytes())
    assert {layer.name: [list(blob.data) for blob in layer.blobs] for layer in read.layer} == {
        name: [blob.ravel().tolist() for blob in blobs] for name, blobs in WEIGHTS.items()
    }
    assert upgrade_file(tmp_path / "net").changes == ()


def gap(file: h5py.File) -> None:
    del file["data/conv/0"]


def not_a_number(file: h5py.File) -> None:
    file["data/conv/0"][0, 0, 1, 1] = np.nan


def words(file: h5py.File) -> None:
    file["data/conv/2"] = "text"


def odd_name(file: h5py.File) -> None:
    file["data/conv/weights"] = BIAS


def bomb(file: h5py.File) -> None:
    file.create_dataset("data/big/0", shape=(1 << 20, 1 << 20), dtype="f4", chunks=(16, 16))


def empty(file: h5py.File) -> None:
    file["data/none/0"] = h5py.Empty("f4")


def no_values(file: h5py.File) -> None:
    file["data/none/0"] = np.empty((2, 0), np.float32)


def other_file(file: h5py.File) -> None:
    file["data/conv/2"] = h5py.ExternalLink("elsewhere.h5", "/secret")


def other_bytes(file: h5py.File) -> None:
    file.create_dataset("data/raw/0", (4,), "f4", external=[(str(Path(file.filename).with_name("secret")), 0, 16)])


def ring(file: h5py.File) -> None:
    file["data/conv/again"] = file["data"]


def tower(file: h5py.File) -> None:
    file["data/" + "a/" * (DEEPEST + 2) + "0"] = BIAS


def solverstate(file: h5py.File) -> None:
    del file["data"]
    file["history/0"] = BIAS


def no_data(file: h5py.File) -> None:
    del file["data"]


def data_is_no_group(file: h5py.File) -> None:
    del file["data"]
    file["data"] = BIAS


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (gap, "layer 'conv': weight blob 0 is missing"),
        (not_a_number, "layer 'conv': weight blob 0 holds NaN"),
        (words, "weight blob 2 holds no numbers"),
        (odd_name, "'/data/conv/weights' is no weight blob"),
        (bomb, "weight blob 0 claims 4398046511104 bytes and has 0"),
        (empty, "holds no numbers"),
        (no_values, "impossible shape"),
        (other_file, "'/data/conv/2' is no weight blob"),
        (other_bytes, "lies in another file"),
        (ring, "groups that stand in themselves"),
        (tower, "groups that stand in themselves"),
        (solverstate, "a solverstate"),
        (no_data, "without the group '/data'"),
        (data_is_no_group, "without the group '/data'"),
    ],
)
def test_bad_files_are_told(tmp_path: Path, spoil: Callable[[h5py.File], None], said: str) -> None:
    path = write(tmp_path / "net.h5", WEIGHTS)
    with h5py.File(path, "r+") as file:
        spoil(file)
    with pytest.raises(CaffemodelError, match=said) as caught:
        read_weights(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, 1 << 16)
)
def test_a_damaged_file_is_a_plain_error(edits: list[tuple[int, int]], cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "net.h5", WEIGHTS)
        data = bytearray(path.read_bytes())
        # Where HDF5 keeps its structure; most of the rest is unused.
        for place, octet in edits:
            data[8 + place % (len(data) - 8)] = octet
        path.write_bytes(data[: 9 + cut] if cut % 3 == 0 else data)
        try:
            read_weights(path)
        except RistrettoError as error:
            assert "\n" not in error.message


def layer(name: str, *blobs: np.ndarray, **settings: Any) -> Layer:
    return Layer(name, InnerProduct(2), blobs=blobs, **settings)


def test_what_is_written_is_as_caffe_has_it(tmp_path: Path) -> None:
    data = encode_hdf5(Net("n", (layer("conv", CONV, BIAS), layer("relu"), layer("fc", np.float32(3)))))
    (tmp_path / "net.caffemodel.h5").write_bytes(data)
    with h5py.File(tmp_path / "net.caffemodel.h5") as file:
        assert list(file) == ["data"]
        assert set(file["data"]) == {"conv", "relu", "fc"}
        assert (list(file["data/conv"]), list(file["data/relu"])) == (["0", "1"], [])
        assert (file["data/conv/0"].dtype, file["data/conv/0"][()].tolist()) == (np.float32, CONV.tolist())
        assert (file["data/fc/0"].shape, file["data/fc/0"][()]) == ((), 3)
    found = read_weights(tmp_path / "net.caffemodel.h5").layers
    assert {name: [blob.tolist() for blob in blobs] for name, blobs in found.items()} == {
        "conv": [CONV.tolist(), BIAS.tolist()],
        "fc": [3],
    }


def test_shared_weights_are_written_for_each_layer(tmp_path: Path) -> None:
    params = (ParamSpec("w"),)
    net = Net("n", (layer("one", CONV, BIAS, params=params), layer("two", CONV, 2 * BIAS, params=params)))
    (tmp_path / "h5").write_bytes(encode_hdf5(net))
    found = read_weights(tmp_path / "h5").layers
    assert [blob.tolist() for blob in found["two"]] == [CONV.tolist(), (2 * BIAS).tolist()]


def test_of_two_layers_with_one_name_the_last_with_weights_is_written(tmp_path: Path) -> None:
    net = Net("n", (layer("fc", CONV), layer("fc", BIAS), layer("fc")))
    (tmp_path / "h5").write_bytes(encode_hdf5(net))
    assert [blob.tolist() for blob in read_weights(tmp_path / "h5").layers["fc"]] == [BIAS.tolist()]


@pytest.mark.parametrize("name", ["3a/1x1", "", "."])
def test_names_that_caffe_would_not_find_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match="no group of this name") as caught:
        encode_hdf5(Net("n", (layer(name, BIAS),)))
    assert caught.value.layer == name
    assert caught.value.hint


def test_the_same_net_gives_the_same_bytes() -> None:
    net = Net("n", (layer("conv", CONV, BIAS),))
    assert encode_hdf5(net) == encode_hdf5(net)
