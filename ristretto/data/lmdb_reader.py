"""LMDB: the records of a database, in the order of their keys.

The file is read here page by page rather than through the LMDB library. That library trusts what it reads: of 60
copies of a database with one page overwritten by random bytes or zeros, 21 killed the process (segmentation fault, or
a failed assertion), and a truncated file does so by SIGBUS. A damaged file must end in a message. The format is small
and frozen (data version 1), and this way records can be fetched by number, without a cursor.
"""

from __future__ import annotations

import mmap
import os
import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from ristretto.errors import DataError

FILE_NAME = "data.mdb"
MAGIC, DATA_VERSION = 0xBEEFC0DE, 1
DEEPEST_TREE = 32
"""Levels that the library itself can walk."""

# Little-endian throughout, as all machines write them that Caffe runs on.
PAGE_HEAD = struct.Struct("<QHHHH")
"""Page number, unused, flags, end of the node pointers, start of the nodes."""
OVERFLOW_HEAD = struct.Struct("<QHHI")
"""Page number, unused, flags, number of pages."""
META = struct.Struct("<II16xI50xH24xQQQQ")
"""Magic, version, page size; depth, entries and root page of the main database; last page, transaction."""
NODE_HEAD = struct.Struct("<HHHH")
"""Size (low, high), flags, key length; in a branch the first three make the child's page number."""
PAGE_NUMBER = struct.Struct("<Q")
BRANCH, LEAF, OVERFLOW = 0x01, 0x02, 0x04
"""Flags of pages."""
BIG = 0x01
"""Flag of a node whose value lies on overflow pages."""

DAMAGED_HINT = "copy the database again, or make it anew"


@dataclass(frozen=True)
class _Meta:
    """What one of the two head pages says."""

    page_size: int
    depth: int
    entries: int
    root: int
    last_page: int
    transaction: int


