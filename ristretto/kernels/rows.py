"""Rows of real numbers: what every kernel but multiplication and maximum computes on.

A blob is stored as bytes (codes of up to 8 bits, plus the tier's offset), as int16 codes or as float32; pixel by pixel,
a pixel's channels side by side. A kernel loads a row of it as float32, which holds every code of up to 16 bits exactly,
computes, and stores the row trimmed. So each computation is written once, and is that of the layer's own forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
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


def _emit_load(b: ir.IRBuilder, operands: Sequence[ir.Value], *, storage: int, added: bool) -> None:
    """Write the routine that loads numbers in real units, or adds them to a row: source, row, count, bits of a step."""
    source, row, count, step = operands

    def body(first: ir.Value, lanes: int) -> None:
        x = load(b, b.add(source, b.mul(first, I64(SIZES[storage]))), vector(STORED[storage], lanes))
        if storage != REALS:
            signed = storage == SHORTS or not OFFSET
            x = (b.sitofp if signed else b.uitofp)(x, vector(F32, lanes))
            x = b.fsub(x, filled(F32, lanes, float(OFFSET))) if storage == BYTES else x
            x = b.fmul(x, _real(b, step, lanes))
        address = b.add(row, b.mul(first, I64(4)))
        store(b, b.fadd(load(b, address, x.type), x) if added else x, address)

    each(b, count, body, TIER.lanes)


class Ending(IntEnum):
    """What is done to real numbers when they are stored."""

    NONE = 0
    CLAMP = 1
    TRIM = 2
    """Halves go away from zero."""
    TRIM_HALF_EVEN = 3


def _emit_store(b: ir.IRBuilder, operands: Sequence[ir.Value], *, storage: int, ending: Ending) -> None:
    """Write the routine that stores a row.

    Its operands are: row, target, count, the bits of scale, step, low and high; and the address of a word that is set
    where a number is NaN and should be a code.
    """
    row, target, count, scale, step, low, high, flag = operands
    coded, trims = storage != REALS, ending >= Ending.TRIM
    # In a register until the end: a word in memory would be waited for at every vector.
    seen = cgutils.alloca_once_value(b, ir.Constant(ir.IntType(1), 0))

    def body(first: ir.Value, lanes: int) -> None:
        x = load(b, b.add(row, b.mul(first, I64(4))), vector(F32, lanes))
        ends = _real(b, low, lanes), _real(b, high, lanes)
        if trims:
            x = in_steps(b, x, _real(b, scale, lanes), *ends, half_even=ending is Ending.TRIM_HALF_EVEN)
        elif ending is Ending.CLAMP:
            x = clamped(b, x, *ends)
        if coded:
            missing = b.bitcast(b.fcmp_unordered("uno", x, x), ir.IntType(lanes))
            b.store(b.or_(b.load(seen), b.icmp_unsigned("!=", missing, missing.type(0))), seen)
            # NaN has no code: whatever stands here then, the run is refused.
            x = b.fptosi(x, vector(I32, lanes))
            x = b.add(x, filled(I32, lanes, OFFSET)) if storage == BYTES else x
            x = b.trunc(x, vector(STORED[storage], lanes))
        elif trims:
            # There is one zero, as among the codes.
            x = b.fadd(b.fmul(x, _real(b, step, lanes)), filled(F32, lanes, 0.0))
        store(b, x, b.add(target, b.mul(first, I64(SIZES[storage]))))

    each(b, count, body, TIER.lanes)
    with b.if_then(b.load(seen)):
        b.store(I64(1), b.inttoptr(flag, I64.as_pointer()))


STORAGES = (BYTES, SHORTS, REALS)
LOADS, STORES = 2, len(Ending)
"""Routines of a storage."""
load_row = family(
    "load",
    {
        LOADS * storage + added: partial(_emit_load, storage=storage, added=bool(added))
        for storage in STORAGES
        for added in range(LOADS)
    },
)
store_row = family(
    "store",
    {
        STORES * storage + ending: partial(_emit_store, storage=storage, ending=ending)
        for storage in STORAGES
        for ending in Ending
        # Codes are always trimmed.
        if storage == REALS or ending >= Ending.TRIM
    },
)


@inner
def load_line(
    arena: int,
    view: Any,
    image: int,
    line: int,
    row: Row,
    channels: int,
    pixels: int,
    first: int = 0,
    added: bool = False,
) -> None:
    """Load pixels of a line in real units, from the `first` one on, a pixel's channels side by side.

    They may be `added` to what stands in the row.
    """
    start, step = arena + place(view, image, line, first), np.int64(bits_of(view.step))
    to, which = row.ctypes.data, LOADS * view.storage + added
    if view.pixel == channels << view.storage:
        load_row(which, start, to, channels * pixels, step)
    else:
        for pixel in range(pixels):
            load_row(which, start + pixel * view.pixel, to + 4 * pixel * channels, channels, step)


@inner
def store_line(
    arena: int, view: Any, trim: Any, image: int, line: int, row: Row, channels: int, pixels: int, first: int = 0
) -> None:
    """Trim pixels of a line and store them, from the `first` one on.

    Where a number is NaN and has no code to be stored as, the word at `NAN_FLAG` is set.
    """
    start, begin, flag = arena + place(view, image, line, first), row.ctypes.data, arena + NAN_FLAG
    which = STORES * view.storage + (Ending.TRIM + trim.half_even if trim.active else trim.bounded)
    scale, step = np.int64(bits_of(trim.scale)), np.int64(bits_of(trim.step))
    low, high = np.int64(bits_of(trim.low)), np.int64(bits_of(trim.high))
    if view.pixel == channels << view.storage:
        store_row(which, begin, start, channels * pixels, scale, step, low, high, flag)
    else:
        for pixel in range(pixels):
            store_row(
                which, begin + 4 * pixel * channels, start + pixel * view.pixel, channels, scale, step, low, high, flag
            )


@inner
def pixels_at_a_time(channels: int) -> int:
    """Give how many pixels a kernel does in one go, so that its rows stay in the first cache."""
    return max(1, MOST_AT_A_TIME // channels)
