"""Multiply-accumulate layers as jobs: how their sums walk memory, and how sums become what is stored."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ristretto.execute.compiled.accumulator import (
    Accumulator,
    Walk,
    choose_accumulator,
    in_short_sums,
    pack,
)
from ristretto.execute.compiled.depthwise import emit_depthwise, fits_depthwise
from ristretto.execute.compiled.ends import (
    Finishing,
    Scaling,
    has_offset,
    padded,
    set_integer_ends,
    set_places,
    set_real_epilogue,
)
from ristretto.execute.compiled.graph import Multiply, Node, Value
from ristretto.execute.compiled.lines_met import LinesMet
from ristretto.execute.compiled.storage import Buffer
from ristretto.kernels.cpu import TIER
from ristretto.kernels.multiply import multiply
from ristretto.kernels.rows import BYTES
from ristretto.kernels.tile import WORD, Operand
from ristretto.net import Geometry
from ristretto.net.op import Array

if TYPE_CHECKING:
    from ristretto.execute.compiled.emit import Emitter


def emit_multiply(emitter: Emitter, phase: int, node: Node, work: Multiply) -> None:
    """Write the jobs of a multiply-accumulate layer: one, or one for each group of channels."""
    walk = work.geometry
    inputs, outputs = walk.in_shape[0] // walk.groups, walk.out_shape[0] // walk.groups
    (value,) = node.inputs
    buffer, _ = emitter.place(value)
    codes = work.codes is not None
    operand = Operand.FLOATS if not codes else Operand.BYTES if buffer.storage == BYTES else Operand.PAIRS
    scaling = Scaling.of(node, work, value.fmt) if codes and value.fmt else None
    if work.depthwise and fits_depthwise(work, scaling):
        emit_depthwise(emitter, phase, node, work, operand, scaling)
        return
    terms = _walk_of(walk, buffer, operand, inputs)
    for group in range(walk.groups):
        picked = slice(group * outputs, (group + 1) * outputs)
        job = emitter.job(phase, multiply, node, across=work.across)
        set_places(emitter, job, node, work, group * inputs, group * outputs)
        job["operand"], job["outputs"] = operand.value, outputs
        rows = work.rows[picked]
        if scaling:
            _set_integer(emitter, job, rows, walk, scaling.picked(picked), terms, operand, value)
        else:
            _set_real(emitter, job, rows, walk, work.bias, picked, terms, node)


def _walk_of(walk: Geometry, buffer: Buffer, operand: Operand, channels: int) -> Walk:
    """Give the runs of one sum: lines of the window where its pixels lie side by side, else single pixels."""
    (kh, kw), (dh, dw) = walk.kernel, walk.dilation
    line, pixel, lines = buffer.line, buffer.pixel, kh
    order = np.arange(channels * kh * kw).reshape(channels, kh, kw).transpose(1, 2, 0)
    if channels == buffer.shape[0] and (dw == 1 or kw == 1):
        runs = order.reshape(kh, kw * channels)
        offsets = np.arange(kh) * dh * line
        if kh > 1 and dh == 1 and kw * pixel == line:
            runs, offsets, lines = runs.reshape(1, -1), offsets[:1], 1
    else:
        runs = order.reshape(kh * kw, channels)
        offsets = (np.arange(kh)[:, None] * dh * line + np.arange(kw)[None] * dw * pixel).reshape(-1)
    short = -runs.shape[1] % operand.per_word
    return Walk(offsets.astype(np.int64), np.pad(runs, ((0, 0), (0, short)), constant_values=-1), lines)


def _vectors(outputs: int, width: int) -> int:
    """Give how many vectors of outputs a tile shall have: the most useful work for the tiles that fit the line."""
    choices = []
    for vectors in sorted({v for _, v in TIER.tiles}, key=lambda v: (v != 2, v)):
        fitting = [height for height, v in TIER.tiles if v == vectors and height <= width]
        if fitting:
            panels = -(-outputs // (vectors * TIER.lanes))
            # Cycles: each vector of sums takes one, each pixel's input about half of one to load.
            cost = min((-(-width // h) * (h * (vectors + 0.3) + 1) for h in fitting), default=0.0) * panels
            choices.append((cost, vectors))
    return min(choices)[1]


def _set_integer(
    emitter: Emitter,
    job: Any,
    rows: Array,
    geometry: Geometry,
    scaling: Scaling,
    terms: Walk,
    operand: Operand,
    value: Value,
) -> None:
    assert value.fmt
    finishing = Finishing.of(job, scaling, half_even=emitter.half_even)
    finished = finishing.totals if finishing else None
    chosen = choose_accumulator(rows, terms, operand, -value.fmt.low_code, scaling.totals, finished)
    if operand is Operand.BYTES and TIER.short_dot8 and len(chosen.halves) == 1:
        operand, filled = in_short_sums(rows, chosen.walk, value.fmt.high_code)
        chosen = replace(chosen, walk=filled, operand=operand)
    job["operand"], job["wide"] = chosen.operand.value, chosen.wide
    vectors = 2 if job["across"] or chosen.operand.parts == 2 else _vectors(len(rows), int(job["width"]))
    lines = _set_walk(emitter, job, geometry, chosen, vectors)
    met = lines.weights_met(rows, chosen.walk) if has_offset(chosen.operand) else np.zeros((1, len(rows)), np.int64)
    set_integer_ends(emitter, job, met, scaling, finishing, chosen, int(job["lanes"]))


def _set_real(
    emitter: Emitter,
    job: Any,
    rows: Array,
    geometry: Geometry,
    bias: Array | None,
    picked: slice,
    terms: Walk,
    node: Node,
) -> None:
    vectors = 2 if job["across"] else _vectors(len(rows), int(job["width"]))
    chosen = Accumulator(terms, [rows.astype(np.float32)], False, len(terms.offsets), Operand.FLOATS)
    _set_walk(emitter, job, geometry, chosen, vectors)
    start = bias[picked] if bias is not None else np.zeros(len(rows), np.float32)
    # A sum that starts from -0 would keep it where products of zeros are left out.
    start = start + np.float32(0)
    job["first"] = emitter.address(padded(start, vectors * TIER.lanes, np.float32))
    set_real_epilogue(emitter, job, node)
    # They are clamped there; trims take more steps than a tile has room for.
    job["in_registers"] = not node.trims


def _set_walk(emitter: Emitter, job: Any, geometry: Geometry, chosen: Accumulator, vectors: int) -> LinesMet:
    """Say what is multiplied; give which lines of the window are."""
    walk, operand = chosen.walk, chosen.operand
    job["offsets"], job["runs"] = emitter.address(np.ascontiguousarray(walk.offsets, np.int64)), len(walk.offsets)
    job["words"], job["runs_at_a_time"] = walk.terms.shape[1] // operand.per_word, chosen.runs_at_a_time
    packed = [pack(half, walk, operand, vectors) for half in chosen.halves]
    job["weights"] = emitter.address(packed[0])
    job["low_weights"] = emitter.address(packed[1]) if len(packed) > 1 else 0
    job["panel"], job["panels"], job["vectors"] = packed[0].strides[0], len(packed[0]), vectors
    job["lanes"] = vectors // operand.parts * TIER.lanes
    lines = LinesMet.of(geometry, chosen)
    # First values that make up for an offset are of as many kinds as sums are.
    size = len(packed[0]) * vectors * TIER.lanes * WORD if has_offset(operand) else 0
    job["lines_met"] = emitter.address(lines.table(size))
    return lines
