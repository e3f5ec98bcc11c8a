"""Identity: what something is by its content, as a digest that is the same in every process and on every machine."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol
from weakref import ref

import numpy as np
from numpy.typing import NDArray

_KNOWN: dict[int, tuple[ref[NDArray[Any]], bytes]] = {}
"""Digests of arrays that cannot change: a search asks for the same weights in every trial."""


class FileHash(Protocol):
    """Gives a digest of what files hold; it may remember that as long as they do not change."""

    def __call__(self, paths: Sequence[Path], part: str = "", make: Callable[[], str] | None = None) -> str:
        """Give the digest of the files' bytes, one file after the other, or what `make` says of a part of them.

        Parameters
        ----------
        paths : sequence of Path
        part : str
            Tells the part from others.
        make : callable or None
            Gives the digest of a part, where not all bytes are to be read.

        Raises
        ------
        OSError
            When a file cannot be read.
        """


def digest(*things: object) -> str:
    """Give the digest of numbers, texts, arrays, enums, and of dataclasses and collections of these.

    Mappings and sets have no order; a dataclass is told by the name of its class and what its fields hold.

    Raises
    ------
    TypeError
        When something is of another kind.
    """
    return _sha(_pieces(things)).hex()


def digest_of(pieces: Iterable[bytes]) -> str:
    """Give the digest of pieces in their order, none of which needs to stay in memory."""
    return _sha(pieces).hex()


def hash_files(paths: Sequence[Path], part: str = "", make: Callable[[], str] | None = None) -> str:
    """Give a digest of what files hold, and remember nothing; see `FileHash`."""
    if make:
        return make()
    found = []
    for path in paths:
        with path.open("rb") as file:
            found.append(hashlib.file_digest(file, "sha256").digest())
    return _sha(found).hex()


def _sha(pieces: Iterable[bytes | memoryview]) -> bytes:
    sha = hashlib.sha256()
    for piece in pieces:
        # Each behind its length, so that where one ends and the next begins counts, too.
        sha.update(struct.pack("<Q", len(piece)))
        sha.update(piece)
    return sha.digest()


def _pieces(thing: object) -> Iterator[bytes]:
    """Give bytes that tell a thing from every other: its kind, then what it holds."""
    match thing:
        case Enum():
            yield from (b"enum", type(thing).__name__.encode(), thing.name.encode())
        case np.ndarray() | np.generic():
            # Before the numbers: numpy's float64 passes for one of Python's.
            yield from (b"array", _array(np.asarray(thing)))
        case None | bool() | int() | float() | str():
            yield from (type(thing).__name__.encode(), repr(thing).encode())
        case bytes():
            yield from (b"bytes", thing)
        case Mapping():
            yield from (b"mapping", *sorted(_sha(_pieces(item)) for item in thing.items()))
        case AbstractSet():
            yield from (b"set", *sorted(_sha(_pieces(item)) for item in thing))
        case Sequence():
            yield from (b"sequence", *(_sha(_pieces(item)) for item in thing))
        case _ if is_dataclass(thing) and not isinstance(thing, type):
            held = {field.name: getattr(thing, field.name) for field in fields(thing)}
            kind = f"{type(thing).__module__}.{type(thing).__qualname__}"
            yield from (b"dataclass", kind.encode(), _sha(_pieces(held)))
        case _:
            raise TypeError(f"{type(thing).__name__} has no digest")


def _array(array: NDArray[Any]) -> bytes:
    if array.dtype.hasobject:
        raise TypeError("an array of objects has no digest")
    known = _KNOWN.get(id(array))
    if known and known[0]() is array:
        return known[1]
    held = np.ascontiguousarray(array)
    found = _sha((array.dtype.str.encode(), repr(array.shape).encode(), held.reshape(-1).view(np.uint8).data))
    if not array.flags.writeable:
        key = id(array)
        _KNOWN[key] = (ref(array, lambda _: _KNOWN.pop(key, None)), found)
    return found
