"""From a graph that is laid out to the jobs of a program."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import singledispatchmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ristretto.execute.compiled.graph import (
    Move,
    Multiply,
    Node,
    Outside,
    Picture,
    Value,
    Work,
    channelwise_of,
    code_ends,
)
from ristretto.execute.compiled.multiplication import emit_multiply
from ristretto.execute.compiled.storage import Buffer, Layout, works_across
from ristretto.formats import FixedPoint
from ristretto.kernels import move, pointwise
from ristretto.kernels.job import JobKind
from ristretto.kernels.loading import addresses
from ristretto.kernels.normalize import channel_normalize
from ristretto.kernels.pointwise import LEFT_OUT, channelwise, gate, join, lookup
from ristretto.kernels.response import respond
from ristretto.kernels.rows import BYTES, OFFSET, REALS, SIZES, TRIM, VIEW
from ristretto.kernels.softmax import channel_softmax
from ristretto.kernels.window import largest, mean
from ristretto.net import Layer
from ristretto.net.form import (
    ChannelNormalize,
    ChannelSoftmax,
    Channelwise,
    Gate,
    Join,
    Pieces,
    Pointwise,
    Response,
    Stack,
    Window,
)
from ristretto.net.op import Array

OPERATIONS = {"SUM": pointwise.SUM, "PROD": pointwise.PRODUCT, "MAX": pointwise.MAXIMUM}
MOST_FACTORS = 1 << 20
"""Entries of the longest table of a response's factors; beyond, they are computed."""


