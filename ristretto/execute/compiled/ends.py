"""Both ends of a multiply-accumulate job: where its inputs and outputs stand, and how sums become what is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ristretto.execute.compiled.accumulator import Halves, aligned
from ristretto.execute.compiled.graph import Multiply, Node, code_ends
from ristretto.formats import FixedPoint
from ristretto.kernels import epilogue, real_epilogue
from ristretto.kernels.epilogue import SPLIT, Finish, Stage, Sums
from ristretto.kernels.real_epilogue import RealStage
from ristretto.kernels.rows import OFFSET, SHORTS, SIZES
from ristretto.kernels.tile import WORD, Operand
from ristretto.net.op import Array

if TYPE_CHECKING:
    from ristretto.execute.compiled.emit import Emitter

LINES_AT_A_TIME = 1 << 17
"""Bytes of inputs that all panels of weights meet before the next lines' turn: what the second cache holds."""
LONGEST_SHIFT, LONGEST_LEFT = 62, 30
"""Bits; a longer shift to the right only gives zero, one to the left only saturates."""


@dataclass(frozen=True, eq=False)
class Scaling:
    """How integer sums come to the output's grid.

    The accumulator's grid is that of the products, or of the bias where that one is finer: ``fl_params + max(fl_in,
    0)``. On it a total is ``sum(w * x) * 2**lift + bias``.
    """

    lift: int
    bias: Array
    stages: tuple[Stage, ...]
    doubles: epilogue.Doubles | None

    @classmethod
    def of(cls, node: Node, work: Multiply, fmt: FixedPoint) -> Scaling:
        """Give that of a node whose input has a format."""
        assert work.codes
        raised = max(fmt.fl, 0)
        grid = work.codes.fl + raised
        stages = []
        for trim in node.trims:
            last = trim is node.trims[-1]
            from_codes = code_ends(trim, node.low, node.high) if last else (trim.low_code, trim.high_code)
            stages.append(Stage(max(-LONGEST_LEFT, min(grid - trim.fl, LONGEST_SHIFT)), *from_codes))
            grid = trim.fl
        bias = np.broadcast_to(work.codes.bias, (len(work.rows),))
        if work.codes.has_real_bias:
            return cls(0, bias, tuple(stages), epilogue.Doubles(-work.codes.fl - fmt.fl, node.trims[0].fl))
        lift = max(-fmt.fl, 0) if work.codes.weights.any() else 0
        return cls(lift, bias << raised if bias.any() else bias, tuple(stages), None)


