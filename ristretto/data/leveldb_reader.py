"""LevelDB: the records of a database, in the order of their keys.

The LevelDB library opens a database only for writing: it takes a lock, renames its log, replays the newest records
into new files and may merge old ones. A user's data must not change by being read, and may lie on a read-only medium.
So the library is given a folder of its own: links to the tables, which hold nearly all bytes and are never written
again once they are there, and copies of the few small files beside them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from ristretto.errors import DataError

TABLES = (".ldb", ".sst")
"""Files that LevelDB writes once; the second is what it called them before 2013."""
OWN_FILES = ("LOCK", "LOG", "LOG.old")
"""Files that the library makes anew for itself."""

DAMAGED_HINT = "copy the database again, or make it anew"
INSTALL_HINT = "install it by: pip install 'ristretto-cnn[leveldb]'"


class LevelDbRecords:
    """The records of a LevelDB.

    Parameters
    ----------
    path : Path
        The database's folder; nothing in it is changed.

    Raises
    ------
    DataError
        When the LevelDB library is not installed, or the database is missing, empty or damaged. Damage further in
        shows when it is reached.

    Notes
    -----
    LevelDB does not know how many records it holds. The keys are collected as far as they were asked for, so that a
    few batches of a large database do not cost a walk through all of it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._library = _library(path)
        self._folder = tempfile.mkdtemp(prefix="ristretto-leveldb-")
        self._close = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        try:
            _mirror(path, Path(self._folder))
            self._database = self._library.DB(self._folder, create_if_missing=False, paranoid_checks=True)
            self._unread = self._database.iterator(include_value=False, verify_checksums=True)
        except self._library.Error as error:
            raise self._damaged(error) from error
        except OSError as error:
            raise DataError(
                f"cannot read {path}: {error.strerror or error}", hint="source must be a LevelDB: a folder with CURRENT"
            ) from error
        self._lock = Lock()
        self._keys: list[bytes] = []
        self._whole = False
        if not self._reach(0):
            # The library does not tell an empty database from one whose first table cannot be read.
            raise DataError(f"{path} is empty or damaged: no record can be read", hint=DAMAGED_HINT)

    @property
    def known_length(self) -> int | None:
        """The number of records, once the last one was reached."""
        return len(self._keys) if self._whole else None

    @property
    def files(self) -> Sequence[Path]:
        """The tables and what lies beside them, in the order of their names."""
        return sorted(file for file in self._path.iterdir() if _holds_records(file))

    def place(self, number: int) -> int:
        """Give which record comes `number`-th when the first follows the last, all counted from 0."""
        return number if self._reach(number) else number % len(self._keys)

    def read(self, number: int) -> tuple[bytes, bytes]:
        """Give key and value of a record that `place` has given.

        Raises
        ------
        DataError
            When the table that holds it is damaged.
        """
        key = self._keys[number]
        try:
            value = self._database.get(key, verify_checksums=True)
        except (self._library.Error, OSError) as error:
            raise self._damaged(error) from error
        if value is None:
            raise self._damaged(f"no value for the key {ascii(key)[1:]}")
        return key, value

    def _reach(self, number: int) -> bool:
        """Collect keys up to a record; say whether there is one."""
        with self._lock:
            try:
                while not self._whole and number >= len(self._keys):
                    key = next(self._unread, None)
                    if key is None:
                        self._whole = True
                    else:
                        self._keys.append(key)
            except (self._library.Error, OSError) as error:
                raise self._damaged(error) from error
            return number < len(self._keys)

    def _damaged(self, error: object) -> DataError:
        reason = error.args[0] if isinstance(error, Exception) and error.args else error
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        # The library names the files of its own folder, which would mean nothing to a user.
        own = text.replace(self._folder + os.sep, "").replace(self._folder, str(self._path))
        return DataError(f"{self._path} is damaged: {own}", hint=DAMAGED_HINT)


def _library(path: Path) -> Any:
    try:
        import plyvel
    except ImportError as error:
        raise DataError(
            f"{path} is a LevelDB, and the library that reads one is not installed", hint=INSTALL_HINT
        ) from error
    return plyvel


def _holds_records(file: Path) -> bool:
    return file.name not in OWN_FILES and file.is_file()


def _mirror(path: Path, folder: Path) -> None:
    for file in path.iterdir():
        if not _holds_records(file):
            continue
        if file.suffix in TABLES:
            (folder / file.name).symlink_to(file.resolve())
        else:
            shutil.copyfile(file, folder / file.name)
