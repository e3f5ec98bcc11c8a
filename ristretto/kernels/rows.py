"""Rows of real numbers: what every kernel but multiplication and maximum computes on.

A blob is stored as bytes (codes of up to 8 bits, plus the tier's offset), as int16 codes or as float32; pixel by pixel,
a pixel's channels side by side. A kernel loads a row of it as float32, which holds every code of up to 16 bits exactly,
computes, and stores the row trimmed. So each computation is written once, and is that of the layer's own forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import carray
from numba.core import cgutils
from numpy.typing import NDArray

from ristretto.kernels.cpu import TIER
from ristretto.kernels.jit import inner
from ristretto.kernels.memory import bits_of, floats_at
from ristretto.kernels.multiply import NAN_FLAG, SCRATCH
from ristretto.kernels.vector import (
    F32,
    I8,
    I16,
    I32,
    I64,
    clamped,
    each,
    family,
    filled,
    in_steps,
    load,
    routine,
    splat,
    store,
    vector,
)

BYTES, SHORTS, REALS = 0, 1, 2
"""How numbers are stored."""
SIZES = (1, 2, 4)
"""Bytes of each."""
STORED = (I8, I16, F32)
"""LLVM's types of each."""

OFFSET = TIER.offset
ZERO = np.float32(0)
MOST_AT_A_TIME = 2048
"""Numbers in a row of scratch that is gone through several times: 8 KiB, of which three rows fit the first cache."""

VIEW = np.dtype(
    [
        # Bytes within the arena: the first number, and the distances between pictures, lines and pixels.
        *((name, np.int64) for name in ("start", "image", "line", "pixel", "storage")),
        ("step", np.float32),
    ],
    align=True,
)
"""Where a blob stands, and what one step of its codes is in real units."""

TRIM = np.dtype(
    [
        *((name, np.int64) for name in ("active", "half_even", "bounded")),
        *((name, np.float32) for name in ("scale", "step", "low", "high")),
    ],
    align=True,
)
"""What is done to a row before it is stored: a trim to ``k * step``, ``low <= k <= high``; or, where that is not
active, perhaps a clamp between `low` and `high` in real units."""

Row = NDArray[np.float32]
ROWS = 4
"""Rows of scratch that a job may use, behind the scratch of `multiply`."""


@inner
def scratch_row(run: Any, number: int) -> Row:
    """Give a row of scratch."""
    size = run.row_size
    row: Row = carray(floats_at(run.arena + SCRATCH + 4 * number * size), (size,))
    return row


@inner
def place(view: Any, image: int, line: int, pixel: int) -> int:
    """Give where a pixel's channels start, bytes."""
    start: int = view.start + image * view.image + line * view.line + pixel * view.pixel
    return start


def _real(b: ir.IRBuilder, bits: ir.Value, lanes: int) -> ir.Value:
    """Give a vector that holds the float32 whose bits an operand is."""
    return splat(b, b.bitcast(b.trunc(bits, I32), F32), lanes)


def _emit_load(b: ir.IRBuilder, operands: Sequence[ir.Value], *, storage: int) -> None:
    """Write the routine that loads numbers in real units: source, row, count, bits of the step."""
    source, row, count, step = operands

    def body(first: ir.Value, lanes: int) -> None:
        x = load(b, b.add(source, b.mul(first, I64(SIZES[storage]))), vector(STORED[storage], lanes))
        if storage != REALS:
            signed = storage == SHORTS or not OFFSET
            x = (b.sitofp if signed else b.uitofp)(x, vector(F32, lanes))
            x = b.fsub(x, filled(F32, lanes, float(OFFSET))) if storage == BYTES else x
            x = b.fmul(x, _real(b, step, lanes))
        store(b, x, b.add(row, b.mul(first, I64(4))))

    each(b, count, body, TIER.lanes)


