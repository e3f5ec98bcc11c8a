"""Softmax: exponentials, as shares of their sum; in float64, with the same bits on every tier."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import carray
from numpy.typing import NDArray

from ristretto.kernels.cpu import TIER
from ristretto.kernels.jit import inner, kernel
from ristretto.kernels.job import job_of
from ristretto.kernels.memory import bits_of, doubles_at
from ristretto.kernels.power import power_of_two
from ristretto.kernels.rows import TRIM, VIEW, load_line, scratch_row, store_line
from ristretto.kernels.vector import F32, F64, I64, call, each, family, filled, load, splat, store, suffix, vector

LEAST = -700.0
"""Below it an exponential is taken for zero: the greatest of a softmax is 1, and float32 ends at exp(-104)."""
UPPER, LOWER = float.fromhex("0x1.62e42fefa39efp-6"), float.fromhex("0x1.abc9e3b39803fp-61")
"""``log(2) / STEPS``, and what float64 cuts off of it."""
WHOLE = float.fromhex("0x1.8p+52")
"""Added and taken off again, it rounds a float64 to the nearest integer."""
SERIES = tuple(1 / math.factorial(k) for k in range(7))
"""Of the exponential function around zero: up to half a step, what is left out is 2**-58 of the sum."""


def _emit_exponentials(b: ir.IRBuilder, operands: Sequence[ir.Value], *, real: ir.Type) -> None:
    """Write the routine that gives ``exp(x - top)``, no `x` above `top`: source, target, count, top's bits."""
    source, target, count, top = operands
    size = 8 if real is F64 else 4

    def body(first: ir.Value, lanes: int) -> None:
        doubles = vector(F64, lanes)

        def number(value: float) -> ir.Constant:
            return filled(F64, lanes, value)

        def fma(x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
            return call(b, f"llvm.fma.{suffix(doubles)}", doubles, x, y, z)

        x = load(b, b.add(source, b.mul(first, I64(size))), vector(real, lanes))
        x = b.fsub(x if real is F64 else b.fpext(x, doubles), splat(b, b.bitcast(top, F64), lanes))
        shifted = fma(x, number(1 / UPPER), number(WHOLE))
        steps = b.fsub(shifted, number(WHOLE))
        rest = fma(steps, number(-LOWER), fma(steps, number(-UPPER), x))
        near_one = number(SERIES[-1])
        for term in reversed(SERIES[:-1]):
            near_one = fma(near_one, rest, number(term))
        power = b.fmul(near_one, power_of_two(b, b.bitcast(shifted, vector(I64, lanes))))
        power = b.select(b.fcmp_ordered("<", x, number(LEAST)), number(0.0), power)
        store(b, power, b.add(target, b.mul(first, I64(8))))

    each(b, count, body, TIER.lanes // 2)


exponentials = family(
    "exponentials", {size: partial(_emit_exponentials, real=real) for size, real in ((4, F32), (8, F64))}
)
"""By the bytes of a number."""


@inner
def _softmax_row(x: NDArray[Any], powers: NDArray[np.float64], out: NDArray[Any]) -> None:
    """Give the softmax of a row; `out` may be `x`."""
    top = x[0]
    for number in x:
        # Once it is NaN, nothing is greater.
        if number > top or number != number:
            top = number
    exponentials(x.itemsize, x.ctypes.data, powers.ctypes.data, x.size, bits_of(np.float64(top)))
    total = 0.0
    for i in range(x.size):
        total += powers[i]
    for i in range(x.size):
        out[i] = powers[i] / total


@kernel
def softmax(x: NDArray[Any], out: NDArray[Any]) -> None:
    """Give the softmax of each row of a float32 or float64 array (rows, numbers)."""
    powers = np.empty(x.shape[1])
    for row in range(len(x)):
        _softmax_row(x[row], powers, out[row])


CHANNEL_SOFTMAX = np.dtype(
    [
        ("source", VIEW),
        ("target", VIEW),
        ("trim", TRIM),
        *((name, np.int64) for name in ("lines", "pixels", "channels")),
    ],
    align=True,
)
"""A job."""


@job_of(CHANNEL_SOFTMAX)
def channel_softmax(job: Any, run: Any, image: int) -> None:
    """Give the softmax of each pixel's channels in one picture."""
    arena, row = run.arena, scratch_row(run, 0)
    channels = job.channels
    # Two rows of float32 are one of float64.
    powers = carray(doubles_at(scratch_row(run, 2).ctypes.data), (channels,))
    for line in range(job.lines):
        load_line(arena, job.source, image, line, row, channels, job.pixels)
        for pixel in range(job.pixels):
            numbers = row[pixel * channels : (pixel + 1) * channels]
            _softmax_row(numbers, powers, numbers)
        store_line(arena, job.target, job.trim, image, line, row, channels, job.pixels)
