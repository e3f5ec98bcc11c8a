from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lmdb
import numpy as np
import pytest

from ristretto.caffe.datum import Datum, write_datum
from ristretto.data import write_lmdb
from ristretto.data.lmdb_reader import LmdbRecords
from ristretto.errors import OutputError


def digits(count: int, size: int = 28) -> list[Datum]:
    source = np.random.default_rng(5)
    return [
        Datum(1, size, size, source.integers(0, 256, size * size, np.uint8).tobytes(), i % 10) for i in range(count)
    ]


@pytest.mark.parametrize(("count", "size"), [(1, 28), (700, 28), (100, 37), (60, 45), (60, 46), (20, 100)])
def test_records_come_back_under_their_keys(tmp_path: Path, count: int, size: int) -> None:
    datums = digits(count, size)
    write_lmdb(tmp_path / "db", datums)
    with lmdb.open(str(tmp_path / "db"), readonly=True, lock=False) as database, database.begin() as transaction:
        assert list(transaction.cursor()) == [(b"%08d" % i, write_datum(d)) for i, d in enumerate(datums)]


def test_the_same_datums_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_lmdb(tmp_path / name, digits(300))
    assert (tmp_path / "one/data.mdb").read_bytes() == (tmp_path / "two/data.mdb").read_bytes()


def test_no_page_is_left_over(tmp_path: Path) -> None:
    write_lmdb(tmp_path / "db", digits(1000))
    with lmdb.open(str(tmp_path / "db"), readonly=True, lock=False) as database:
        stat, last = database.stat(), database.info()["last_pgno"]
        database.copy(str(tmp_path), compact=True)
    used = 2 + stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
    assert last + 1 == used
    size = (tmp_path / "db/data.mdb").stat().st_size
    assert size == used * stat["psize"]
    assert size == (tmp_path / "data.mdb").stat().st_size
    assert sorted(path.name for path in (tmp_path / "db").iterdir()) == ["data.mdb"]


def test_an_existing_path_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        write_lmdb(tmp_path / "db", digits(1))
    assert (tmp_path / "db").read_text() == "mine"


def test_what_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_lmdb(tmp_path / "file" / "db", digits(1))

    def broken() -> Iterator[Datum]:
        yield from digits(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_lmdb(tmp_path / "db", broken())
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = lmdb.open
    monkeypatch.setattr(lmdb, "open", lambda *path, map_size, **rest: library(*path, map_size=1 << 16, **rest))
    with pytest.raises(OutputError, match="MAP_FULL"):
        write_lmdb(tmp_path / "db", digits(300))
    assert not list(tmp_path.iterdir())


def test_parents_are_made(tmp_path: Path) -> None:
    write_lmdb(tmp_path / "a/b/db", digits(2))
    assert len(LmdbRecords(tmp_path / "a/b/db")) == 2