def set_places(emitter: Emitter, job: Any, node: Node, work: Multiply, channel: int, output: int) -> None:
    """Say where inputs and outputs stand."""
    assert node.output
    walk = work.geometry
    source, start = emitter.place(node.inputs[0])
    target, end = emitter.place(node.output)
    plain = walk.plain
    # Where a deconvolution cuts its rim off, the walk starts within the picture.
    down, right = (max(-pad, 0) - p for pad, p in zip(walk.pad, plain.pad, strict=True))
    start += down * source.line + right * source.pixel + channel * SIZES[source.storage]
    image = source.image if source.across else 0
    job["source"], job["source_image"] = start, image
    job["source_line"], job["source_pixel"] = walk.stride[0] * source.line, walk.stride[1] * source.pixel
    job["lines"], job["width"] = walk.out_shape[1:]
    job["size"] = SIZES[target.storage]
    job["target"] = end + output * SIZES[target.storage]
    job["target_image"] = target.image if target.across else 0
    job["target_line"], job["target_pixel"] = target.line * target.spread[0], target.pixel * target.spread[1]
    if "lines_at_a_time" in job.dtype.names:
        job["lines_at_a_time"] = max(1, LINES_AT_A_TIME // max(int(job["source_line"]), 1))
    if work.across and "across" in job.dtype.names:
        job["across"], job["source_pixel"], job["target_pixel"] = 1, image, job["target_image"]


def set_start(
    emitter: Emitter, job: Any, rows: Array, bias: Array, scaling: Scaling, operand: Operand, lanes: int, *, wide: bool
) -> None:
    """Say what integer sums start from, and what is added to wide ones at the end.

    A stored byte is its code and the offset: what the offset adds up to is taken off again.
    """
    if operand.are_bytes:
        bias = bias - ((OFFSET * rows.sum(axis=1, dtype=np.int64)) << scaling.lift)
    start = np.zeros(len(rows), np.int64) if wide else bias
    job["bias"] = emitter.address(padded(bias, lanes, bias.dtype))
    # Modulo 2**32, as the sums are; the total fits.
    job["first"] = emitter.address(padded(start.astype(np.uint64).astype(np.uint32), lanes, np.uint32))


def set_epilogue(emitter: Emitter, job: Any, scaling: Scaling, *, wide: bool) -> None:
    """Say how integer sums become what is stored."""
    second = scaling.stages[1] if len(scaling.stages) > 1 else None
    half_even, doubles = emitter.half_even, scaling.doubles
    packed = epilogue.pack_integer(scaling.stages[0], second, half_even=half_even, lift=scaling.lift, doubles=doubles)
    job["packed"] = emitter.address(packed)
    sums = Sums.DOUBLE if doubles else Sums.WIDE if wide else Sums.NARROW
    finish = Finish.HALVES_TO_EVEN if half_even else Finish.TWO_STAGES if second else Finish.ONE_STAGE
    job["routine"] = epilogue.number(sums, 8 * int(job["size"]), finish)
    if "in_registers" in job.dtype.names:
        # Bytes make bytes and pairs make pairs there; other sums are stored first.
        as_stored = int(job["size"]) * Operand(int(job["operand"])).per_word == WORD
        job["in_registers"] = sums is Sums.NARROW and finish is Finish.ONE_STAGE and as_stored


def finishes_halves(emitter: Emitter, job: Any, scaling: Scaling) -> bool:
    """Whether the routines that join halves of sums in registers make what such sums become."""
    one_stage = len(scaling.stages) == 1 and not scaling.doubles and not emitter.half_even
    return one_stage and int(job["operand"]) == Operand.PAIRS.value and int(job["size"]) == SIZES[SHORTS]


def set_halves_epilogue(emitter: Emitter, job: Any, scaling: Scaling, halves: Halves) -> None:
    """Say what halves of sums start from and how they become what is stored; see `epilogue.joined`."""
    first = scaling.stages[0]
    job["operand"], job["in_registers"] = Operand.HALVES.value, 1
    job["first"] = emitter.address(padded(halves.start, len(halves.start), np.int32))
    by_less = Stage(first.shift - SPLIT, first.low, first.high)
    job["packed"] = emitter.address(epilogue.pack_integer(by_less, None, half_even=False))


def set_real_epilogue(emitter: Emitter, job: Any, node: Node) -> None:
    """Say how sums in float32 become what is stored."""
    stages = []
    for trim in node.trims:
        ends = code_ends(trim, node.low, node.high) if trim is node.trims[-1] else (trim.low_code, trim.high_code)
        stages.append(RealStage(trim.fl, *ends))
    clamp = (-np.inf, np.inf) if stages else (node.low, node.high)
    job["packed"] = emitter.address(real_epilogue.pack(stages, *clamp))
    trimming = real_epilogue.TRIMMED_HALF_EVEN if emitter.half_even else real_epilogue.TRIMMED
    job["routine"] = trimming if stages else real_epilogue.CLAMPED


def padded(numbers: Array, lanes: int, kind: Any) -> Array:
    """Give numbers for whole panels, aligned."""
    result = aligned((-(-len(numbers) // lanes) * lanes,), np.dtype(kind))
    result[...] = 0
    result[: len(numbers)] = numbers
    return result
