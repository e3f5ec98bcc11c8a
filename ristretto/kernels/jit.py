"""The one place that sets numba's flags, and that says when compiled code is stale.

``fastmath`` stays off: it would let sums be reordered and NaN be assumed away, and every kernel here promises the
same bits on every machine. ``nogil`` lets Python threads run kernels side by side.

Compiled code is cached beside the source, so that only the first process on a machine compiles. numba looks at the
file that a kernel stands in and at the processor; the code that kernels share, the tier and numba's own version are
part of the key here, too. Processes that compile at once each write a file of their own and rename it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, ParamSpec, TypeVar, cast

import llvmlite
import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.ccallback import CFunc
from numba.core.registry import cpu_target

from ristretto.kernels.cpu import TIER

P = ParamSpec("P")
R = TypeVar("R")

OPTIONS = {"nogil": True, "error_model": "numpy", "boundscheck": False}

ENTRIES: list[Any] = []
"""Every kernel that is compiled by itself, in the order of the imports."""


def _stamp() -> str:
    """Give what tells one state of the kernels from another."""
    digest = hashlib.sha256(f"{TIER} {numba.__version__} {llvmlite.__version__}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


STAMP = _stamp()


class StampedCache(FunctionCache):  # type: ignore[misc]  # numba has no types
    """numba's cache of one function, in files of its own for each signature, state of the kernels and processor.

    numba would keep all of them in one index, where two processes that save different ones at the same moment could
    each take the other's code for its own.
    """

    def file_of(self, signature: Any) -> IndexDataCacheFile:
        """Give the index of a signature, and the one file of code that it leads to."""
        processor = repr(cpu_target.target_context.codegen().magic_tuple())
        state = hashlib.sha256(f"{STAMP} {processor} {signature}".encode()).hexdigest()[:16]
        return IndexDataCacheFile(
            cache_path=self._cache_path,
            filename_base=f"{self._impl.filename_base}-{state}",
            source_stamp=self._impl.locator.get_source_stamp(),
        )

    def _load_overload(self, signature: Any, target_context: Any) -> Any:
        self._cache_file = self.file_of(signature)
        return super()._load_overload(signature, target_context)

    def _save_overload(self, signature: Any, data: Any) -> None:
        self._cache_file = self.file_of(signature)
        super()._save_overload(signature, data)

    def _index_key(self, signature: Any, codegen: Any) -> Any:
        return (*super()._index_key(signature, codegen), STAMP)


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of arrays and numbers; calling it looks the same as before."""
    compiled = _compiled(function)
    _keep(compiled, function)
    return cast(Callable[P, R], compiled)


class Callback:
    """A function that kernels call by its address; it is compiled when the address is asked for.

    Parameters
    ----------
    function : callable
    signature : numba Signature
    """

    def __init__(self, function: Callable[..., Any], signature: Any) -> None:
        self.__doc__ = function.__doc__
        self.signature = signature
        self._lock = Lock()
        self._compiled: Any = CFunc(
            function, (signature.args, signature.return_type), {}, {"nopython": True, **OPTIONS}
        )
        _keep(self._compiled, function)

    @property
    def address(self) -> int:
        """Where it begins in this process."""
        self.load()
        address: int = self._compiled.address
        return address

    def load(self) -> None:
        """Load it from the cache, or compile it."""
        with self._lock:
            if not self.is_loaded:
                self._compiled.compile()

    @property
    def is_loaded(self) -> bool:
        """Whether it lies in memory."""
        loaded: bool = self._compiled.address is not None
        return loaded

    @property
    def is_cached(self) -> bool:
        """Whether it lies in the cache, compiled for this state of the kernels and this processor."""
        return _is_kept(self._compiled, self.signature)


def inner(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that only kernels call: it becomes a part of theirs and is not cached by itself."""
    return cast(Callable[P, R], _compiled(function, no_cpython_wrapper=True, no_cfunc_wrapper=True))


def _compiled(function: Callable[P, R], **options: bool) -> Any:
    return numba.njit(**OPTIONS, **options)(function)


def _keep(compiled: Any, function: Callable[..., Any]) -> None:
    """Have compiled code cached."""
    try:
        compiled._cache = StampedCache(function)
    except RuntimeError:
        # numba finds no folder to cache in: a read-only system without a home. Every process compiles for itself then.
        pass
    else:
        ENTRIES.append(compiled)


def cache_folder() -> Path | None:
    """Give the folder of compiled kernels; None where numba finds none that can be written to."""
    return Path(ENTRIES[0]._cache.cache_path) if ENTRIES else None


def is_cached(function: Callable[..., Any], arguments: tuple[Any, ...]) -> bool:
    """Whether a kernel lies in the cache, compiled for this state of the kernels, this processor and such arguments."""
    compiled: Any = function
    return _is_kept(compiled, tuple(compiled.typeof_pyval(argument) for argument in arguments))


def _is_kept(compiled: Any, signature: Any) -> bool:
    if not any(entry is compiled for entry in ENTRIES):
        return False
    key = compiled._cache._index_key(signature, cpu_target.target_context.codegen())
    name = compiled._cache.file_of(signature)._load_index().get(key)
    # numba writes the index first: a process that was killed between may have left out the code.
    return name is not None and Path(compiled._cache.cache_path, name).is_file()
