"""A program: jobs in order, run on one picture after the other without a call back into Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ristretto.kernels import depthwise as windows
from ristretto.kernels import move as moves
from ristretto.kernels import multiply as multiplication
from ristretto.kernels import pointwise
from ristretto.kernels import response as responses
from ristretto.kernels.depthwise import depthwise
from ristretto.kernels.jit import kernel
from ristretto.kernels.move import frame, move
from ristretto.kernels.multiply import NAN_FLAG, SCRATCH, multiply
from ristretto.kernels.pointwise import join, lookup
from ristretto.kernels.response import respond
from ristretto.kernels.window import WINDOW, largest, mean

MULTIPLY, DEPTHWISE, MOVE, FRAME, LARGEST, MEAN, JOIN, LOOKUP, RESPONSE = range(9)
"""Kinds of jobs; `LARGEST` and `MEAN` share a table."""

TABLES: Mapping[int, np.dtype[np.void]] = {
    MULTIPLY: multiplication.MULTIPLY,
    DEPTHWISE: windows.DEPTHWISE,
    MOVE: moves.MOVE,
    FRAME: moves.FRAME,
    LARGEST: WINDOW,
    JOIN: pointwise.JOIN,
    LOOKUP: pointwise.LOOKUP,
    RESPONSE: responses.RESPONSE,
}
"""The records of each table, in the order in which `run` takes the tables."""

ROWS = 4
"""Rows of scratch that a job may use, behind the scratch of `multiply`."""

PHASE, KIND, INDEX, ACROSS = range(4)
"""Columns of a schedule: jobs of one phase run on a picture before the next picture's turn comes."""

Jobs = tuple[Any, ...]
"""Arrays of records, one for each of `TABLES`."""

NO_NAN = -1


@kernel
def run(
    schedule: NDArray[np.int64],
    jobs: Jobs,
    memory: NDArray[np.uint8],
    row_size: int,
    outside: NDArray[np.int64],
    first: int,
    count: int,
) -> int:
    """Run a program on some pictures of a batch.

    Parameters
    ----------
    schedule : int64 array (jobs, 4)
        Phase, kind, index in the table of that kind, and whether the job takes all pictures at once.
    jobs : tuple of record arrays
    memory : uint8 array
        The arena, with a multiple of 4 bytes; nobody else uses it meanwhile.
    row_size : int
        Numbers in a row of scratch, at least as many as in a line of any blob.
    outside : int64 array
        Addresses of the arrays outside, float32.
    first, count : int
        The pictures.

    Returns
    -------
    int
        The first job in the schedule that met a NaN without a code, or `NO_NAN`.
    """
    views = (memory, memory.view(np.int16), memory.view(np.float32))
    arena = memory.ctypes.data
    start = SCRATCH // 4
    row, second, third = (
        views[2][start : start + row_size],
        views[2][start + row_size : start + 2 * row_size],
        views[2][start + 2 * row_size : start + 3 * row_size],
    )
    failed = NO_NAN
    begin = 0
    while begin < len(schedule):
        end = begin
        while end < len(schedule) and schedule[end, PHASE] == schedule[begin, PHASE]:
            end += 1
        for image in range(1 if schedule[begin, ACROSS] else count):
            for step in range(begin, end):
                kind, index = schedule[step, KIND], schedule[step, INDEX]
                memory[NAN_FLAG] = 0
                if kind == MULTIPLY:
                    multiply(jobs[0][index], arena, image, count)
                elif kind == DEPTHWISE:
                    depthwise(jobs[1][index], arena, arena + SCRATCH, 4 * ROWS * row_size, image)
                elif kind == MOVE:
                    move(jobs[2][index], arena, row, outside, image, first + image)
                elif kind == FRAME:
                    frame(jobs[3][index], arena, image)
                elif kind == LARGEST:
                    largest(jobs[4][index], arena, arena + SCRATCH, image)
                elif kind == MEAN:
                    mean(jobs[4][index], arena, row, second, image)
                elif kind == JOIN:
                    join(jobs[5][index], arena, row, second, image)
                elif kind == LOOKUP:
                    lookup(jobs[6][index], arena, views, row, image)
                elif kind == RESPONSE:
                    respond(jobs[7][index], arena, row, second, third, image)
                if memory[NAN_FLAG] and (failed == NO_NAN or step < failed):
                    failed = step
        begin = end
    return failed
