"""Small databases for the tests of the data package."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ristretto.caffe.datum import Datum
from ristretto.data import write_lmdb

# plyvel has no wheels for newer ones (setup.cfg).
collect_ignore = ["test_leveldb_reader.py"] if sys.version_info >= (3, 13) else []

MakeLmdb = Callable[[Sequence[Datum]], Path]


@pytest.fixture
def make_lmdb(tmp_path: Path) -> MakeLmdb:
    """Write Datums to an LMDB of a name of its own."""

    def make(datums: Sequence[Datum]) -> Path:
        path = tmp_path / f"lmdb{len(list(tmp_path.iterdir()))}"
        write_lmdb(path, datums)
        return path

    return make