def _emit_trim(b: ir.IRBuilder, operands: Sequence[ir.Value], *, half_even: bool) -> None:
    """Write the routine that trims numbers to codes, or by a step back to real units.

    Its operands are: row, count, the bits of scale, step, low and high; whether codes are wanted; and the address of a
    word that is set where a number is NaN and should be a code.
    """
    row, count, scale, step, low, high, coded, flag = operands
    # In a register until the end: a word in memory would be waited for at every vector.
    seen = cgutils.alloca_once_value(b, ir.Constant(ir.IntType(1), 0))

    def body(first: ir.Value, lanes: int) -> None:
        kind = vector(F32, lanes)
        address = b.add(row, b.mul(first, I64(4)))
        ends = _real(b, low, lanes), _real(b, high, lanes)
        x = in_steps(b, load(b, address, kind), _real(b, scale, lanes), *ends, half_even=half_even)
        with b.if_else(b.icmp_signed("!=", coded, I64(0))) as (codes, reals):
            with codes:
                missing = b.bitcast(b.fcmp_unordered("uno", x, x), ir.IntType(lanes))
                some = b.icmp_unsigned("!=", missing, missing.type(0))
                b.store(b.or_(b.load(seen), some), seen)
                store(b, x, address)
            with reals:
                # There is one zero, as among the codes.
                store(b, b.fadd(b.fmul(x, _real(b, step, lanes)), filled(F32, lanes, 0.0)), address)

    each(b, count, body, TIER.lanes)
    with b.if_then(b.load(seen)):
        b.store(I64(1), b.inttoptr(flag, I64.as_pointer()))


def _emit_clamp(b: ir.IRBuilder, operands: Sequence[ir.Value]) -> None:
    """Write the routine that brings numbers between two ends: row, count, the bits of the ends."""
    row, count, low, high = operands

    def body(first: ir.Value, lanes: int) -> None:
        address = b.add(row, b.mul(first, I64(4)))
        x = load(b, address, vector(F32, lanes))
        store(b, clamped(b, x, _real(b, low, lanes), _real(b, high, lanes)), address)

    each(b, count, body, TIER.lanes)


def _emit_store(b: ir.IRBuilder, operands: Sequence[ir.Value], *, storage: int) -> None:
    """Write the routine that stores a row as it is: row, target, count."""
    row, target, count = operands

    def body(first: ir.Value, lanes: int) -> None:
        x = load(b, b.add(row, b.mul(first, I64(4))), vector(F32, lanes))
        if storage != REALS:
            # NaN has no code: whatever stands here then, the run is refused.
            x = b.fptosi(x, vector(I32, lanes))
            x = b.add(x, filled(I32, lanes, OFFSET)) if storage == BYTES else x
            x = b.trunc(x, vector(STORED[storage], lanes))
        store(b, x, b.add(target, b.mul(first, I64(SIZES[storage]))))

    each(b, count, body, TIER.lanes)


STORAGES = (BYTES, SHORTS, REALS)
load_row = family("load", {storage: partial(_emit_load, storage=storage) for storage in STORAGES})
store_row = family("store", {storage: partial(_emit_store, storage=storage) for storage in STORAGES})
trim_row = family("trim", {half_even: partial(_emit_trim, half_even=bool(half_even)) for half_even in (0, 1)})
clamp_row = routine("clamp", _emit_clamp)


@inner
def load_line(
    arena: int, view: Any, image: int, line: int, row: Row, channels: int, pixels: int, first: int = 0
) -> None:
    """Load pixels of a line in real units, from the `first` one on, a pixel's channels side by side."""
    start, step = arena + place(view, image, line, first), np.int64(bits_of(view.step))
    to = row.ctypes.data
    if view.pixel == channels << view.storage:
        load_row(view.storage, start, to, channels * pixels, step)
    else:
        for pixel in range(pixels):
            load_row(view.storage, start + pixel * view.pixel, to + 4 * pixel * channels, channels, step)


@inner
def store_line(
    arena: int, view: Any, trim: Any, image: int, line: int, row: Row, channels: int, pixels: int, first: int = 0
) -> None:
    """Trim pixels of a line and store them, from the `first` one on; `row` is overwritten.

    Where a number is NaN and has no code to be stored as, the word at `NAN_FLAG` is set.
    """
    start, begin, count = arena + place(view, image, line, first), row.ctypes.data, channels * pixels
    low, high = np.int64(bits_of(trim.low)), np.int64(bits_of(trim.high))
    if trim.active:
        scale, step = np.int64(bits_of(trim.scale)), np.int64(bits_of(trim.step))
        trim_row(trim.half_even, begin, count, scale, step, low, high, view.storage != REALS, arena + NAN_FLAG)
    elif trim.bounded:
        clamp_row(begin, count, low, high)
    if view.pixel == channels << view.storage:
        store_row(view.storage, begin, start, count)
    else:
        for pixel in range(pixels):
            store_row(view.storage, begin + 4 * pixel * channels, start + pixel * view.pixel, channels)


@inner
def pixels_at_a_time(channels: int) -> int:
    """Give how many pixels a kernel does in one go, so that its rows stay in the first cache."""
    return max(1, MOST_AT_A_TIME // channels)
