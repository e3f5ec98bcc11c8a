"""Jobs: what a program does one after the other, each kind of which is compiled by itself.

A job is a record. What runs it is compiled to a function that is called by its address, so that a program names its
kinds as data: none of them is compiled before a program wants it, and none is compiled again as a part of others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.ir as ir
import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

from ristretto.kernels.jit import Callback
from ristretto.kernels.vector import I8, I64

RUN = np.dtype([(name, np.int64) for name in ("arena", "row_size", "outside", "first", "count")])
"""What the jobs of a run share: the address of the arena, numbers in a row of scratch, the address of an int64 array of
the addresses of the arrays outside (float32), and the first picture and how many there are."""


class JobKind(Callback):
    """A kind of job.

    Parameters
    ----------
    function : callable
        Given a job, a `RUN`, and the picture's number among those in the arena.
    record : numpy dtype
        What a job of this kind is told.
    """

    def __init__(self, function: Callable[[Any, Any, int], None], record: np.dtype[np.void]) -> None:
        super().__init__(function, types.void(numba.from_dtype(record), numba.from_dtype(RUN), types.int64))
        self.record = record


def job_of(record: np.dtype[np.void]) -> Callable[[Callable[[Any, Any, int], None]], JobKind]:
    """Make a kind of job of a function, see `JobKind`."""
    return lambda function: JobKind(function, record)


@intrinsic  # type: ignore[untyped-decorator]  # numba has no types
def call_job(context: Any, kind: Any, job: Any, run: Any, image: Any) -> Any:
    """Run a job on one picture; a kind's address, and those of a job and of a `RUN`."""
    record = I8.as_pointer()

    def generate(context: Any, b: ir.IRBuilder, _: Any, values: Sequence[ir.Value]) -> Any:
        kind, job, run, image = values
        called = ir.FunctionType(record, [record, record, I64]).as_pointer()
        b.call(b.inttoptr(kind, called), [b.inttoptr(job, record), b.inttoptr(run, record), image])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), generate