@dataclass(eq=False)
class Emitter:
    """Writes jobs.

    Parameters
    ----------
    layout : Layout
    half_even : bool
        Where halves go.
    """

    layout: Layout
    half_even: bool
    outside: list[str] = field(default_factory=list)
    planned: list[tuple[int, JobKind, int, bool]] = field(default_factory=list)
    """For each job its phase, its kind, its address, and whether it takes all pictures at once."""
    makers: list[Node] = field(default_factory=list)
    arrays: list[Array] = field(default_factory=list)
    """The jobs, and what they point at: it must live as long as they do."""

    def emit(self) -> None:
        """Write the jobs of every node that is laid out."""
        framed: set[Buffer] = set()
        for phase, nodes in enumerate(self.layout.phases):
            for node in nodes:
                if node.output:
                    buffer, _ = self.layout.places[node.output]
                    if buffer not in framed and buffer.needs_zeros:
                        # A phase that takes all pictures at once has no room for what is done picture by picture.
                        self._frame(2 * phase + (not works_across(node)), buffer, node)
                    framed.add(buffer)
                self.write(node.work, 2 * phase + 1, node)

    def job(self, phase: int, kind: JobKind, node: Node, *, across: bool = False) -> Any:
        """Add an empty job, and give its record."""
        record = np.zeros(1, kind.record)
        self.planned.append((phase, kind, self.address(record), across))
        self.makers.append(node)
        return record[0]

    def address(self, array: Array) -> int:
        """Keep an array, and give its address."""
        self.arrays.append(array)
        return int(array.ctypes.data)

    def place(self, value: Value) -> tuple[Buffer, int]:
        """Give the buffer of a value, and where its first number stands, bytes within the arena."""
        buffer, channel = self.layout.places[value]
        return buffer, buffer.offset + buffer.inside + channel * SIZES[buffer.storage]

    def view(self, value: Value) -> Any:
        """Give a `VIEW` of a value."""
        buffer, start = self.place(value)
        record = np.zeros(1, VIEW)[0]
        record["start"], record["storage"] = start, buffer.storage
        record["image"] = buffer.image if buffer.across else 0
        record["line"], record["pixel"] = buffer.line * buffer.spread[0], buffer.pixel * buffer.spread[1]
        record["step"] = math.ldexp(1.0, -value.fmt.fl) if value.fmt else 1.0
        return record

    def trim(self, node: Node) -> Any:
        """Give the `TRIM` of a node's result."""
        assert node.output
        record = np.zeros(1, TRIM)[0]
        buffer, _ = self.layout.places[node.output]
        fmt = node.trims[-1] if node.trims else node.output.fmt if buffer.storage != REALS else None
        assert fmt or buffer.storage == REALS, "codes are always trimmed"
        record["half_even"] = self.half_even
        if fmt:
            low, high = code_ends(fmt, node.low, node.high)
            record["active"], record["low"], record["high"] = 1, low, high
            record["scale"], record["step"] = math.ldexp(1.0, fmt.fl), math.ldexp(1.0, -fmt.fl)
        elif node.clamps:
            record["bounded"], record["low"], record["high"] = 1, node.low, node.high
        return record

    def _frame(self, phase: int, buffer: Buffer, node: Node) -> None:
        job = self.job(phase, move.frame, node)
        height, width = buffer.spread_shape
        down, across = buffer.rim
        spread = buffer.spread != (1, 1)
        job["start"], job["image"] = buffer.offset, buffer.image if buffer.across else 0
        job["line"], job["lines"] = buffer.line, height
        job["above"] = down if not spread else -(-height // 2)
        job["left"], job["inside"] = across * buffer.pixel, (width - 2 * across) * buffer.pixel
        job["value"] = OFFSET if buffer.storage == BYTES else 0

    @singledispatchmethod
    def write(self, work: Work, phase: int, node: Node) -> None:
        """Write the jobs of one kind of work; the methods below are its kinds."""
        raise TypeError(f"no job does {type(work).__name__}")

    @write.register
    def _(self, work: Multiply, phase: int, node: Node) -> None:
        emit_multiply(self, phase, node, work)

    @write.register
    def _(self, work: Move, phase: int, node: Node) -> None:
        assert node.output
        (value,) = node.inputs
        self._move(phase, node, self.view(value), self.view(node.output), value.shape)

    def _move(self, phase: int, node: Node, source: Any, target: Any, shape: Picture) -> None:
        job = self.job(phase, move.move, node)
        job["read"] = job["written"] = move.INSIDE
        job["source"], job["target"], job["trim"] = source, target, self.trim(node)
        job["channels"], job["lines"], job["pixels"] = shape

    def _between(self, phase: int, kind: JobKind, node: Node) -> Any:
        """Add a job that makes of each line of its first input one of its output."""
        assert node.output
        job = self.job(phase, kind, node)
        job["source"], job["target"], job["trim"] = self.view(node.inputs[0]), self.view(node.output), self.trim(node)
        job["channels"], job["lines"], job["pixels"] = node.output.shape
        return job

    @write.register
    def _(self, work: Outside, phase: int, node: Node) -> None:
        job = self.job(phase, move.move, node)
        job["read"] = job["written"] = move.INSIDE
        job["read" if node.output else "written"] = len(self.outside)
        self.outside.append(work.name)
        if node.output:
            job["target"], job["trim"], value = self.view(node.output), self.trim(node), node.output
        else:
            job["source"], value = self.view(node.inputs[0]), node.inputs[0]
        job["channels"], job["lines"], job["pixels"] = value.shape

    @write.register
    def _(self, work: Stack, phase: int, node: Node) -> None:
        """Copy what was not made in its place."""
        assert node.output
        buffer, channel = self.layout.places[node.output]
        for value in node.inputs:
            if self.layout.places[value] != (buffer, channel):
                target = self.view(node.output)
                target["start"] += (channel - self.layout.places[node.output][1]) * SIZES[buffer.storage]
                self._move(phase, node, self.view(value), target, value.shape)
            channel += value.shape[0]

    @write.register
    def _(self, work: Pieces, phase: int, node: Node) -> None:
        assert node.output
        (value,), (channels,) = node.inputs, work.channels
        source, (top, left), first = self.view(value), work.corner, channels[0]
        source["start"] += top * source["line"] + left * source["pixel"]
        if list(channels) == list(range(first, first + len(channels))):
            source["start"] += first * SIZES[source["storage"]]
            self._move(phase, node, source, self.view(node.output), node.output.shape)
            return
        job = self._between(phase, move.pick, node)
        job["source"] = source
        job["order"], job["among"] = self.address(np.array(channels, np.int64)), value.shape[0]

    @write.register
    def _(self, work: Window, phase: int, node: Node) -> None:
        assert node.output
        job = self.job(phase, mean if work.mean else largest, node)
        job["source"], job["target"], job["trim"] = self.view(node.inputs[0]), self.view(node.output), self.trim(node)
        pairs = {
            "size": work.size,
            "stride": work.stride,
            "pad": work.pad,
            "in": node.inputs[0].shape[1:],
            "out": work.counts,
        }
        for name, pair in pairs.items():
            job[f"{name}_h"], job[f"{name}_w"] = pair
        job["channels"] = node.output.shape[0]

    @write.register
    def _(self, work: Join, phase: int, node: Node) -> None:
        assert node.output
        job = self.job(phase, join, node)
        for k, (value, factor) in enumerate(zip(node.inputs, work.factors, strict=True)):
            job["sources"][k], job["factors"][k] = self.view(value), factor
        job["target"], job["trim"] = self.view(node.output), self.trim(node)
        job["bottoms"], job["operation"] = len(node.inputs), OPERATIONS[work.operation]
        job["channels"], job["lines"], job["pixels"] = node.output.shape

    @write.register
    def _(self, work: Channelwise, phase: int, node: Node) -> None:
        assert node.output
        job = self._between(phase, channelwise, node)
        operands = np.empty((len(LEFT_OUT), node.output.shape[0]), np.float32)
        for row, given, left_out in zip(operands, work.operands, LEFT_OUT, strict=True):
            with np.errstate(over="ignore"):
                row[:] = left_out if given is None else given
        job["operands"] = self.address(operands)

    @write.register
    def _(self, work: Gate, phase: int, node: Node) -> None:
        assert node.output
        job = self._between(phase, gate, node)
        summands = [value for k, value in enumerate(node.inputs) if k not in (work.pictures, work.factors)]
        job["source"], job["factors"] = (self.view(node.inputs[k]) for k in (work.pictures, work.factors))
        for value in summands:
            job["summands"], job["adds"] = self.view(value), 1

    @write.register
    def _(self, work: ChannelSoftmax, phase: int, node: Node) -> None:
        assert node.output
        self._between(phase, channel_softmax, node)

    @write.register
    def _(self, work: ChannelNormalize, phase: int, node: Node) -> None:
        assert node.output
        assert node.layer
        job = self._between(phase, channel_normalize, node)
        (scale,) = node.layer.blobs
        scales = np.ascontiguousarray(np.broadcast_to(scale.reshape(-1), node.output.shape[0]), np.float32)
        job["eps"], job["scale"] = work.eps, self.address(scales)

    @write.register
    def _(self, work: Pointwise, phase: int, node: Node) -> None:
        assert node.output
        (value,) = node.inputs
        assert value.fmt
        assert node.layer
        layers = (*node.before, node.layer)
        table = results_by_code(layers, value.fmt, value.shape[0], value.shape[0] if work.by_channel else 1)
        job = self._between(phase, lookup, node)
        job["table"], job["length"] = self.address(table), table.size
        job["apart"], job["low"] = table.shape[1] if work.by_channel else 0, value.fmt.low_code

    @write.register
    def _(self, work: Response, phase: int, node: Node) -> None:
        assert node.output
        (value,) = node.inputs
        job = self._between(phase, respond, node)
        sums = work.neighbours * value.fmt.low_code**2 + 1 if value.fmt else MOST_FACTORS + 1
        factors = np.zeros(1, np.float32)
        if value.fmt and sums <= MOST_FACTORS:
            factors = work.factors(np.arange(sums).astype(np.float32) * np.float32(math.ldexp(1.0, -2 * value.fmt.fl)))
            job["codes"] = math.ldexp(1.0, value.fmt.fl)
        job["table"], job["length"] = self.address(factors) if len(factors) > 1 else 0, len(factors)
        job["within"], job["reach"] = work.within, work.reach(value.shape)
        job["neighbours"] = work.neighbours
        job["alpha"], job["k"], job["exponent"] = work.alpha, work.k, -work.beta

    def schedule(self) -> NDArray[np.int64]:
        """Give the jobs as `program.run` reads them; kinds that are not compiled yet are."""
        kinds = addresses(kind for _, kind, _, _ in self.planned)
        rows = [(phase, kinds[kind], job, across) for phase, kind, job, across in self.planned]
        return np.array(rows, np.int64).reshape(-1, 4)


def results_by_code(layers: Sequence[Layer], fmt: FixedPoint, channels: int, rows: int) -> NDArray[np.float32]:
    """Give what layers, one after the other, make of every number of a format: (rows, codes), real units.

    There is a row for each of the channels, or one for all.
    """
    numbers = fmt.decode(np.arange(fmt.low_code, fmt.high_code + 1, dtype=np.int32))
    top = np.ascontiguousarray(np.broadcast_to(numbers, (rows, len(numbers))), np.float32)
    for layer in layers:
        channelwise = channelwise_of(layer, channels)
        if channelwise:
            with np.errstate(all="ignore"):
                top = channelwise.of(top)
        else:
            top = layer.op.forward([top[None, :, None]], layer.blobs)[0].reshape(rows, -1)
    return np.ascontiguousarray(top, np.float32)
