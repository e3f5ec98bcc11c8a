"""Both ends of a multiply-accumulate job: where its inputs and outputs stand, and how sums become what is stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ristretto.execute.compiled.accumulator import (
    NARROW_BITS,
    Accumulator,
    Totals,
    aligned,
    by_vectors,
    split_bias,
)
from ristretto.execute.compiled.graph import Multiply, Node, code_ends
from ristretto.formats import FixedPoint
from ristretto.kernels import epilogue, real_epilogue
from ristretto.kernels.epilogue import SPLIT, Finish, Stage, Sums
from ristretto.kernels.finished import NO_TIES, Ending
from ristretto.kernels.real_epilogue import RealStage
from ristretto.kernels.rows import BYTES, OFFSET, SIZES
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

    def picked(self, outputs: slice) -> Scaling:
        """Give that of some outputs."""
        return replace(self, bias=self.bias[outputs])

    @property
    def totals(self) -> Totals:
        """What is added to sums, and how far they are shifted by the first stage."""
        return Totals(self.bias, self.stages[0].shift, self.lift)


@dataclass(frozen=True, eq=False)
class Finishing:
    """How sums become codes while they are in registers.

    Parameters
    ----------
    totals : Totals
        Without a lift; what a stored code has more than a code is a part of the bias.
    thresholds : int64 array (outputs,)
        Below them, half a step and what a stored code has more added, lie totals below zero; `NO_TIES` where none of
        an output's totals is a tie.
    ending : Ending
    """

    totals: Totals
    thresholds: Array
    ending: Ending

    @classmethod
    def of(cls, job: Any, scaling: Scaling, *, half_even: bool) -> Finishing | None:
        """Give that of a job; None where sums must be stored first.

        ``floor((sum * 2**lift + bias + half) / 2**shift)`` is ``floor((sum + floor(bias / 2**lift) + half / 2**lift) /
        2**(shift - lift))``, as both are whole numbers of steps. There are ties only where nothing of the bias is lost.
        """
        # Bytes make bytes and pairs make pairs there.
        as_stored = int(job["size"]) * Operand(int(job["operand"])).per_word == WORD
        lift, (first, *second) = scaling.lift, scaling.stages
        shift = first.shift - lift
        # The longest shift stands for all longer ones; less the lift it still leaves nothing of sums below 2**53.
        if half_even or scaling.doubles or not as_stored or shift < (lift > 0):
            return None
        ending = Ending.of(shift, first, *second or (None,))
        offset = OFFSET if int(job["size"]) == SIZES[BYTES] else 0
        if ending is None or offset % (1 << ending.left):
            return None
        more = offset << (shift - ending.left)
        if more >> NARROW_BITS:
            return None
        ending = replace(ending, low=ending.low + offset, high=ending.high + offset)
        lost = scaling.bias & ((1 << lift) - 1)
        thresholds = np.where((lost == 0) & (shift > 0), ((1 << shift) >> 1) + more, NO_TIES)
        return cls(Totals((scaling.bias >> lift) + more, shift, left=ending.left), thresholds, ending)


def has_offset(operand: Operand) -> bool:
    """Whether what is multiplied is stored as more than its codes."""
    return operand.are_bytes and OFFSET > 0


def _in_words(numbers: Array) -> Array:
    return numbers.astype(np.uint64).astype(np.uint32)


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


def set_integer_ends(
    emitter: Emitter,
    job: Any,
    met: Array,
    scaling: Scaling,
    finishing: Finishing | None,
    chosen: Accumulator,
    lanes: int,
) -> None:
    """Say what integer sums start from and how they become what is stored.

    `met` is the sum of the weights that an output's sum multiplies, (kinds of sums, outputs); it counts where inputs
    are stored with an offset, and first values are as many rows then. `lanes` are the outputs of a panel.
    """
    if chosen.in_registers:
        assert finishing
        _finish_in_registers(emitter, job, met, finishing, chosen.operand, lanes)
    else:
        _set_start(emitter, job, met, scaling, chosen, lanes)
        _set_epilogue(emitter, job, scaling, wide=chosen.wide)


def _finish_in_registers(
    emitter: Emitter, job: Any, met: Array, finishing: Finishing, operand: Operand, lanes: int
) -> None:
    ending, thresholds = finishing.ending, finishing.thresholds
    start = finishing.totals.bias + ((1 << finishing.totals.shift) >> 1)
    if operand.parts == 2:
        start = by_vectors(split_bias(start))
        ending = replace(ending, right=ending.right - SPLIT)
        thresholds = np.where(thresholds == NO_TIES, NO_TIES, thresholds >> SPLIT)
    job["first"] = emitter.address(_first_values(start, met, operand, lanes * operand.parts))
    job["thresholds"] = emitter.address(padded(_in_words(thresholds), lanes, np.uint32))
    job["packed"], job["in_registers"] = emitter.address(ending.pack()), 1


def _first_values(start: Array, met: Array, operand: Operand, lanes: int) -> Array:
    """Give what sums in 32 bits start from, one row behind the other.

    A stored byte is its code and the offset: what the offset adds up to is taken off beforehand.
    """
    starts = start - OFFSET * met if has_offset(operand) else start[None]
    # Modulo 2**32, as the sums are; the total fits.
    return padded(_in_words(starts), lanes, np.uint32)


def _set_start(emitter: Emitter, job: Any, met: Array, scaling: Scaling, chosen: Accumulator, lanes: int) -> None:
    """Say what sums that are stored start from, and what is added to wide ones at the end."""
    bias = scaling.bias
    if chosen.wide:
        job["first"] = emitter.address(padded(np.zeros(len(bias)), lanes, np.uint32))
        # These are of one kind.
        bias = bias - ((OFFSET * met[0]) << scaling.lift) if has_offset(chosen.operand) else bias
    else:
        job["first"] = emitter.address(_first_values(bias, met, chosen.operand, lanes))
    job["bias"] = emitter.address(padded(bias, lanes, bias.dtype))


def _set_epilogue(emitter: Emitter, job: Any, scaling: Scaling, *, wide: bool) -> None:
    """Say how sums that are stored become codes."""
    second = scaling.stages[1] if len(scaling.stages) > 1 else None
    half_even, doubles = emitter.half_even, scaling.doubles
    packed = epilogue.pack_integer(scaling.stages[0], second, half_even=half_even, lift=scaling.lift, doubles=doubles)
    job["packed"] = emitter.address(packed)
    sums = Sums.DOUBLE if doubles else Sums.WIDE if wide else Sums.NARROW
    finish = Finish.HALVES_TO_EVEN if half_even else Finish.TWO_STAGES if second else Finish.ONE_STAGE
    job["routine"] = epilogue.number(sums, 8 * int(job["size"]), finish)


def set_real_epilogue(emitter: Emitter, job: Any, node: Node) -> None:
    """Say how sums in float32 become what is stored."""
    stages = []
    for trim in node.trims:
        ends = code_ends(trim, node.low, node.high) if trim is node.trims[-1] else (trim.low_code, trim.high_code)
        stages.append(RealStage(trim.fl, *ends))
    if stages:
        packed = real_epilogue.pack_stages(stages)
        job["routine"] = real_epilogue.TRIMMED_HALF_EVEN if emitter.half_even else real_epilogue.TRIMMED
    else:
        packed, job["routine"] = real_epilogue.pack_ends(node.low, node.high), real_epilogue.CLAMPED
    job["packed"] = emitter.address(packed)


def padded(numbers: Array, lanes: int, kind: Any) -> Array:
    """Give numbers for whole panels along the last axis, aligned."""
    *others, count = numbers.shape
    result = aligned((*others, -(-count // lanes) * lanes), np.dtype(kind))
    result[...] = 0
    result[..., :count] = numbers
    return result
