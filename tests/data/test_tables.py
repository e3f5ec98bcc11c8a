from __future__ import annotations

import io
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ristretto.data.tables import ArrayTable, Column, TableSource, open_arrays
from ristretto.data.transform import Transformer
from ristretto.errors import DataError
from ristretto.layers.data import Transform
from ristretto.net import Phase


def transformer(phase: Phase = Phase.TEST, **settings: Any) -> Transformer:
    return Transformer(Transform(**settings), phase)


def test_columns_may_differ_in_array_and_batch_size() -> None:
    table = ArrayTable("t", {"x": np.arange(6).reshape(3, 2), "y": np.arange(3)})
    source = TableSource(table, {"a": Column("x", 2), "b": Column("y", 4)})
    assert source.names == ("t",)
    assert source.shapes == {"a": (2, 2), "b": (4,)}
    assert source.period == 3
    batches = list(source.batches(2))
    assert [batch["a"].tolist() for batch in batches] == [[[0, 1], [2, 3]], [[4, 5], [0, 1]]]
    assert [batch["b"].tolist() for batch in batches] == [[0, 1, 2, 0], [1, 2, 0, 1]]
    assert all(array.dtype == np.float32 for batch in batches for array in batch.values())
    assert next(source.batches(1, 1))["b"].tolist() == [1, 2, 0, 1]


@pytest.mark.parametrize(("row", "comes_out"), [((2, 4, 6), (2, 4, 6)), ((4, 6), (1, 4, 6)), ((5,), (5,))])
@pytest.mark.parametrize("dtype", ["uint8", "float64", "int32"])
def test_rows_are_transformed(row: tuple[int, ...], comes_out: tuple[int, ...], dtype: str) -> None:
    values = np.random.default_rng(1).integers(0, 256, (3, *row)).astype(dtype)
    column = Column("x", 3, transformer(scale=0.5, mean_value=(10.0,)))
    source = TableSource(ArrayTable("t", {"x": values}), {"data": column})
    assert source.shapes["data"] == (3, *comes_out)
    (batch,) = source.batches(1)
    assert batch["data"].tolist() == ((values.astype(np.float32) - 10) / 2).reshape(3, *comes_out).tolist()


def test_pictures_are_cropped() -> None:
    values = np.arange(36, dtype=np.uint8).reshape(1, 1, 6, 6)
    table = ArrayTable("t", {"x": values})
    source = TableSource(table, {"data": Column("x", 1, transformer(crop_size=2))})
    assert next(source.batches(1))["data"].tolist() == values[:, :, 2:4, 2:4].tolist()
    assert TableSource(table, {"data": Column("x", 1, transformer(Phase.TRAIN, crop_size=2))}).period is None


def test_a_transform_that_does_not_fit_is_refused() -> None:
    table = ArrayTable("t", {"x": np.zeros((1, 3, 4, 4)), "y": np.zeros((1, 1, 1, 1, 1)), "z": np.zeros(1)})
    for name, settings, says in (
        ("x", {"crop_size": 9}, "'x' in t: crop_size 9 is larger"),
        ("x", {"mean_value": (1.0, 2.0)}, "2 mean_value for 3 channels"),
        ("y", {}, "rows of the shape 1x1x1x1 are no pictures"),
        ("z", {}, "rows of the shape of a number are no pictures"),
    ):
        with pytest.raises(DataError, match=says):
            TableSource(table, {"data": Column(name, 1, transformer(**settings))})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_must_be_finite(value: float) -> None:
    table = ArrayTable("t", {"x": np.array([0.0, value])})
    source = TableSource(table, {"a": Column("x", 1)})
    next(source.batches(1))
    with pytest.raises(DataError, match="rows 1 to 1 of 'x' in t hold NaN"):
        list(source.batches(2))


def test_npy_and_npz_are_opened(tmp_path: Path) -> None:
    x, y = np.arange(6).reshape(3, 2), np.arange(3)
    np.save(tmp_path / "a.npy", x)
    np.savez(tmp_path / "a.npz", first=x, second=y)
    np.savez_compressed(tmp_path / "b.npz", first=x, second=y)
    assert open_arrays(tmp_path / "a.npy").row_shapes == {"data": (2,)}
    assert open_arrays(tmp_path / "a.npy").read("data", 2, 2).tolist() == [[4, 5], [0, 1]]
    for name in ("a.npz", "b.npz"):
        table = open_arrays(tmp_path / name)
        assert table.row_shapes == {"first": (2,), "second": ()}
        assert table.read("second", 1, 4).tolist() == [1, 2, 0, 1]


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({}, "holds no array"),
        ({"x": np.zeros(3), "y": np.zeros(2)}, "differ in rows: 'x' 3, 'y' 2"),
        ({"x": np.zeros(())}, "'x' in .* has no rows"),
        ({"x": np.zeros((2, 0))}, "'x' in .* has no rows"),
        ({"x": np.array(["a"])}, "is of the type"),
        ({"x": np.zeros(2, np.complex64)}, "is of the type complex64"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, arrays: dict[str, Any], says: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=says):
        open_arrays(tmp_path / "a.npz")


class Trap:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("a pickle was run",))


def bad_files() -> dict[str, bytes]:
    file, zipped, huge = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.save(file, np.arange(1000))
    np.savez(zipped, data=np.arange(1000))
    np.lib.format.write_array_header_1_0(huge, {"descr": "<f8", "fortran_order": False, "shape": (1 << 50,)})
    objects, member = io.BytesIO(), io.BytesIO()
    np.save(objects, np.array([Trap()], object), allow_pickle=True)
    with zipfile.ZipFile(member, "w") as archive:
        archive.writestr("data.npy", b"no array")
    return {
        "empty.npy": b"",
        "text.npy": b"1 2 3",
        "cut.npy": file.getvalue()[:-100],
        "head.npy": file.getvalue()[:50],
        "huge.npy": huge.getvalue(),
        "objects.npy": objects.getvalue(),
        "pickle.npy": pickle.dumps(Trap()),
        "cut.npz": zipped.getvalue()[:-100],
        "short.npz": zipped.getvalue()[:100],
        "member.npz": member.getvalue(),
        "text.npz": b"PK\x03\x04",
    }


@pytest.mark.parametrize("name", bad_files())
def test_bad_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(bad_files()[name])
    with pytest.raises(DataError) as caught:
        open_arrays(tmp_path / name)
    assert str(tmp_path / name) in caught.value.message
    assert "\n" not in caught.value.message


def test_noise_in_an_npz_ends_in_a_message(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.savez_compressed(file, data=np.arange(300), label=np.arange(300))
    rng = random.Random(1)
    for _ in range(100):
        damaged = bytearray(file.getvalue())
        for _ in range(6):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        (tmp_path / "a.npz").write_bytes(damaged)
        try:
            open_arrays(tmp_path / "a.npz")
        except DataError as error:
            assert "\n" not in error.message


def test_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        open_arrays(tmp_path / "a.npz")
