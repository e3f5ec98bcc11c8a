"""Solverstates, held to what protobuf and h5py read and write."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from ristretto.caffe.caffemodel import encode_weights
from ristretto.caffe.hdf5_weights import encode_hdf5
from ristretto.caffe.schema import message_class
from ristretto.caffe.solver_state import SolverState, encode_state, read_state
from ristretto.errors import CaffemodelError, RistrettoError
from ristretto.layers.inner_product import InnerProduct
from ristretto.net import Layer, Net, SnapshotFormat

Array = NDArray[np.float32]
WEIGHTS = np.arange(6, dtype=np.float32).reshape(2, 3) / 8
BIAS = np.float32([0.5, -0.25])
STATE = SolverState(5000, "out/lenet_iter_5000.caffemodel", (WEIGHTS, BIAS), 3)
NET = Net("n", (Layer("fc", InnerProduct(2), blobs=(WEIGHTS, BIAS)),))
BLOBS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=0, max_dims=5, max_side=3),
    elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
)


def read(folder: Path, content: bytes) -> SolverState:
    path = folder / "net.solverstate"
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    return read_state(path)


def plain(state: SolverState) -> tuple[Any, ...]:
    blobs = [(blob.shape, blob.tobytes(), blob.flags.writeable) for blob in state.history]
    return state.iteration, state.learned_net, state.current_step, blobs


@pytest.mark.parametrize("form", SnapshotFormat)
@given(
    iteration=st.integers(0, 2**31 - 1),
    step=st.integers(0, 2**31 - 1),
    name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    history=st.lists(BLOBS, max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_a_state_comes_back(form: SnapshotFormat, iteration: int, step: int, name: str, history: list[Array]) -> None:
    for blob in history:
        blob.flags.writeable = False
    state = SolverState(iteration, name, tuple(history), step)
    with tempfile.TemporaryDirectory() as folder:
        assert plain(read(Path(folder), encode_state(state, form))) == plain(state)


def test_protobuf_reads_what_is_written() -> None:
    message = message_class("SolverState").FromString(encode_state(STATE))
    assert (message.iter, message.learned_net, message.current_step) == (5000, STATE.learned_net, 3)
    assert [list(blob.shape.dim) for blob in message.history] == [[2, 3], [2]]
    assert [list(blob.data) for blob in message.history] == [WEIGHTS.ravel().tolist(), BIAS.tolist()]
    # Caffe writes the same bytes, but for the order of shape and data in a blob.
    assert len(message.SerializeToString()) == len(encode_state(STATE))
    assert message_class("SolverState").FromString(encode_state(SolverState(0))).HasField("current_step")


def test_what_protobuf_writes_is_read(tmp_path: Path) -> None:
    message = message_class("SolverState")(iter=7, learned_net="a.caffemodel")
    blob = message.history.add()
    blob.shape.dim.extend([2, 3])
    blob.data.extend(WEIGHTS.ravel().tolist())
    old = message.history.add(num=1, channels=1, height=1, width=2)
    old.double_data.extend([0.5, -0.25])
    state = read(tmp_path, message.SerializeToString())
    assert (state.iteration, state.learned_net, state.current_step) == (7, "a.caffemodel", 0)
    assert [blob.tolist() for blob in state.history] == [WEIGHTS.tolist(), [[[BIAS.tolist()]]]]


def test_fields_of_other_caffes_are_passed_over(tmp_path: Path) -> None:
    # iter_last_event = 5 and minimum_loss = 6 of NVIDIA's.
    assert (
        plain(read(tmp_path, encode_state(STATE) + bytes([5 << 3, 9, 6 << 3 | 5, 0, 0, 0, 0])))[:3] == plain(STATE)[:3]
    )


def test_hdf5_is_as_caffe_has_it(tmp_path: Path) -> None:
    (tmp_path / "s.h5").write_bytes(encode_state(STATE, SnapshotFormat.HDF5))
    with h5py.File(tmp_path / "s.h5") as file:
        assert set(file) == {"iter", "learned_net", "current_step", "history"}
        for name, value in (("iter", 5000), ("current_step", 3)):
            assert (file[name].shape, file[name].dtype, file[name][0]) == ((1,), np.int32, value)
        text = file["learned_net"]
        assert text.shape == () and not text.id.get_type().is_variable_str()
        assert text.id.get_type().get_size() == len(STATE.learned_net) + 1, "room for the zero at the end"
        assert text[()] == STATE.learned_net.encode()
        assert list(file["history"]) == ["0", "1"]
        assert file["history/0"].dtype == np.float32
        assert file["history/0"][()].tolist() == WEIGHTS.tolist()
    assert encode_state(STATE, SnapshotFormat.HDF5) == (tmp_path / "s.h5").read_bytes()


def test_hdf5_as_caffe_writes_it_is_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["iter"] = np.int32([7])
        file["current_step"] = np.int32([2])
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(4)
        kind.set_strpad(h5py.h5t.STR_NULLTERM)
        text = h5py.h5d.create(file.id, b"learned_net", kind, h5py.h5s.create(h5py.h5s.SCALAR))
        text.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array(b"abc", "S4"), mtype=kind)
        for index in range(11):
            file[f"history/{index}"] = np.float32([index])
    state = read_state(tmp_path / "s.h5")
    assert (state.iteration, state.learned_net, state.current_step) == (7, "abc", 2)
    assert [blob.item() for blob in state.history] == list(range(11))


def state_message(**values: Any) -> bytes:
    return bytes(message_class("SolverState")(**values).SerializeToString())


def with_nan() -> bytes:
    return encode_state(SolverState(1, "", (WEIGHTS, np.float32([1, np.nan]))))


def mean_file() -> bytes:
    return bytes(message_class("BlobProto")(num=1, channels=3, height=1, width=1, data=[1, 2, 3]).SerializeToString())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda: encode_state(STATE)[:-3], "truncated or corrupt"),
        (lambda: encode_state(STATE)[:20], "truncated or corrupt"),
        (with_nan, "history blob 1 holds NaN"),
        (
            lambda: encode_state(SolverState(1, "", (np.zeros((0, 2), np.float32),))),
            "history blob 0 has the impossible",
        ),
        (mean_file, "a field of another kind"),
        (lambda: state_message(iter=-3), "a count of -3"),
        (lambda: state_message(iter=3, current_step=-1), "a count of -1"),
        (lambda: state_message(learned_net="x", current_step=1), "no number of iterations"),
        (lambda: encode_weights(NET), "no solverstate but a caffemodel"),
        (lambda: encode_hdf5(NET), "an HDF5 file a caffemodel"),
        (lambda: b'net: "lenet.prototxt"\n', "no solverstate but a text file"),
        (lambda: b"\x1f\x8b\x08\x00rest", "no solverstate but compressed by gzip"),
        (lambda: b"", "is empty"),
    ],
)
def test_bad_files_are_told(tmp_path: Path, content: Callable[[], bytes], said: str) -> None:
    with pytest.raises(CaffemodelError, match=said) as caught:
        read(tmp_path, content())
    assert "net.solverstate" in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(CaffemodelError) as caught:
            read_state(path)
        assert caught.value.hint == "give the .solverstate of a snapshot"


def gap(file: h5py.File) -> None:
    del file["history/0"]


def not_a_number(file: h5py.File) -> None:
    file["history/1"][1] = np.nan


def no_count(file: h5py.File) -> None:
    del file["iter"]


def real_count(file: h5py.File) -> None:
    del file["iter"]
    file["iter"] = np.float32([3])


def two_counts(file: h5py.File) -> None:
    del file["current_step"]
    file["current_step"] = np.int32([3, 4])


def negative_count(file: h5py.File) -> None:
    file["iter"][0] = -1


def number_for_text(file: h5py.File) -> None:
    del file["learned_net"]
    file["learned_net"] = np.int32(3)


def long_text(file: h5py.File) -> None:
    del file["learned_net"]
    file.create_dataset("learned_net", (), "S70000")


def no_history(file: h5py.File) -> None:
    del file["history"]


def other_file(file: h5py.File) -> None:
    del file["history/1"]
    file["history/1"] = h5py.ExternalLink("elsewhere.h5", "/secret")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (gap, "history blob 0 is missing"),
        (not_a_number, "history blob 1 holds NaN"),
        (no_count, "'/iter' is no whole number"),
        (real_count, "'/iter' is no whole number"),
        (two_counts, "'/current_step' is no whole number"),
        (negative_count, "'/iter' is -1"),
        (number_for_text, "'/learned_net' is no text"),
        (long_text, "'/learned_net' has 70000 bytes"),
        (no_history, "without the group '/history'"),
        (other_file, "history blob 1 is missing"),
    ],
)
def test_bad_hdf5_is_told(tmp_path: Path, spoil: Callable[[h5py.File], None], said: str) -> None:
    path = tmp_path / "net.solverstate.h5"
    path.write_bytes(encode_state(STATE, SnapshotFormat.HDF5))
    with h5py.File(path, "r+") as file:
        spoil(file)
    with pytest.raises(CaffemodelError, match=said) as caught:
        read_state(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("form", SnapshotFormat)
@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_damaged_file_is_a_plain_error(form: SnapshotFormat, edits: list[tuple[int, int]]) -> None:
    data = bytearray(encode_state(STATE, form))
    keep = 8 if form is SnapshotFormat.HDF5 else 0
    for place, octet in edits:
        data[keep + place % (len(data) - keep)] = octet
    with tempfile.TemporaryDirectory() as folder:
        try:
            read(Path(folder), bytes(data))
        except RistrettoError as error:
            assert "\n" not in error.message
