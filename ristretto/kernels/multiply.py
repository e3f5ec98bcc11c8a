"""Multiply and accumulate: convolution and inner product, from what is stored to what is stored."""

from __future__ import annotations

from typing import Any

import numpy as np

from ristretto.kernels import epilogue, finished, real_epilogue, tile
from ristretto.kernels.cpu import TIER
from ristretto.kernels.epilogue import SPLIT, emit_clearing, emit_widening
from ristretto.kernels.jit import inner
from ristretto.kernels.job import job_of
from ristretto.kernels.memory import copy_rows, integers_at
from ristretto.kernels.tile import TILES_OF_AN_OPERAND, WORD, Operand
from ristretto.kernels.vector import family, routine

multiply_tile = family("tile", tile.tiles())
multiply_and_finish = family("finished_tile", finished.finished_tiles())
finish = family("epilogue", {**epilogue.routines(), **real_epilogue.routines()})
widen, clear = routine("widen", emit_widening), routine("clear", emit_clearing)

FLOATS = Operand.FLOATS.value
HEIGHTS = tuple(height for height, _ in TIER.tiles)
WIDTHS = tuple(vectors for _, vectors in TIER.tiles)
LANES = TIER.lanes
LARGEST = max(height * vectors for height, vectors in TIER.tiles) * LANES
"""Sums in the largest tile."""
NARROW_SUMS, WIDE_SUMS, WHOLE_ROW, NAN_FLAG = 0, 4 * LARGEST, 12 * LARGEST, 16 * LARGEST
SCRATCH = NAN_FLAG + 64
"""Bytes that every run needs for itself, and where its parts start: int32 sums, int64 sums, a tile's output, and a word
that is set where a NaN has no code."""

MULTIPLY = np.dtype(
    [
        (name, np.int64)
        for name in (
            # Where the inputs stand, bytes within the arena: the first one, and the distances between pictures, lines
            # of outputs and outputs in a line.
            *("source", "source_image", "source_line", "source_pixel"),
            # How many outputs there are: pictures side by side make one line (`across`), else each has its lines.
            *("across", "lines", "width", "lines_at_a_time"),
            # The walk of one sum: addresses and counts (see `tile`), and how many runs int32 holds.
            *("operand", "offsets", "runs", "words", "runs_at_a_time"),
            # For each line of outputs the first run, how many runs, and where its first values stand (address).
            "lines_met",
            # Packed weights: address, bytes of a panel, panels, vectors of sums and lanes of outputs in one. In the
            # second half of the sum, `low_weights`, if any, are the lower eight bits of the same weights.
            *("weights", "low_weights", "panel", "panels", "vectors", "lanes", "outputs"),
            # The sums' first values, a bias of 64 bits, how sums become outputs (addresses), and by which routine; or
            # whether they do while they are in registers, and the address of the thresholds then.
            *("first", "bias", "wide", "packed", "routine", "in_registers", "thresholds"),
            # Where the outputs go: bytes within the arena, bytes of one number.
            *("target", "target_image", "target_line", "target_pixel", "size"),
        )
    ]
)
"""A job."""


@inner
def choose_tile(width: int, vectors: int) -> int:
    """Give the tile that covers a line with the least work; the last one of a line may overlap the one before."""
    best, least = -1, 0
    for index in range(len(HEIGHTS)):
        height = HEIGHTS[index]
        if WIDTHS[index] == vectors and height <= width:
            # A tile costs its pixels, and about one more for its start and end.
            work = -(-width // height) * (height + 1)
            if best < 0 or work < least:
                best, least = index, work
    return best


@job_of(MULTIPLY)
def multiply(job: Any, run: Any, image: int) -> None:
    """Run a job on one picture, or where it goes `across` on all pictures at once."""
    arena = run.arena
    # Read once: the routines called below could change any memory, for all that the compiler knows.
    source, target, width = arena + job.source, arena + job.target, job.width
    source_line, source_pixel, target_line, target_pixel = (
        job.source_line,
        job.source_pixel,
        job.target_line,
        job.target_pixel,
    )
    words, wide, met = job.words, job.wide, integers_at(job.lines_met)
    packed, finishing, size, vectors, lines = job.packed, job.routine, job.size, job.vectors, job.lines
    if job.across:
        width = run.count
    else:
        source += image * job.source_image
        target += image * job.target_image
    index = choose_tile(width, vectors)
    height = HEIGHTS[index]
    which = job.operand * TILES_OF_AN_OPERAND + index
    lanes, first_sums = job.lanes, vectors * LANES * WORD
    row = lanes * size
    whole_row, in_registers = arena + WHOLE_ROW, job.in_registers
    sums, bias, real = arena + (WIDE_SUMS if wide else NARROW_SUMS), 0, job.operand == FLOATS
    for top in range(0, lines, job.lines_at_a_time):
        bottom = min(top + job.lines_at_a_time, lines)
        for panel in range(job.panels):
            outputs = min(lanes, job.outputs - panel * lanes)
            all_first, all_weights = job.first + panel * first_sums, job.weights + panel * job.panel
            thresholds = job.thresholds + panel * lanes * WORD
            # The next panel, which the first tile has fetched; 0 where that is done, or there is none.
            ahead = job.panel if panel + 1 < job.panels else 0
            if wide:
                bias = job.bias + panel * lanes * 8
            for line in range(top, bottom):
                begun, runs, first = met[3 * line], met[3 * line + 1], all_first + met[3 * line + 2]
                offsets, weights = job.offsets + 8 * begun, all_weights + begun * words * first_sums
                for start in range(0, width, height):
                    pixel = min(start, width - height)
                    begin = source + line * source_line + pixel * source_pixel
                    end = target + line * target_line + pixel * target_pixel + panel * row
                    # What lies beyond the last output belongs to others: such a row is made apart and cut.
                    apart = outputs < lanes
                    to, step = (whole_row, row) if apart else (end, target_pixel)
                    if in_registers or real:
                        # Sums of real numbers that are trimmed have no ends there: they are only stored.
                        place, distance = (to, step) if in_registers else (sums, first_sums)
                        multiply_and_finish(
                            which, begin, source_pixel, offsets, runs, words, weights, first, ahead, packed,
                            thresholds, place, distance,
                        )  # fmt: skip
                    elif wide:
                        _wide_sums(job, which, height, panel, arena, begin, first)
                    else:
                        multiply_tile(which, begin, source_pixel, offsets, runs, words, weights, first, ahead, sums)
                    ahead = 0
                    if not in_registers:
                        finish(finishing, sums, packed, to, step, height, vectors, bias)
                    if apart:
                        copy_rows(whole_row, row, end, target_pixel, height, outputs * size)


@inner
def _wide_sums(job: Any, which: int, height: int, panel: int, arena: int, source: int, zeros: int) -> None:
    """Add sums that int32 holds to sums of 64 bits, piece by piece; in two passes where weights are split."""
    vectors = height * job.vectors
    row = job.words * job.vectors * LANES * WORD
    narrow, wide = arena + NARROW_SUMS, arena + WIDE_SUMS
    clear(wide, vectors)
    for half in range(2 if job.low_weights else 1):
        weights = (job.weights if half == 0 else job.low_weights) + panel * job.panel
        shift = SPLIT if job.low_weights and half == 0 else 0
        for run in range(0, job.runs, job.runs_at_a_time):
            runs = min(job.runs_at_a_time, job.runs - run)
            multiply_tile(
                which, source, job.source_pixel, job.offsets + 8 * run, runs, job.words, weights + run * row, zeros,
                0, narrow,
            )  # fmt: skip
            widen(narrow, wide, shift, vectors)
