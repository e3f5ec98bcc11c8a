"""Depthwise convolution: every channel has a window of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba.core import cgutils

from ristretto.kernels.cpu import TIER
from ristretto.kernels.epilogue import SPLIT
from ristretto.kernels.finished import codes_in_registers
from ristretto.kernels.jit import inner
from ristretto.kernels.job import job_of
from ristretto.kernels.memory import copy_rows
from ristretto.kernels.multiply import SCRATCH, clear, finish, widen
from ristretto.kernels.rows import ROWS
from ristretto.kernels.tile import WORD, Operand, dot
from ristretto.kernels.vector import F32, I8, I16, I32, I64, family, filled, load, store, vector

LANES = TIER.lanes
USUAL = 3 * 3
"""Places of the window that nearly all nets have. In pairs they are as many as ten, of which one weighs nothing."""
MOST_SHUFFLED = 8
"""Lanes of a vector that two halves fit in, so that shuffling them is fewer steps than shifting."""
BYTES_AT_A_TIME, FEWEST_AT_A_TIME = 4096, 4
"""Bytes of outputs, and pixels at least, that are made together, one vector of channels after the other: with the lines
of their windows they stay in the first cache."""
MOST_AT_A_TIME = 1024
"""Sums that are gone through several times: with those of 64 bits 12 KiB, which stay in the first cache."""

Put = Callable[[Sequence[ir.Value], ir.Value, ir.Value], None]
"""Takes the vectors of sums that make one of outputs, and the numbers of its pixel and of its vector of channels."""


def _emit_sums(b: ir.IRBuilder, operands: Sequence[ir.Value], *, operand: Operand) -> None:
    """Write the routine that makes the sums of some pixels.

    Its operands are: the address of the first pixel's first channel, and the distance between pixels, bytes; the
    addresses of the offsets of the window's places (two for each pair of weights, but for float32) and of the weights,
    ``[pair][channel]`` in words; how many pairs there are; the address of the sums' first values; how many pixels and
    vectors of channels there are; and the address of the sums, pixel by pixel.
    """
    *walk, vectors, sums = operands

    def put(totals: Sequence[ir.Value], pixel: ir.Value, column: ir.Value) -> None:
        place = b.add(b.mul(pixel, vectors), column)
        store(b, totals[0], b.add(sums, b.mul(place, I64(WORD * LANES))))

    _emit_windows(b, [*walk, vectors], operand, put)


def _emit_finished(b: ir.IRBuilder, operands: Sequence[ir.Value], *, operand: Operand) -> None:
    """Write the routine that makes codes of sums while they are in registers, as `finished.emit_finished_tile` does.

    Its operands are those of `_emit_sums` but the last; then the addresses of the ending, of the thresholds and of the
    output's first pixel, and the distance between pixels there, bytes.
    """
    *walk, packed, thresholds, out, distance = operands
    finished, stored = codes_in_registers(b, packed, operand)

    def put(totals: Sequence[ir.Value], pixel: ir.Value, column: ir.Value) -> None:
        address = b.add(b.add(out, b.mul(pixel, distance)), b.mul(column, I64(stored.width // 8 * LANES)))
        store(b, finished(totals, b.add(thresholds, b.mul(column, I64(WORD * LANES)))), address)

    _emit_windows(b, walk, operand, put)


def _emit_windows(b: ir.IRBuilder, operands: Sequence[ir.Value], operand: Operand, put: Put) -> None:
    """Write the loops: vector by vector of channels, whose weights stay in registers, and pixel by pixel.

    The operands are those of `_emit_sums` but the last. Where a channel has several sums, the weights and first values
    of each have a vector of their own, side by side.
    """
    source, distance, offsets, weights, pairs, first, pixels, vectors = operands
    real = operand is Operand.FLOATS
    multiplied, at_once = (Operand.FLOATS, 1) if real else (Operand.PAIRS, 2)
    kind, size = vector(F32 if real else I32, LANES), I64(WORD * LANES)
    stored = vector(F32 if real else ir.IntType(operand.bits), LANES)

    def beside(start: ir.Value, place: ir.Value) -> list[ir.Value]:
        begin = b.add(start, b.mul(b.mul(place, I64(operand.parts)), size))
        return [load(b, b.add(begin, I64(WORD * LANES * part)), kind) for part in range(operand.parts)]

    def weight(pair: ir.Value, column: ir.Value) -> list[ir.Value]:
        return beside(weights, b.add(b.mul(pair, vectors), column))

    def offset(place: ir.Value) -> ir.Value:
        return load(b, b.add(offsets, b.mul(place, I64(8))), I64)

    def grown(
        totals: Sequence[ir.Value], ws: Sequence[ir.Value], here: ir.Value, places: Sequence[ir.Value]
    ) -> list[ir.Value]:
        read = [load(b, b.add(here, place), stored) for place in places]
        x = read[0] if real else _in_pairs(b, *read)
        return [dot(b, TIER, multiplied, total, x, w) for total, w in zip(totals, ws, strict=True)]

    def address(pixel: ir.Value, column: ir.Value) -> ir.Value:
        return b.add(b.add(source, b.mul(pixel, distance)), b.mul(column, I64(operand.bits // 8 * LANES)))

    usual = -(-USUAL // at_once)
    with b.if_else(b.icmp_signed("==", pairs, I64(usual))) as (written_out, looped):
        with written_out:
            # Loaded once: a store within the loops might change them, for all that LLVM knows.
            places = [offset(I64(place)) for place in range(at_once * usual)]
            with cgutils.for_range(b, vectors) as column:
                starts = beside(first, column.index)
                weighing = [weight(I64(pair), column.index) for pair in range(usual)]
                with cgutils.for_range(b, pixels) as pixel:
                    totals, here = starts, address(pixel.index, column.index)
                    for pair, ws in enumerate(weighing):
                        totals = grown(totals, ws, here, places[at_once * pair : at_once * (pair + 1)])
                    put(totals, pixel.index, column.index)
        with looped, cgutils.for_range(b, vectors) as column:
            starts = beside(first, column.index)
            slots = [cgutils.alloca_once(b, kind) for _ in starts]
            with cgutils.for_range(b, pixels) as pixel:
                for start, slot in zip(starts, slots, strict=True):
                    b.store(start, slot)
                here = address(pixel.index, column.index)
                with cgutils.for_range(b, pairs) as pair:
                    begin = b.mul(pair.index, I64(at_once))
                    ends = [offset(b.add(begin, I64(k))) for k in range(at_once)]
                    totals = grown([b.load(slot) for slot in slots], weight(pair.index, column.index), here, ends)
                    for total, slot in zip(totals, slots, strict=True):
                        b.store(total, slot)
                put([b.load(slot) for slot in slots], pixel.index, column.index)


def _in_pairs(b: ir.IRBuilder, low: ir.Value, high: ir.Value) -> ir.Value:
    """Give words of two codes each, of which both inputs have one for each lane: 8 bits, or 16."""
    wide = vector(I32, LANES)
    widen = b.sext if low.type.element == I8 and not TIER.offset else b.zext
    if LANES > MOST_SHUFFLED:
        low, high = (widen(half, wide) for half in (low, high))
        return b.or_(b.and_(low, filled(I32, LANES, 0xFFFF)), b.shl(high, filled(I32, LANES, 16)))
    places = [place for lane in range(LANES) for place in (lane, lane + LANES)]
    mixed = b.shuffle_vector(low, high, ir.Constant(vector(I32, 2 * LANES), places))
    return b.bitcast(widen(mixed, vector(I16, 2 * LANES)) if low.type.element == I8 else mixed, wide)


OPERANDS = (Operand.BYTES, Operand.PAIRS, Operand.FLOATS)
IN_REGISTERS = (Operand.BYTES, Operand.PAIRS, Operand.HALVES)
sum_windows = family("depthwise", {operand.value: partial(_emit_sums, operand=operand) for operand in OPERANDS})
finish_windows = family(
    "finished_depthwise", {operand.value: partial(_emit_finished, operand=operand) for operand in IN_REGISTERS}
)

DEPTHWISE = np.dtype(
    [
        (name, np.int64)
        for name in (
            # As in `multiply.MULTIPLY`; words of weights for pairs of the window's places.
            *("source", "source_image", "source_line", "source_pixel", "lines", "width", "channels"),
            *("operand", "offsets", "pairs", "weights", "low_weights", "first", "bias", "packed", "routine"),
            *("in_registers", "thresholds", "target", "target_image", "target_line", "target_pixel", "size"),
        )
    ]
)
"""A job."""


@job_of(DEPTHWISE)
def depthwise(job: Any, run: Any, image: int) -> None:
    """Run a job on one picture."""
    arena, scratch, room = run.arena, run.arena + SCRATCH, WORD * ROWS * run.row_size
    vectors = -(-job.channels // LANES)
    lanes = vectors * LANES
    # A pixel needs its sums, those of 64 bits where weights are split, and its outputs where they must be cut.
    step = max(1, min(room // (lanes * 16), MOST_AT_A_TIME // lanes, job.width))
    wide = scratch + step * lanes * WORD
    whole_row = scratch + step * lanes * 3 * WORD
    for line in range(job.lines):
        source = arena + job.source + image * job.source_image + line * job.source_line
        target = arena + job.target + image * job.target_image + line * job.target_line
        if job.in_registers:
            _finish_line(job, source, target, vectors)
            continue
        for start in range(0, job.width, step):
            pixels = min(step, job.width - start)
            begin, end = source + start * job.source_pixel, target + start * job.target_pixel
            sums = scratch
            sum_windows(
                job.operand, begin, job.source_pixel, job.offsets, job.weights, job.pairs, job.first, pixels, vectors,
                scratch,
            )  # fmt: skip
            if job.low_weights:
                sums = wide
                clear(wide, pixels * vectors)
                widen(scratch, wide, SPLIT, pixels * vectors)
                sum_windows(
                    job.operand, begin, job.source_pixel, job.offsets, job.low_weights, job.pairs, job.first, pixels,
                    vectors, scratch,
                )  # fmt: skip
                widen(scratch, wide, 0, pixels * vectors)
            if lanes == job.channels:
                finish(job.routine, sums, job.packed, end, job.target_pixel, pixels, vectors, job.bias)
            else:
                row = lanes * job.size
                finish(job.routine, sums, job.packed, whole_row, row, pixels, vectors, job.bias)
                copy_rows(whole_row, row, end, job.target_pixel, pixels, job.channels * job.size)


@inner
def _finish_line(job: Any, source: int, target: int, vectors: int) -> None:
    """Make a line of codes, so many pixels at a time as stay in the first cache with what they are made of."""
    at_a_time = max(FEWEST_AT_A_TIME, BYTES_AT_A_TIME // job.target_pixel)
    for start in range(0, job.width, at_a_time):
        finish_windows(
            job.operand, source + start * job.source_pixel, job.source_pixel, job.offsets, job.weights, job.pairs,
            job.first, min(at_a_time, job.width - start), vectors, job.packed, job.thresholds,
            target + start * job.target_pixel, job.target_pixel,
        )  # fmt: skip
