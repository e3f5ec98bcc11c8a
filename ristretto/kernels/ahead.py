"""Everything that is compiled by itself, and what of it is cached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ristretto.kernels import (
    descent,
    histogram,
    minifloat,
    normalize,
    program,
    softmax,
    trim,
)
from ristretto.kernels.jit import cache_folder, is_cached
from ristretto.kernels.job import RUN
from ristretto.kernels.power import power_float32, power_float64

CACHED_FILES = ("*.nbi", "*.nbc")
"""numba's index files, and the compiled code."""


class Unit(Protocol):
    """What is compiled by itself."""

    @property
    def is_cached(self) -> bool:
        """Whether it lies in the cache, compiled for this state of the kernels and this processor."""

    def load(self) -> None:
        """Load it from the cache, or compile it."""


@dataclass(frozen=True, eq=False)
class Call:
    """A kernel, and arguments of the types that the package gives it; their numbers do not matter."""

    kernel: Callable[..., Any]
    arguments: tuple[Any, ...]

    @property
    def is_cached(self) -> bool:
        """Whether the kernel is cached for such arguments."""
        return is_cached(self.kernel, self.arguments)

    def load(self) -> None:
        """Call the kernel, which loads or compiles it."""
        self.kernel(*self.arguments)


def units() -> tuple[Unit, ...]:
    """Give everything that is compiled by itself, kinds of jobs first: they take longest."""
    return (*program.KINDS, *_calls())


def _calls() -> Iterator[Call]:
    single, double, codes = np.zeros(1, np.float32), np.zeros(1, np.float64), np.zeros(1, np.int32)
    # Weights are read-only, which is another type to numba.
    weights = single.copy()
    weights.flags.writeable = False
    yield Call(program.run, (np.zeros((0, 4), np.int64), np.zeros(1, RUN)))
    for x in (single, weights, double):
        yield Call(trim.trim, (x, single, -1.0, 1.0, 0, False))
        yield Call(minifloat.trim_minifloat, (x, single, 3, 4, False, False))
    for x in (single, weights, double):
        for kind in (np.int8, np.int16, np.int32):
            yield Call(trim.encode, (x, np.zeros(1, kind), -1, 1, 0, False))
    for x in (single, weights):
        yield Call(minifloat.encode_minifloat, (x, codes, 3, 4))
        yield Call(minifloat.encode_power_of_two, (x, np.zeros(1, np.int16), -8, -1))
    yield Call(minifloat.decode_minifloat, (codes, single, 3, 4))
    yield Call(power_float32, (single, single, np.float32(1)))
    yield Call(power_float64, (double, double, 1.0))
    yield Call(histogram.count, (single, 1.0, np.zeros(3, np.int64)))
    square = np.zeros((1, 1))
    for rows in (square.astype(np.float32), square):
        yield Call(softmax.softmax, (rows, rows))
        yield Call(normalize.normalize, (rows, 1.0, rows[0], rows))
    yield Call(descent.multiply, (square, square, square))
    yield Call(descent.descend, (square, square, square, -1.0, 1.0, 1))


@dataclass(frozen=True)
class CacheState:
    """What of the kernels is cached.

    Parameters
    ----------
    folder : Path or None
        None where numba finds none that can be written to: every process compiles for itself then.
    wanted, compiled : int
        Kernels, each counted once for each type of its arguments; and those that are there for this state of the
        package on this processor.
    files, size : int
        All of numba's files in the folder, those of other states included; bytes.
    """

    folder: Path | None
    wanted: int
    compiled: int
    files: int
    size: int

    @property
    def complete(self) -> bool:
        """Whether the next process compiles nothing."""
        return self.compiled == self.wanted


def cache_state() -> CacheState:
    """Look at the cache of this process; nothing is compiled."""
    wanted = units()
    compiled = sum(unit.is_cached for unit in wanted)
    folder = cache_folder()
    sizes = [path.stat().st_size for pattern in CACHED_FILES for path in folder.glob(pattern)] if folder else []
    return CacheState(folder, len(wanted), compiled, len(sizes), sum(sizes))
