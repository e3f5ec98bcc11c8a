"""Writing an LMDB of Datums, as Caffe's converters do."""

from __future__ import annotations

import mmap
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import lmdb

from ristretto.caffe.datum import Datum, write_datum
from ristretto.errors import OutputError


def write_lmdb(path: str | Path, datums: Iterable[Datum]) -> None:
    """Write Datums to a new LMDB, under the keys ``00000000``, ``00000001`` and so on.

    All goes into one transaction in key order: no page is left over, and the same Datums give the same bytes (on
    machines with memory pages of one size, which LMDB takes for its own).

    Parameters
    ----------
    path : path
        The folder to be made; it appears when it is whole.
    datums : iterable of Datum
        Held in memory until they are written.

    Raises
    ------
    OutputError
        When the path exists or cannot be written.
    """
    path = Path(path)
    if os.path.lexists(path):
        raise OutputError(f"{path} exists", hint="remove it first: a database is never overwritten")
    records = [write_datum(datum) for datum in datums]
    # Address space, not file size: at worst two records of a little over half a page fill two pages.
    room = mmap.PAGESIZE * (16 + sum(2 + 2 * len(record) // mmap.PAGESIZE for record in records))
    made = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        made.mkdir(parents=True)
        with (
            lmdb.open(str(made), map_size=room, lock=False, mode=0o666) as database,
            database.begin(write=True) as transaction,
        ):
            for number, record in enumerate(records):
                transaction.put(f"{number:08d}".encode(), record, append=True)
        made.rename(path)
    except (OSError, lmdb.Error) as error:
        raise OutputError(
            f"cannot write {path}: {error}", hint="check the folder, its permissions and the disk"
        ) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
