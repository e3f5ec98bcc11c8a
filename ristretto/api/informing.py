"""The verb `info`."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from ristretto import __version__
from ristretto.api.watch import Silent, Watcher
from ristretto.errors import RistrettoError
from ristretto.execute import default_threads
from ristretto.kernels.ahead import CacheState, cache_state, units
from ristretto.kernels.cpu import TIER, TIERS, VARIABLE, Tier, features
from ristretto.kernels.loading import announced

LIBRARIES = ("numpy", "numba", "onnxruntime")
"""Those whose version may show in a result or in its speed."""


@dataclass(frozen=True)
class TierRow:
    """A tier as `info` lists it.

    Parameters
    ----------
    name : str
    bits : int
        The width of a vector.
    needs, lacks : tuple of str
        Features of the processor, by LLVM's names: all that the tier uses, and those that this machine has not.
    """

    name: str
    bits: int
    needs: tuple[str, ...]
    lacks: tuple[str, ...]

    @property
    def runs(self) -> bool:
        """Whether this machine runs it."""
        return not self.lacks


@dataclass(frozen=True)
class Info:
    """What `info` gives.

    Parameters
    ----------
    versions : mapping of str to str
        Of this package, of Python and of libraries.
    tier : str
        The tier that the kernels of this process use.
    forced : bool
        Whether the environment has chosen it; else it is the fastest that this machine runs.
    tiers : tuple of TierRow
        Every tier, fastest first.
    threads : int
        How many a command uses by default.
    cache : CacheState
    """

    versions: Mapping[str, str]
    tier: str
    forced: bool
    tiers: tuple[TierRow, ...]
    threads: int
    cache: CacheState


def info(*, compile: bool = False, watcher: Watcher | None = None) -> Info:
    """Tell of this installation: versions, the kernels' tier, threads, and what of the kernels is cached.

    Parameters
    ----------
    compile : bool
        Whether every kernel that is not cached is compiled first.
    watcher : Watcher or None
        Told of progress.

    Raises
    ------
    RistrettoError
        When kernels are to be compiled, and numba finds no folder to keep them in.
    """
    if compile:
        _compile(watcher or Silent())
    versions = {"ristretto": __version__, "python": platform.python_version()}
    versions |= {library: _version(library) for library in LIBRARIES}
    present = features()
    return Info(
        versions=versions,
        tier=TIER.name,
        forced=bool(os.environ.get(VARIABLE)),
        tiers=tuple(_row(tier, present) for tier in TIERS),
        threads=default_threads(),
        cache=cache_state(),
    )


def _compile(watcher: Watcher) -> None:
    if cache_state().folder is None:
        raise RistrettoError(
            "compiled kernels cannot be kept: numba finds no folder to write them to",
            hint="set NUMBA_CACHE_DIR to a folder that can be written to",
        )
    wanted = units()
    missing = [number for number, unit in enumerate(wanted) if not unit.is_cached]
    with watcher.stage("compiling kernels", len(wanted)) as advance:
        for _ in announced(missing):
            advance()
        for number in {*range(len(wanted))}.difference(missing):
            wanted[number].load()
            advance()


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        # onnxruntime has builds under other names.
        return "unknown"


def _row(tier: Tier, present: frozenset[str]) -> TierRow:
    return TierRow(tier.name, tier.registers, tier.needs, tuple(need for need in tier.needs if need not in present))
