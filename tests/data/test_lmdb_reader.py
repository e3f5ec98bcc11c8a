from __future__ import annotations

import random
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lmdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.data.lmdb_reader import LmdbRecords
from ristretto.errors import DataError

PAGE = 4096
Item = tuple[bytes, bytes]


def write(folder: Path, *transactions: list[tuple[bytes, bytes | None]]) -> None:
    """Put, or delete where the value is None."""
    with lmdb.open(str(folder), map_size=1 << 26, lock=False) as database:
        for items in transactions:
            with database.begin(write=True) as transaction:
                for key, value in items:
                    if value is None:
                        transaction.delete(key)
                    else:
                        transaction.put(key, value)


def by_library(folder: Path) -> list[Item]:
    with lmdb.open(str(folder), readonly=True, lock=False) as database, database.begin() as transaction:
        return list(transaction.cursor())


def by_us(path: Path) -> list[Item]:
    records = LmdbRecords(path)
    return [records.read(number) for number in range(len(records))]


def refused(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        by_us(path)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value


SIZES = st.sampled_from([0, 1, 30, 700, 1500, 2000, 2010, 2020, 2030, 2040, 2100, 4080, 4096, 9000, 70000])


@given(
    items=st.dictionaries(st.binary(min_size=1, max_size=40), SIZES, min_size=1, max_size=120),
    parts=st.integers(1, 3),
    drop=st.integers(0, 3),
    seed=st.integers(0, 2**32),
)
def test_reads_what_the_library_reads(
    tmp_path_factory: pytest.TempPathFactory, items: dict[bytes, int], parts: int, drop: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("lmdb")
    source = random.Random(seed)
    puts: list[tuple[bytes, bytes | None]] = [(key, source.randbytes(size)) for key, size in items.items()]
    deletes: list[tuple[bytes, bytes | None]] = [(key, None) for key, _ in puts[: min(drop, len(puts) - 1)]]
    write(folder, *(puts[part::parts] for part in range(parts)), deletes)
    expected = by_library(folder)
    assert expected
    assert by_us(folder) == expected


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three levels of pages, with records on leaf pages and on pages of their own."""
    folder = tmp_path / "db"
    source = random.Random(1)
    items = [(b"%05d" % i + b"k" * 300, source.randbytes(5000 if i % 5 == 0 else 900)) for i in range(300)]
    write(folder, list(items))
    with lmdb.open(str(folder), readonly=True, lock=False) as database:
        assert database.stat()["depth"] == 3
    return folder


def test_records_come_in_any_order_of_asking(folder: Path) -> None:
    expected = by_library(folder)
    records = LmdbRecords(folder)
    for number in (299, 0, 150, 7, 299):
        assert records.read(number) == expected[number]


def test_threads_may_read_at_the_same_time(folder: Path) -> None:
    expected = by_library(folder)
    records = LmdbRecords(folder)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(records.read, range(300))) == expected


def test_the_file_itself_may_be_named(folder: Path) -> None:
    assert by_us(folder / "data.mdb") == by_library(folder)


def test_nothing_is_written_beside_it(folder: Path) -> None:
    before = sorted(path.name for path in folder.iterdir())
    by_us(folder)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_missing_is_said(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path).message
    assert "data.mdb" in refused(tmp_path).message
    assert "nowhere" in refused(tmp_path / "nowhere").message


@pytest.mark.parametrize("content", [b"", b"x", b"text\n" * 5000, random.Random(3).randbytes(40960), bytes(40960)])
def test_another_file_is_no_lmdb(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.mdb").write_bytes(content)
    assert "is no LMDB" in refused(tmp_path).message


def test_empty_is_said(tmp_path: Path) -> None:
    write(tmp_path, [])
    assert "is empty" in refused(tmp_path).message


def test_emptied_is_empty(tmp_path: Path) -> None:
    write(tmp_path, [(b"a", b"1")], [(b"a", None)])
    assert "is empty" in refused(tmp_path).message


def test_truncated_is_said_before_anything_is_read(folder: Path) -> None:
    whole = (folder / "data.mdb").read_bytes()
    for size in (len(whole) - 1, len(whole) - PAGE, len(whole) // 2, 3 * PAGE, 2 * PAGE, PAGE + 5, 200):
        (folder / "data.mdb").write_bytes(whole[:size])
        with pytest.raises(DataError, match="truncated") as caught:
            LmdbRecords(folder)
        assert caught.value.hint


def test_another_version_is_named(folder: Path) -> None:
    content = bytearray((folder / "data.mdb").read_bytes())
    struct.pack_into("<I", content, 20, 999)
    (folder / "data.mdb").write_bytes(content)
    assert "data version 999" in refused(folder).message


def test_the_newer_head_counts(tmp_path: Path) -> None:
    for count in (1, 2, 3):
        write(tmp_path, [(b"%d" % count, b"value")])
        assert len(LmdbRecords(tmp_path)) == count


@pytest.mark.parametrize(("where", "value"), [(16, 1), (40, 0), (40, 3000), (40, 1 << 31)])
def test_a_damaged_head_is_found_out(folder: Path, where: int, value: int) -> None:
    """Its first 4 bytes are the magic number; the page size stands where the list of free pages has a spare field."""
    content = bytearray((folder / "data.mdb").read_bytes())
    struct.pack_into("<I", content, where, value)
    (folder / "data.mdb").write_bytes(content)
    assert "is no LMDB" in refused(folder).message


DEPTH, ENTRIES, ROOT = 16 + 24 + 48 + 6, 16 + 24 + 48 + 32, 16 + 24 + 48 + 40
"""Places in a head: behind 16 bytes of page head and 24 of its own come two databases of 48, the second is the main."""


@pytest.mark.parametrize(("depth", "entries"), [(0, 300), (2, 300), (200, 300), (3, 301), (4, 300)])
def test_a_head_that_lies_is_found_out(folder: Path, depth: int, entries: int) -> None:
    content = bytearray((folder / "data.mdb").read_bytes())
    for head in (0, PAGE):
        struct.pack_into("<H", content, head + DEPTH, depth)
        struct.pack_into("<Q", content, head + ENTRIES, entries)
    (folder / "data.mdb").write_bytes(content)
    assert "damaged" in refused(folder).message


def test_a_page_that_is_its_own_child_is_found_out(folder: Path) -> None:
    content = bytearray((folder / "data.mdb").read_bytes())
    (root,) = struct.unpack_from("<Q", content, PAGE + ROOT)
    struct.pack_into("<H", content, PAGE + DEPTH, 60000)
    (node,) = struct.unpack_from("<H", content, root * PAGE + 16)
    struct.pack_into("<HHH", content, root * PAGE + node, root, 0, 0)
    (folder / "data.mdb").write_bytes(content)
    assert "a tree of 60000 levels" in refused(folder).message


def test_page_numbers_have_48_bits(folder: Path) -> None:
    content = bytearray((folder / "data.mdb").read_bytes())
    (root,) = struct.unpack_from("<Q", content, PAGE + ROOT)
    (node,) = struct.unpack_from("<H", content, root * PAGE + 16)
    struct.pack_into("<HHH", content, root * PAGE + node, 3, 2, 1)
    (folder / "data.mdb").write_bytes(content)
    assert f"damaged at page {(1 << 32) + (2 << 16) + 3}" in refused(folder).message


# A patch is a struct format, a place and values. Places count from the start of the page, or of the node.
PAGE_PATCHES = {
    "number": ("<Q", 0, 77),
    "kind": ("<H", 10, 4),
    "end of pointers before their start": ("<H", 12, 14),
    "end of pointers behind the nodes": ("<H", 12, 4000),
    "no pointers": ("<H", 12, 16),
    "nodes behind the page": ("<H", 14, 4098),
    "pointer into the head": ("<H", 16, 0),
    "pointer past the end": ("<H", 16, 4094),
}
NODE_PATCHES = {
    "size": ("<H", 0, 5000),
    "high half of the size": ("<H", 2, 1),
    "key size": ("<H", 6, 5000),
    "several values": ("<H", 4, 4),
    "value elsewhere, but no room to say where": ("<HH", 4, 1, PAGE - 20),
}
BIG_PATCHES = {
    "size": ("<H", 0, 9000),
    "page behind the end": ("<Q", 8 + 1, 99),
    "page of another kind": ("<Q", 8 + 1, 0),
}
OVERFLOW_PATCHES = {
    "number": ("<Q", 0, 77),
    "kind": ("<H", 10, 2),
    "pages": ("<I", 12, 99),
    "fewer pages": ("<I", 12, 1),
}

PATCHES = [
    *(("page", 100, name, patch) for name, patch in PAGE_PATCHES.items()),
    *(("node", 100, name, patch) for name, patch in NODE_PATCHES.items()),
    *(("node", 5000, name, patch) for name, patch in BIG_PATCHES.items()),
    *(("overflow", 5000, name, patch) for name, patch in OVERFLOW_PATCHES.items()),
]


@pytest.mark.parametrize("pages_behind", [0, 8])
@pytest.mark.parametrize(("part", "size", "name", "patch"), PATCHES, ids=str)
def test_each_kind_of_damage(
    tmp_path: Path, part: str, size: int, name: str, patch: tuple[str, int, int], pages_behind: int
) -> None:
    """One record; where empty pages lie behind it, reading too far would go unseen."""
    write(tmp_path, [(b"k", bytes(size))])
    content = bytearray((tmp_path / "data.mdb").read_bytes()) + bytes(pages_behind * PAGE)
    (root,) = struct.unpack_from("<Q", content, PAGE + ROOT)
    (node,) = struct.unpack_from("<H", content, root * PAGE + 16)
    (overflow,) = struct.unpack_from("<Q", content, root * PAGE + node + 8 + 1)
    start = {"page": root * PAGE, "node": root * PAGE + node, "overflow": overflow * PAGE}[part]
    form, place, *values = patch
    struct.pack_into(form, content, start + place, *values)
    (tmp_path / "data.mdb").write_bytes(content)
    assert "damaged" in refused(tmp_path).message


def test_several_values_under_a_key_are_refused(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path), map_size=1 << 24, lock=False, max_dbs=1) as database:
        database.open_db(b"named")
    assert "no database of Caffe's" in refused(tmp_path).message


def test_damage_anywhere_ends_in_a_message(folder: Path) -> None:
    """The library dies of every third of these."""
    whole = (folder / "data.mdb").read_bytes()
    pages = len(whole) // PAGE
    complaints = 0
    for trial in range(300):
        source = random.Random(trial)
        content = bytearray(whole)
        start = source.randrange(pages) * PAGE
        if trial % 3 == 0:
            content[start : start + PAGE] = source.randbytes(PAGE)
        elif trial % 3 == 1:
            content[start + 16 : start + PAGE] = source.randbytes(PAGE - 16)
        else:
            for _ in range(20):
                content[start + source.randrange(300)] = source.randrange(256)
        (folder / "data.mdb").write_bytes(content)
        try:
            by_us(folder)
        except DataError as error:
            assert "\n" not in error.message
            complaints += 1
    assert complaints > 100


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "count"),
    [("mnist/mnist_test_lmdb", 10000), ("cifar10/cifar10_test_lmdb", 10000), ("imagenet/imagenet_dev500_lmdb", 500)],
)
def test_real_databases(shared: Path, name: str, count: int) -> None:
    records = LmdbRecords(shared / "data" / name)
    assert len(records) == count
    expected = by_library(shared / "data" / name)
    assert all(records.read(number) == expected[number] for number in np.arange(count).tolist())
