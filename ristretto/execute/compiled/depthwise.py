"""Depthwise convolutions as jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ristretto.execute.compiled.accumulator import fits_int32
from ristretto.execute.compiled.ends import Scaling, padded, set_epilogue, set_places, set_real_epilogue
from ristretto.execute.compiled.graph import Multiply, Node, Value
from ristretto.kernels import program
from ristretto.kernels.cpu import TIER
from ristretto.kernels.rows import OFFSET
from ristretto.kernels.tile import Operand

if TYPE_CHECKING:
    from ristretto.execute.compiled.emit import Emitter


def fits_depthwise(work: Multiply, scaling: Scaling | None, value: Value) -> bool:
    """Whether the one kernel for all channels can do it: in float32, or where int32 holds every sum."""
    if scaling is None:
        return True
    assert value.fmt
    return fits_int32(work.rows, scaling.bias, -value.fmt.low_code, scaling.stages[0], scaling.lift)


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
    if scaling:
        if len(taps) % 2:
            rows, offsets = np.pad(rows, ((0, 0), (0, 1))), np.append(offsets, offsets[-1])
        weights = np.zeros((len(offsets) // 2, lanes, 2), np.int16)
        weights[:, :channels] = rows.reshape(channels, -1, 2).transpose(1, 0, 2)
        offset = OFFSET if operand is Operand.BYTES else 0
        start = (scaling.bias - offset * rows.sum(axis=1, dtype=np.int64)).astype(np.uint64).astype(np.uint32)
    else:
        weights = np.zeros((len(offsets), lanes), np.float32)
        weights[:, :channels] = rows.T
        start = work.bias if work.bias is not None else np.zeros(channels, np.float32)
    job = emitter.job(phase, program.DEPTHWISE, node)
    set_places(emitter, job, node, work, 0, 0)
    job["operand"], job["channels"] = operand.value, channels
    job["offsets"], job["weights"] = emitter.address(offsets), emitter.address(weights)
    job["pairs"] = len(weights)
    job["first"] = emitter.address(padded(start, lanes, start.dtype))
    if scaling:
        set_epilogue(emitter, job, scaling, wide=False)
    else:
        set_real_epilogue(emitter, job, node)
