"""Fingerprints: sources that have the same one give the same batches, and the same data have one wherever they lie."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from ristretto.caffe.datum import Datum
from ristretto.data import BatchSource, CachedSource, MergedSource, Preparation, feed, open_sources
from ristretto.data.tables import ArrayTable, Column, TableSource
from ristretto.errors import DataError
from ristretto.identity import hash_files
from ristretto.layers.data import Data, Transform
from ristretto.layers.dummy_data import DummyData
from ristretto.layers.hdf5_data import HDF5Data
from ristretto.layers.image_data import ImageData
from ristretto.net import Filler, Layer, Phase

MakeLmdb = Callable[[Sequence[Datum]], Path]
BATCHES = 3
LIST = "".join(f"{number}.png {number % 3}\n" for number in range(8))


def print_of(source: BatchSource, count: int = BATCHES) -> str:
    found = source.fingerprint(count, hash_files)
    assert found is not None
    return found


def content(source: BatchSource) -> list[tuple[str, bytes]]:
    return [(blob, array.tobytes()) for batch in source.batches(BATCHES) for blob, array in sorted(batch.items())]


def check(sources: Sequence[BatchSource]) -> None:
    """See that sources of different batches have different fingerprints, and each the same one when asked again."""
    prints = [print_of(source) for source in sources]
    assert [print_of(source) for source in sources] == prints
    contents = [content(source) for source in sources]
    for i, one in enumerate(sources):
        for j, other in enumerate(sources[:i]):
            assert contents[i] != contents[j], "the test's own sources differ"
            assert prints[i] != prints[j], (one.names, other.names)


def open_layer(op: Any, phase: Phase = Phase.TEST, tops: tuple[str, ...] = ("data", "label"), at: Path = Path()) -> Any:
    return open_sources([Layer("input", op, tops=tops)], phase=phase, search_path=[at])


def datums(count: int = 8, first: int = 0) -> list[Datum]:
    rng = np.random.default_rng(first)
    return [Datum(1, 6, 6, rng.integers(0, 256, 36, np.uint8).tobytes(), number) for number in range(count)]


def test_databases_are_told_by_the_records_in_use_and_the_transform(make_lmdb: MakeLmdb, tmp_path: Path) -> None:
    one, other, longer = make_lmdb(datums()), make_lmdb(datums(first=1)), make_lmdb([*datums(), *datums(1, 7)])

    def opened(path: Path, size: int = 2, phase: Phase = Phase.TEST, tops: Any = ("data", "label"), **how: Any) -> Any:
        return open_layer(Data(str(path), size, "LMDB", transform=Transform(**how)), phase, tops)

    relabelled = [*datums()]
    relabelled[5] = Datum(1, 6, 6, relabelled[5].data, 99)
    check(
        [
            opened(one),
            opened(other),
            opened(make_lmdb(relabelled)),
            opened(make_lmdb(datums(5))),
            opened(one, 3),
            opened(one, scale=0.5),
            opened(one, mean_value=(3.0,)),
            opened(one, crop_size=4),
            opened(one, phase=Phase.TRAIN, crop_size=4),
            opened(one, mirror=True),
            opened(one, tops=("data",)),
            opened(one, tops=("picture", "label")),
        ]
    )
    copied = Path(shutil.copytree(one, tmp_path / "elsewhere"))
    assert print_of(opened(copied)) == print_of(opened(one)) == print_of(CachedSource(opened(one), 1 << 20))
    assert print_of(opened(one, phase=Phase.TRAIN)) == print_of(opened(one)), "nothing is cropped"
    assert print_of(opened(longer)) == print_of(opened(one)), "no record is reached by which they differ"
    assert print_of(opened(longer), 5) != print_of(opened(one), 5)
    assert print_of(opened(one, 3), 2) != print_of(opened(one, 2), 3), "the same records in other batches"


def test_a_database_that_is_walked_twice_is_told_from_a_longer_one(make_lmdb: MakeLmdb) -> None:
    short, long = make_lmdb(datums(2)), make_lmdb([*datums(2), *datums(4)])
    check([open_layer(Data(str(path), 2, "LMDB")) for path in (short, long)])


def test_pictures_are_decoded_as_they_are_told(make_lmdb: MakeLmdb, tmp_path: Path) -> None:
    colours = np.random.default_rng(2).integers(0, 256, (6, 6, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "x.png")
    path = make_lmdb([Datum(3, 6, 6, (tmp_path / "x.png").read_bytes(), 1, encoded=True)])
    check([open_layer(Data(str(path), 1, "LMDB", transform=Transform(force_gray=gray))) for gray in (False, True)])


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    folder.mkdir()
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "list.txt").write_text(LIST)
    return folder


def test_picture_files_are_told_by_what_they_hold_in_their_order(album: Path, tmp_path: Path) -> None:
    def opened(name: str = "list.txt", folder: Path = album, **how: Any) -> Any:
        return open_layer(ImageData(str(folder / name), how.pop("size", 2), **how), at=folder)

    lines = LIST.splitlines(keepends=True)
    (album / "turned.txt").write_text("".join(reversed(lines)))
    (album / "relabelled.txt").write_text(LIST.replace("3.png 0", "3.png 2"))
    (album / "short.txt").write_text("".join(lines[:4]))
    check(
        [
            opened(),
            opened("turned.txt"),
            opened("relabelled.txt"),
            opened("short.txt"),
            opened(size=1),
            opened(new_height=4, new_width=4),
            opened(is_color=False),
            opened(shuffle=True),
            opened(transform=Transform(scale=2.0)),
        ]
    )
    assert print_of(opened(), 4) != print_of(opened(shuffle=True), 4), "the same eight pictures in another order"
    copied = Path(shutil.copytree(album, tmp_path / "elsewhere"))
    before = print_of(opened())
    assert print_of(opened(folder=copied)) == before
    shutil.copy(copied / "0.png", copied / "7.png")
    assert print_of(opened(folder=copied)) == before, "the last two pictures are not in use"
    shutil.copy(copied / "0.png", copied / "5.png")
    assert print_of(opened(folder=copied)) != before


def test_a_picture_that_is_gone_is_an_error_of_the_data(album: Path) -> None:
    source = open_layer(ImageData(str(album / "list.txt"), 2), at=album)
    (album / "3.png").unlink()
    with pytest.raises(DataError, match="cannot read"):
        source.fingerprint(BATCHES, hash_files)
    assert source.fingerprint(1, hash_files)


def test_arrays_are_told_by_their_files(tmp_path: Path) -> None:
    x, labels = np.random.default_rng(0).normal(size=(6, 1, 4, 4)).astype(np.float32), np.arange(6)
    net = [Layer("input", Data("nowhere", 2, "LMDB"), tops=("data", "label"))]

    def saved(name: str, **arrays: Any) -> Path:
        np.savez(tmp_path / name, **arrays)
        return tmp_path / name

    def opened(path: Path, **how: Any) -> BatchSource:
        return feed(path, net, phase=Phase.TEST, preparation=Preparation(**how))

    one = saved("one.npz", data=x, label=labels)
    check(
        [
            opened(one),
            opened(saved("two.npz", data=x + 1, label=labels)),
            opened(saved("three.npz", data=x, label=labels + 1)),
            opened(one, batch_size=3),
            opened(one, scale=0.5),
        ]
    )
    assert print_of(opened(saved("copy.npz", data=x, label=labels))) == print_of(opened(one))


def test_arrays_of_a_program_are_told_by_themselves() -> None:
    x = np.arange(6.0)
    columns = {"data": Column("x", 2)}
    check([TableSource(ArrayTable("x", {"x": values}), columns) for values in (x, x + 1, x[:4])])
    assert print_of(TableSource(ArrayTable("y", {"x": x.copy()}), columns)) == print_of(
        TableSource(ArrayTable("x", {"x": x}), columns)
    )


def test_rows_are_told_by_their_files_and_their_order(tmp_path: Path) -> None:
    for name, first in (("a", 0), ("b", 4), ("c", 9)):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["data"], file["label"] = np.arange(first, first + 4.0), np.arange(first, first + 4)
    for name, text in (("ab", "a.h5\nb.h5\n"), ("ba", "b.h5\na.h5\n"), ("ac", "a.h5\nc.h5\n")):
        (tmp_path / f"{name}.txt").write_text(text)

    def opened(name: str, size: int = 2, **how: Any) -> Any:
        return open_layer(HDF5Data(str(tmp_path / f"{name}.txt"), size, **how), at=tmp_path)

    check([opened("ab"), opened("ba"), opened("ac"), opened("ab", 3), opened("ab", shuffle=True)])


def test_fillers_are_told_by_their_settings() -> None:
    def opened(*fillers: Filler, shape: tuple[int, ...] = (2, 3)) -> BatchSource:
        return open_layer(DummyData(shapes=(shape,), fillers=fillers), tops=("data",))

    gaussian = Filler("gaussian", std=1.0)
    check(
        [
            opened(Filler()),
            opened(Filler(value=1.0)),
            opened(gaussian),
            opened(Filler("gaussian", std=2.0)),
            opened(gaussian, shape=(3, 3)),
        ]
    )
    assert print_of(opened(gaussian)) == print_of(opened(gaussian))


class Unknown:
    """A source that cannot tell what it is."""

    names, shapes, period = ("nowhere",), {"x": (1,)}, None

    def fingerprint(self, count: int, hashed: object) -> None:
        return None


def test_one_source_that_cannot_tell_is_enough() -> None:
    known = open_layer(DummyData(shapes=((2, 3),), fillers=(Filler(),)), tops=("data",))
    other = open_layer(DummyData(shapes=((2, 3),), fillers=(Filler(value=2.0),)), tops=("more",))
    unknown: Any = Unknown()
    assert MergedSource([known, unknown]).fingerprint(1, hash_files) is None
    assert CachedSource(unknown, 10).fingerprint(1, hash_files) is None
    check([known, other, MergedSource([known, other])])


def test_what_is_remembered_of_a_database_depends_on_the_records_in_use(make_lmdb: MakeLmdb) -> None:
    """Each stretch of records is a part of its own to whoever remembers digests."""
    source = open_layer(Data(str(make_lmdb(datums())), 2, "LMDB"))
    asked: list[tuple[Sequence[Path], str]] = []

    def remembering(paths: Sequence[Path], part: str = "", make: Callable[[], str] | None = None) -> str:
        asked.append((tuple(paths), part))
        return hash_files(paths, part, make)

    for count in (1, 2, 2):
        source.fingerprint(count, remembering)
    assert asked[0] != asked[1] == asked[2]
