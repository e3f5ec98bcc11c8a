"""Where a program keeps its blobs: one array for each type of C, whose places are used again and again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ristretto.hardware.grid import bits_for

Plain = Mapping[str, Any]


@dataclass(frozen=True)
class Storage:
    """How numbers are stored.

    Parameters
    ----------
    name : str
        What the program calls it, and in small letters the array.
    type : str
        Of C.
    bits : int
        Of a code, sign included; 0 for the words of float32's.
    """

    name: str
    type: str
    bits: int

    @property
    def pool(self) -> str:
        """The array that holds the numbers."""
        return self.name.lower()


STORAGES = (Storage("BYTES", "int8_t", 8), Storage("SHORTS", "int16_t", 16), Storage("LONGS", "int32_t", 32))
WORDS = Storage("WORDS", "uint32_t", 0)


def storage_of(numbers: Plain) -> Storage:
    """Give how numbers of a manifest are stored."""
    if numbers["kind"] == "binary32":
        return WORDS
    bits = bits_for(numbers["low"], numbers["high"])
    return next(storage for storage in STORAGES if bits <= storage.bits)


@dataclass(frozen=True)
class Blob:
    """A value in memory.

    Parameters
    ----------
    value : mapping
        As the manifest has it.
    storage : Storage
    offset : int
        Where it starts in its storage's array, numbers.
    count : int
        How many numbers it has.
    """

    value: Plain
    storage: Storage
    offset: int
    count: int


@dataclass(frozen=True)
class Memory:
    """All values in memory.

    Parameters
    ----------
    blobs : mapping of str to Blob
        By the value's name.
    sizes : mapping of Storage to int
        Numbers in each array that there is.
    """

    blobs: Mapping[str, Blob]
    sizes: Mapping[Storage, int]

    @property
    def bytes(self) -> int:
        """What all arrays take."""
        return sum(size * (storage.bits or 32) // 8 for storage, size in self.sizes.items())


def lay_out(operations: Sequence[Plain]) -> Memory:
    """Place every value at the lowest free place of its array for as long as it is needed."""
    last: dict[str, int] = {}
    for index, operation in enumerate(operations):
        read = [operation["input"]] if operation["kind"] == "output" else operation["inputs"]
        last |= dict.fromkeys(read, index)
    blobs: dict[str, Blob] = {}
    sizes: dict[Storage, int] = {}
    living: list[tuple[Blob, int]] = []
    for index, operation in enumerate(operations):
        if operation["kind"] == "output":
            continue
        value = operation["output"]
        count = math.prod(value["shape"])
        # Its inputs live until it is made: nothing is written where it is still read.
        living = [(blob, end) for blob, end in living if end >= index]
        storage = storage_of(value["numbers"])
        offset = 0
        for blob in sorted((b for b, _ in living if b.storage == storage), key=lambda b: b.offset):
            if blob.offset - offset >= count:
                break
            offset = max(offset, blob.offset + blob.count)
        placed = Blob(value, storage, offset, count)
        blobs[value["name"]] = placed
        living.append((placed, last[value["name"]]))
        sizes[storage] = max(sizes.get(storage, 0), offset + count)
    return Memory(blobs, sizes)