class LmdbRecords:
    """The records of an LMDB's main database.

    Parameters
    ----------
    path : Path
        The folder with ``data.mdb``, or the file itself.

    Raises
    ------
    DataError
        When it is missing, no LMDB, truncated, empty or damaged. Damage further in shows when it is reached.

    Notes
    -----
    The file is mapped read-only and never locked, so it may lie on a read-only medium. Several threads may read.
    """

    def __init__(self, path: Path) -> None:
        self._file = path / FILE_NAME if path.is_dir() else path
        self._bytes = self._map()
        meta = self._newest_meta()
        self._page_size = meta.page_size
        self._pages = len(self._bytes) // meta.page_size
        if meta.last_page >= self._pages:
            raise self._damaged(
                f"is truncated: {len(self._bytes)} bytes where its pages need {(meta.last_page + 1) * meta.page_size}"
            )
        if meta.entries == 0:
            raise DataError(f"{self._file} is empty", hint="it has no record: was it ever filled?")
        if not 1 <= meta.depth <= DEEPEST_TREE:
            raise self._damaged(f"is damaged: a tree of {meta.depth} levels")
        self._entries = meta.entries
        self._nodes = array("Q")
        self._leaves = self._walk(meta.root, meta.depth)
        self._lock = Lock()

    @property
    def known_length(self) -> int | None:
        """The number of records, which the file's head says."""
        return self._entries

    @property
    def files(self) -> Sequence[Path]:
        """The one file."""
        return (self._file,)

    def __len__(self) -> int:
        return self._entries

    def place(self, number: int) -> int:
        """Give which record comes `number`-th when the first follows the last, all counted from 0."""
        return number % self._entries

    def read(self, number: int) -> tuple[bytes, bytes]:
        """Give key and value of a record, counted from 0 in the order of the keys.

        Raises
        ------
        DataError
            When the pages on the way to it are damaged.
        """
        with self._lock:
            while number >= len(self._nodes):
                leaf = next(self._leaves, None)
                if leaf is None:
                    raise self._damaged(f"is damaged: {len(self._nodes)} records where its head says {self._entries}")
                self._nodes.extend(leaf)
            node = self._nodes[number]
        return self._record(node)

    def _record(self, node: int) -> tuple[bytes, bytes]:
        page = node // self._page_size
        page_end = (page + 1) * self._page_size
        low, high, flags, key_size = NODE_HEAD.unpack_from(self._bytes, node)
        size = low | high << 16
        start = node + NODE_HEAD.size + key_size
        key = self._bytes[node + NODE_HEAD.size : start]
        if flags == 0:
            end = start + size
            if end > page_end:
                raise self._damaged(f"is damaged: a record leaves page {page}")
        elif flags == BIG and start + PAGE_NUMBER.size <= page_end:
            (first,) = PAGE_NUMBER.unpack_from(self._bytes, start)
            pages = self._overflow_pages(first)
            start = first * self._page_size + OVERFLOW_HEAD.size
            end = start + size
            if end > (first + pages) * self._page_size:
                raise self._damaged(f"is damaged: a record leaves its overflow page {first}")
        else:
            raise self._damaged(f"is damaged, or no database of Caffe's: a record with flags {flags} on page {page}")
        return key, self._bytes[start:end]

    def _walk(self, page: int, depth: int) -> Iterator[list[int]]:
        """Give the byte offsets of the nodes of each leaf page below a page, in key order."""
        nodes = self._page_nodes(page, LEAF if depth == 1 else BRANCH)
        if depth == 1:
            yield nodes
            return
        for node in nodes:
            low, middle, high, _ = NODE_HEAD.unpack_from(self._bytes, node)
            yield from self._walk(low | middle << 16 | high << 32, depth - 1)

    def _page_nodes(self, page: int, kind: int) -> list[int]:
        start = page * self._page_size
        if page < self._pages:
            number, _, flags, lower, upper = PAGE_HEAD.unpack_from(self._bytes, start)
            if (
                number == page
                and flags & (BRANCH | LEAF) == kind
                and PAGE_HEAD.size <= lower <= upper <= self._page_size
            ):
                offsets = struct.unpack_from(f"<{(lower - PAGE_HEAD.size) // 2}H", self._bytes, start + PAGE_HEAD.size)
                if offsets and min(offsets) >= upper and max(offsets) <= self._page_size - NODE_HEAD.size:
                    return [start + offset for offset in offsets]
        raise self._damaged(f"is damaged at page {page}")

    def _overflow_pages(self, first: int) -> int:
        if first < self._pages:
            number, _, flags, pages = OVERFLOW_HEAD.unpack_from(self._bytes, first * self._page_size)
            if number == first and flags & OVERFLOW and first + pages <= self._pages:
                return int(pages)
        raise self._damaged(f"is damaged at overflow page {first}")

    def _map(self) -> mmap.mmap | bytes:
        try:
            with self._file.open("rb") as file:
                if os.fstat(file.fileno()).st_size == 0:
                    return b""
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise DataError(
                f"cannot read {self._file}: {error.strerror}", hint="source must be an LMDB: a folder with data.mdb"
            ) from error

    def _newest_meta(self) -> _Meta:
        first = self._meta(0)
        second = self._meta(first.page_size)
        # A transaction writes the older of the two heads.
        return second if second.transaction > first.transaction else first

    def _meta(self, start: int) -> _Meta:
        if start + PAGE_HEAD.size + META.size > len(self._bytes):
            raise self._damaged(f"is no LMDB, or is truncated: {len(self._bytes)} bytes")
        magic, version, *rest = META.unpack_from(self._bytes, start + PAGE_HEAD.size)
        meta = _Meta(*rest)
        page_size = meta.page_size
        if magic != MAGIC or page_size < 256 or page_size & (page_size - 1):
            raise self._damaged("is no LMDB, or its head is damaged")
        if version != DATA_VERSION:
            raise DataError(f"{self._file} is an LMDB of data version {version}", hint="version 1 can be read")
        return meta

    def _damaged(self, what: str) -> DataError:
        return DataError(f"{self._file} {what}", hint=DAMAGED_HINT)
