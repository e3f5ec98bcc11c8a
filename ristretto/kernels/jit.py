"""The one place that sets numba's flags.

``fastmath`` stays off: it would let sums be reordered and NaN be assumed away, and every kernel here promises the
same bits on every machine. ``nogil`` lets Python threads run kernels side by side. Compiled code is cached beside
the source, so that only the first process on a machine compiles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of arrays and numbers; calling it looks the same as before."""
    try:
        compiled = _compiler(cache=True)(function)
    except RuntimeError:
        # numba finds no folder to cache in: a read-only system without a home. Every process compiles for itself then.
        compiled = _compiler(cache=False)(function)
    return cast(Callable[P, R], compiled)


def _compiler(*, cache: bool) -> Callable[[Callable[P, R]], Any]:
    return numba.njit(cache=cache, nogil=True, error_model="numpy", boundscheck=False)
