from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path

import plyvel
import pytest

from ristretto.caffe.datum import Datum, write_datum
from ristretto.data import open_sources
from ristretto.data.leveldb_reader import LevelDbRecords
from ristretto.errors import DataError
from ristretto.identity import hash_files
from ristretto.layers.data import Data
from ristretto.net import Layer, Phase


def make(path: Path, records: Sequence[tuple[bytes, bytes]], *, tables: bool = False, **options: object) -> Path:
    """Write a LevelDB: its records in a log, or in tables."""
    database = plyvel.DB(str(path), create_if_missing=True, **options)
    for key, value in records:
        database.put(key, value)
    if tables:
        database.compact_range()
    database.close()
    return path


def numbered(count: int, size: int = 100) -> list[tuple[bytes, bytes]]:
    rng = random.Random(count)
    return [(f"{i:08d}".encode(), rng.randbytes(size)) for i in range(count)]


def contents(path: Path) -> dict[str, tuple[bytes, int]]:
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in sorted(path.iterdir())}


def refused(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        records = LevelDbRecords(path)
        for number in range(2000):
            records.read(records.place(number))
    assert "\n" not in caught.value.message
    assert str(path) in caught.value.message
    assert "ristretto-leveldb" not in caught.value.message
    return caught.value


@pytest.mark.parametrize("tables", [False, True])
@pytest.mark.parametrize("compression", ["snappy", None])
def test_records_come_in_the_order_of_their_keys(tmp_path: Path, tables: bool, compression: str | None) -> None:
    wanted = numbered(300)
    shuffled = random.Random(1).sample(wanted, len(wanted))
    records = LevelDbRecords(make(tmp_path / "db", shuffled, tables=tables, compression=compression))
    assert [records.read(records.place(number)) for number in range(300)] == wanted


def test_the_first_follows_the_last(tmp_path: Path) -> None:
    records = LevelDbRecords(make(tmp_path / "db", numbered(3)))
    assert records.known_length is None
    assert [records.place(number) for number in (0, 2, 1)] == [0, 2, 1]
    assert records.known_length is None
    assert [records.place(number) for number in (3, 4, 302, 1)] == [0, 1, 2, 1]
    assert records.known_length == 3


def test_records_that_were_deleted_or_replaced_are_not_seen(tmp_path: Path) -> None:
    path = make(tmp_path / "db", numbered(5), tables=True)
    database = plyvel.DB(str(path))
    database.delete(b"00000001")
    database.put(b"00000002", b"new")
    database.close()
    records = LevelDbRecords(path)
    assert [records.read(records.place(number))[0][-1:] for number in range(4)] == [b"0", b"2", b"3", b"4"]
    assert records.read(1)[1] == b"new"


@pytest.mark.parametrize("tables", [False, True])
def test_the_database_is_not_changed(tmp_path: Path, tables: bool) -> None:
    path = make(tmp_path / "db", numbered(300), tables=tables)
    before = contents(path)
    records = LevelDbRecords(path)
    other = LevelDbRecords(path)
    assert records.read(records.place(299)) == other.read(other.place(299))
    assert contents(path) == before


def test_a_layer_reads_it(tmp_path: Path) -> None:
    datums = [Datum(1, 2, 2, bytes([i] * 4), i * 10) for i in range(5)]
    path = make(tmp_path / "db", [(f"{i:08d}_name".encode(), write_datum(datum)) for i, datum in enumerate(datums)])
    # LEVELDB is what a prototxt means that names no backend.
    layer = Layer("db", Data(str(path), 3), tops=("data", "label"))
    source = open_sources([layer], phase=Phase.TEST)
    assert source.period is None
    batches = list(source.batches(4))
    assert [batch["label"].tolist() for batch in batches] == [[0, 10, 20], [30, 40, 0], [10, 20, 30], [40, 0, 10]]
    assert [batch["data"][:, 0, 0, 0].tolist() for batch in batches][1] == [3, 4, 0]
    assert source.period == 5


def test_a_bad_record_is_named(tmp_path: Path) -> None:
    path = make(tmp_path / "db", [(b"a", write_datum(Datum(1, 1, 1, b"x"))), (b"b", b"\xff\xff\xff")])
    with pytest.raises(DataError) as caught:
        list(open_sources([Layer("db", Data(str(path), 2), tops=("data",))], phase=Phase.TEST).batches(1))
    assert caught.value.message == f"record 1 (key 'b') of {path}: no Datum message"


def test_missing_and_empty_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "nowhere").message
    (tmp_path / "folder").mkdir()
    assert "is damaged" in refused(tmp_path / "folder").message
    assert "is empty or damaged" in refused(make(tmp_path / "db", [])).message


@pytest.mark.parametrize("tables", [False, True])
@pytest.mark.parametrize("damage", ["half", "noise", "gone"])
def test_damage_is_told(tmp_path: Path, tables: bool, damage: str) -> None:
    path = make(tmp_path / "db", numbered(2000, 200), tables=tables)
    name = max((file for file in path.iterdir() if file.name != "LOG"), key=lambda file: file.stat().st_size)
    data = bytearray(name.read_bytes())
    if damage == "gone":
        name.unlink()
    else:
        middle = len(data) // 2
        data[middle:] = b"" if damage == "half" else data[middle:]
        if damage == "noise":
            data[middle : middle + 100] = random.Random(2).randbytes(100)
        name.write_bytes(data)
    if not tables and damage != "noise":
        # A log that ends early is what a crash leaves behind: the library gives the records before it.
        records = LevelDbRecords(path) if damage == "half" else None
        assert records is None or records.place(1999) != 1999
        return
    assert "damaged" in refused(path).message


def test_noise_in_any_file_ends_in_a_message(tmp_path: Path) -> None:
    path = make(tmp_path / "db", numbered(50), tables=True)
    rng = random.Random(3)
    for file in [file for file in path.iterdir() if file.name not in ("LOG", "LOCK", "LOG.old")]:
        whole = file.read_bytes()
        for _ in range(4):
            file.write_bytes(rng.randbytes(len(whole)))
            if whole:
                refused(path)
        file.write_bytes(whole)
    records = LevelDbRecords(path)
    assert records.place(49) == 49


def test_the_extra_is_named_where_the_library_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "db", numbered(3))
    monkeypatch.setitem(sys.modules, "plyvel", None)
    error = refused(path)
    assert "not installed" in error.message
    assert "ristretto-cnn[leveldb]" in error.hint


def test_what_it_holds_tells_it_from_others(tmp_path: Path) -> None:
    """By the records that are in use; reading it, and where it lies, make no difference."""

    def fingerprint(path: Path, count: int) -> str | None:
        layer = Layer("input", Data(str(path), 2, "LEVELDB"), tops=("data", "label"))
        return open_sources([layer], phase=Phase.TEST).fingerprint(count, hash_files)

    def filled(name: str, last: int, *, tables: bool = False) -> Path:
        datums = [Datum(1, 1, 1, bytes([i if i < 3 else last]), i) for i in range(4)]
        return make(tmp_path / name, [(f"{i}".encode(), write_datum(d)) for i, d in enumerate(datums)], tables=tables)

    one, same, other = filled("one", 3), filled("same", 3, tables=True), filled("other", 4)
    assert fingerprint(one, 2) == fingerprint(one, 2) == fingerprint(same, 2) != fingerprint(other, 2)
    assert fingerprint(one, 1) == fingerprint(other, 1)
