"""Kinds of jobs as a program wants them: loaded from the cache or compiled, which is said, as it takes a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock

from ristretto.kernels.cpu import TIER
from ristretto.kernels.helper import compiled
from ristretto.kernels.jit import cache_folder
from ristretto.kernels.job import JobKind
from ristretto.kernels.program import KINDS

SECONDS = 10
"""What all kinds take together, on two cores of today."""

Say = Callable[[str], None]
_told: list[Say] = []
_lock = Lock()


@contextmanager
def announced_compilation(say: Say) -> Iterator[None]:
    """Have it said when this process must wait for kinds of jobs to be compiled, and when they are.

    Parameters
    ----------
    say : callable
        Given a line of text, perhaps from another thread. It is not called where the kernels are cached.
    """
    _told.append(say)
    try:
        yield
    finally:
        _told.remove(say)


def addresses(kinds: Iterable[JobKind]) -> dict[JobKind, int]:
    """Give where kinds of jobs begin in this process; those that are neither loaded nor cached are compiled."""
    # Kinds come first among the units, so their numbers are the same.
    wanted = {KINDS.index(kind): kind for kind in kinds}
    with _lock:
        missing = [number for number, kind in sorted(wanted.items()) if not (kind.is_loaded or kind.is_cached)]
        for _ in announced(missing):
            pass
    return {kind: kind.address for kind in wanted.values()}


def announced(numbers: Sequence[int]) -> Iterator[int]:
    """Compile units as `compiled` does, and have it said before and after."""
    if not numbers:
        return
    begun = time.perf_counter()
    once = "once per machine and version" if cache_folder() else "each time: set NUMBA_CACHE_DIR to a folder"
    _say(f"compiling the kernels for {TIER.name} (up to about {SECONDS} s, {once}) ...")
    yield from compiled(numbers)
    _say(f"compiled the kernels in {time.perf_counter() - begun:.1f} s")


def _say(line: str) -> None:
    for say in tuple(_told):
        say(line)
