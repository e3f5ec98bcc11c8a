"""A program: jobs in order, run on one picture after the other without a call back into Python."""

from __future__ import annotations

import numpy as np
from numba import carray
from numpy.typing import NDArray

from ristretto.kernels.depthwise import depthwise
from ristretto.kernels.jit import kernel
from ristretto.kernels.job import JobKind, call_job
from ristretto.kernels.memory import integers_at
from ristretto.kernels.move import frame, move, pick
from ristretto.kernels.multiply import NAN_FLAG, multiply
from ristretto.kernels.normalize import channel_normalize
from ristretto.kernels.pointwise import channelwise, gate, join, lookup
from ristretto.kernels.response import respond
from ristretto.kernels.softmax import channel_softmax
from ristretto.kernels.window import largest, mean

KINDS: tuple[JobKind, ...] = (
    *(multiply, depthwise, respond, channel_softmax, channel_normalize),
    *(join, channelwise, gate, lookup, mean, largest, move, pick, frame),
)
"""Every kind of job."""

PHASE, KIND, JOB, ACROSS = range(4)
"""Columns of a schedule: jobs of one phase run on a picture before the next picture's turn comes."""

NO_NAN = -1


@kernel
def run(schedule: NDArray[np.int64], shared: NDArray[np.void]) -> int:
    """Run a program on some pictures of a batch.

    Parameters
    ----------
    schedule : int64 array (jobs, 4)
        Phase, the addresses of what runs the job and of the job, and whether it takes all pictures at once.
    shared : `RUN` array (1,)
        What the jobs share. Nobody else uses the arena meanwhile.

    Returns
    -------
    int
        The first job in the schedule that met a NaN without a code, or `NO_NAN`.
    """
    address, count = shared.ctypes.data, shared[0].count
    met_nan = carray(integers_at(shared[0].arena + NAN_FLAG), (1,))
    failed = NO_NAN
    begin = 0
    while begin < len(schedule):
        end = begin
        while end < len(schedule) and schedule[end, PHASE] == schedule[begin, PHASE]:
            end += 1
        for image in range(1 if schedule[begin, ACROSS] else count):
            for step in range(begin, end):
                met_nan[0] = 0
                call_job(schedule[step, KIND], schedule[step, JOB], address, image)
                if met_nan[0] and (failed == NO_NAN or step < failed):
                    failed = step
        begin = end
    return failed
