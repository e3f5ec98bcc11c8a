"""Depthwise convolutions as jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ristretto.execute.compiled.accumulator import Walk, aligned, choose_depthwise
from ristretto.execute.compiled.ends import (
    Finishing,
    Scaling,
    padded,
    set_integer_ends,
    set_places,
    set_real_epilogue,
)
from ristretto.execute.compiled.graph import Multiply, Node
from ristretto.kernels.cpu import TIER
from ristretto.kernels.depthwise import depthwise
from ristretto.kernels.tile import Operand
from ristretto.net.op import Array

if TYPE_CHECKING:
    from ristretto.execute.compiled.emit import Emitter


MOST_TAPS = 1 << 8
"""Pixels of a window whose products with eight bits of a weight int32 holds for every input of 16 bits."""


def fits_depthwise(work: Multiply, scaling: Scaling | None) -> bool:
    """Whether the one kernel for all channels can do it; what else there is runs channel by channel."""
    return not scaling or (work.rows.shape[1] <= MOST_TAPS and not scaling.doubles)


def emit_depthwise(
    emitter: Emitter, phase: int, node: Node, work: Multiply, operand: Operand, scaling: Scaling | None
) -> None:
    """Write the one job of a depthwise convolution that `fits_depthwise`."""
    walk = work.geometry
    (value,), channels = node.inputs, walk.groups
    buffer, _ = emitter.place(value)
    taps: list[tuple[int, int]] = [(i * walk.dilation[0], j * walk.dilation[1]) for i, j in np.ndindex(*walk.kernel)]
    offsets = np.array([down * buffer.line + right * buffer.pixel for down, right in taps], np.int64)
    lanes = -(-channels // TIER.lanes) * TIER.lanes
    rows = work.rows.reshape(channels, -1)
    job = emitter.job(phase, depthwise, node)
    set_places(emitter, job, node, work, 0, 0)
    job["operand"], job["channels"] = operand.value, channels
    if scaling is None:
        job["offsets"], job["pairs"] = emitter.address(offsets), len(offsets)
        weights = aligned((len(offsets), lanes), np.dtype(np.float32))
        weights[:, :channels], weights[:, channels:] = rows.T, 0
        job["weights"] = emitter.address(weights)
        start = work.bias if work.bias is not None else np.zeros(channels, np.float32)
        job["first"] = emitter.address(padded(start, lanes, np.float32))
        set_real_epilogue(emitter, job, node)
        return
    assert value.fmt
    # What lies beyond the last channel belongs to others: there, sums are stored and cut.
    finishing = Finishing.of(job, scaling, half_even=emitter.half_even) if lanes == channels else None
    finished = finishing.totals if finishing else None
    each = Walk(offsets, np.arange(len(offsets))[:, None])
    chosen = choose_depthwise(rows, each, operand, -value.fmt.low_code, scaling.totals, finished)
    halves, job["operand"] = chosen.halves, chosen.operand.value
    if len(taps) % 2:
        halves, offsets = [np.pad(half, ((0, 0), (0, 1))) for half in halves], np.append(offsets, offsets[-1])
    job["offsets"], job["pairs"] = emitter.address(offsets), len(offsets) // 2
    job["weights"] = emitter.address(_in_pairs(halves[0]))
    job["low_weights"] = emitter.address(_in_pairs(halves[1])) if len(halves) == 2 else 0
    met = rows.sum(axis=1, dtype=np.int64)[None]
    set_integer_ends(emitter, job, met, scaling, finishing, chosen, lanes)


def _in_pairs(rows: Array) -> Array:
    """Give weights as words of two: (pairs, whole vectors of lanes, 2)."""
    lanes = -(-len(rows) // TIER.lanes) * TIER.lanes
    words = aligned((rows.shape[1] // 2, lanes, 2), np.dtype(np.int16))
    words[...] = 0
    words[:, : len(rows)] = rows.reshape(len(rows), -1, 2).transpose(1, 0, 2)
    return words
