from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ristretto.data import BatchSource, open_sources
from ristretto.errors import DataError
from ristretto.layers.hdf5_data import HDF5Data
from ristretto.net import Layer, Phase


def write(path: Path, **arrays: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


def rows(first: int, count: int) -> dict[str, Any]:
    """Row i is filled with i."""
    numbers = np.arange(first, first + count)
    return {"data": np.ones((count, 2, 3), np.float32) * numbers[:, None, None], "label": numbers.astype(np.int32)}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Three files with 4, 1 and 2 rows, and a list of them."""
    for name, first, count in (("a", 0, 4), ("b", 4, 1), ("c", 5, 2)):
        write(tmp_path / f"{name}.h5", **rows(first, count))
    (tmp_path / "list.txt").write_text("a.h5\nb.h5\n\nc.h5\n")
    return tmp_path / "list.txt"


def opened(
    source: Path | str, batch_size: int = 3, *, tops: tuple[str, ...] = ("data", "label"), shuffle: bool = False
) -> BatchSource:
    layer = Layer("rows", HDF5Data(str(source), batch_size, shuffle), tops=tops)
    return open_sources([layer], phase=Phase.TEST, search_path=[Path(source).parent])


def refused(source: Path | str, **settings: Any) -> str:
    with pytest.raises(DataError) as caught:
        list(opened(source, **settings).batches(4))
    assert "\n" not in caught.value.message
    return caught.value.message


def labels(source: BatchSource, count: int, start: int = 0) -> list[list[float]]:
    return [batch["label"].tolist() for batch in source.batches(count, start)]


def test_batches_run_over_all_files_and_wrap(files: Path) -> None:
    source = opened(files)
    assert source.names == (str(files),)
    assert source.shapes == {"data": (3, 2, 3), "label": (3,)}
    assert source.period == 7
    assert labels(source, 5) == [[0, 1, 2], [3, 4, 5], [6, 0, 1], [2, 3, 4], [5, 6, 0]]
    assert labels(source, 1, 2) == [[6, 0, 1]]
    for batch in source.batches(3):
        assert (batch["data"] == batch["label"][:, None, None]).all()
        assert all(array.dtype == np.float32 and array.flags.c_contiguous for array in batch.values())


def test_a_batch_may_be_larger_than_all_files(files: Path) -> None:
    assert labels(opened(files, 16), 1) == [[*range(7), *range(7), 0, 1]]


def test_shuffling_keeps_files_together_and_rows_whole(files: Path) -> None:
    source = opened(files, 7, shuffle=True)
    assert source.period is None
    epochs = labels(source, 6)
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 3
    for epoch in epochs:
        places = sorted(epoch.index(row) for row in (0, 1, 2, 3))
        assert places[3] - places[0] == 3
    assert labels(opened(files, 7, shuffle=True), 1, 4) == [epochs[4]]
    assert [row for batch in labels(opened(files, 2, shuffle=True), 7) for row in batch] == epochs[0] + epochs[1]
    for batch in source.batches(2):
        assert (batch["data"] == batch["label"][:, None, None]).all()


@pytest.mark.parametrize("kind", ["float64", "uint8", "int64", "float16"])
def test_numbers_of_other_types_become_float32(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "a.h5", data=np.arange(4).astype(kind))
    (tmp_path / "list").write_text("a.h5")
    (batch,) = opened(tmp_path / "list", 4, tops=("data",)).batches(1)
    assert batch["data"].dtype == np.float32
    assert batch["data"].tolist() == [0, 1, 2, 3]


def test_lists_that_do_not_do_are_refused(files: Path) -> None:
    assert "layer 'rows': hdf5_data_param has no source" in refused("")
    assert "no/list does not exist" in refused("no/list")
    files.write_text("a.h5\ngone.h5")
    assert "gone.h5 does not exist in any of" in refused(files)
    files.write_text(" \n")
    assert "is empty" in refused(files)
    files.write_bytes(b"\xff\xfe\x00")
    assert "no text" in refused(files)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"label": [1.0]}, "holds no array 'data'"),
        ({"data": np.zeros((1, 2, 3)), "label": [1.0, 2.0]}, "differ in rows: 'data' 1, 'label' 2"),
        ({"data": np.zeros((0, 2, 3)), "label": np.zeros(0)}, "has no rows"),
        ({"data": 1.0, "label": 1.0}, "has no rows"),
        ({"data": [b"text"], "label": [1.0]}, "of the type"),
        ({"data": np.zeros((1, 3, 2)), "label": [1.0]}, "rows of the shape (3, 2)"),
        ({"data": np.full((1, 2, 3), np.nan), "label": [1.0]}, "hold NaN"),
        ({"data": np.full((1, 2, 3), 1e300), "label": [1.0]}, "beyond float32"),
    ],
)
def test_files_that_do_not_fit_are_refused(files: Path, arrays: dict[str, Any], says: str) -> None:
    write(files.parent / "b.h5", **arrays)
    assert says in refused(files)


def test_a_group_is_no_array(files: Path) -> None:
    with h5py.File(files.parent / "b.h5", "w") as file:
        file.create_group("data")
    assert "holds no array 'data'" in refused(files)


def test_a_link_to_nowhere_is_refused(files: Path) -> None:
    with h5py.File(files.parent / "b.h5", "w") as file:
        file["data"] = h5py.ExternalLink("gone.h5", "data")
    assert "b.h5" in refused(files)


def test_damaged_files_end_in_a_message(files: Path) -> None:
    path = files.parent / "b.h5"
    whole = path.read_bytes()
    for size in (0, 4, 100, 1000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert "b.h5" in refused(files)
    rng = random.Random(1)
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(8):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            list(opened(files).batches(3))
        except DataError as error:
            assert "\n" not in error.message
