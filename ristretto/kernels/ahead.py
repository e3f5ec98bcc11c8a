"""Kernels compiled ahead of their first use, what of them is cached, and what is said when they are compiled late."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numba.core import event as events

from ristretto.kernels import (
    descent,
    histogram,
    minifloat,
    program,
    trim,
)
from ristretto.kernels.cpu import TIER
from ristretto.kernels.jit import cache_folder, is_cached
from ristretto.kernels.multiply import SCRATCH
from ristretto.kernels.power import power_float32, power_float64

TABLES = tuple(program.TABLES.values())
"""The records of `program.Jobs`."""

LONGEST: Any = program.run
"""The one kernel that takes more than a moment to compile."""
SECONDS = 15
"""What all kernels take together, on one core of today."""

CACHED_FILES = ("*.nbi", "*.nbc")
"""numba's index files, and the compiled code."""


@dataclass(frozen=True)
class Call:
    """A kernel, and arguments of the types that the package gives it; their numbers do not matter."""

    kernel: Callable[..., Any]
    arguments: tuple[Any, ...]

    def __call__(self) -> None:
        """Call the kernel, which compiles it or loads it from the cache."""
        self.kernel(*self.arguments)


def calls() -> tuple[Call, ...]:
    """Give a call for everything that is compiled by itself."""
    return tuple(_calls())


def _calls() -> Iterator[Call]:
    single, double, codes = np.zeros(1, np.float32), np.zeros(1, np.float64), np.zeros(1, np.int32)
    # Weights are read-only, which is another type to numba.
    weights = single.copy()
    weights.flags.writeable = False
    jobs = tuple(np.zeros(0, record) for record in TABLES)
    arena = np.zeros(SCRATCH, np.uint8)
    yield Call(LONGEST, (np.zeros((0, 4), np.int64), jobs, arena, 0, np.zeros(0, np.int64), 0, 0))
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
    wanted = calls()
    compiled = sum(is_cached(call.kernel, call.arguments) for call in wanted)
    folder = cache_folder()
    sizes = [path.stat().st_size for pattern in CACHED_FILES for path in folder.glob(pattern)] if folder else []
    return CacheState(folder, len(wanted), compiled, len(sizes), sum(sizes))


class _Announcer(events.Listener):  # type: ignore[misc]  # numba has no types
    """Hears when numba compiles something, as opposed to loading it."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.begun = 0.0

    def on_start(self, event: Any) -> None:
        """Announce the one kernel that takes long."""
        if event.data["dispatcher"] is LONGEST:
            self.begun = time.perf_counter()
            once = "once per machine and version" if cache_folder() else "each time: set NUMBA_CACHE_DIR to a folder"
            self.say(f"compiling the kernels for {TIER.name} (about {SECONDS} s, {once}) ...")

    def on_end(self, event: Any) -> None:
        """Say that it is done, unless it was interrupted."""
        if event.data["dispatcher"] is LONGEST and LONGEST.signatures:
            self.say(f"compiled the kernels in {time.perf_counter() - self.begun:.1f} s")


@contextmanager
def announced_compilation(say: Callable[[str], None]) -> Iterator[None]:
    """Have it said when this process must wait for its kernels to be compiled, and when they are.

    Parameters
    ----------
    say : callable
        Given a line of text, perhaps from another thread. It is not called where the kernels are cached.
    """
    with events.install_listener("numba:compile", _Announcer(say)):
        yield
