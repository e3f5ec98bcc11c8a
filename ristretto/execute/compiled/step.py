"""A compiled program as a step of an executor."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue

import numpy as np

from ristretto.errors import in_layer
from ristretto.execute.compiled.emit import Emitter
from ristretto.execute.compiled.fuse import fuse
from ristretto.execute.compiled.graph import Builder, Multiply
from ristretto.execute.compiled.storage import Layout, lay_out
from ristretto.execute.values import State
from ristretto.formats import Arithmetic
from ristretto.kernels.job import RUN
from ristretto.kernels.program import NO_NAN, run
from ristretto.net.op import Array

MOST_PICTURES = 64
"""Pictures that an arena holds at a time, where layers take all of them at once."""
PIECES = 4
"""Pieces that a thread's share of a batch is cut into. A call costs as much as a few hundredths of a picture."""
READ = 32
"""Multiplications that take about as long as one weight takes to come from memory."""
MOST_READING = 32
"""The part of a piece's work, one in so many, that reading weights anew for it may come to."""


class ProgramStep:
    """Runs consecutive layers as one program.

    Parameters
    ----------
    builder : Builder
        With all layers added.
    wanted : collection of str
        Blobs that are read after these layers.
    arithmetic : Arithmetic
    threads : int
        The pictures of a batch are spread over so many; the result does not depend on it.
    """

    def __init__(self, builder: Builder, wanted: Collection[str], arithmetic: Arithmetic, threads: int = 1) -> None:
        self.inputs = tuple(builder.loaded)
        self.outputs = {blob: shape for blob, shape in builder.written.items() if blob in wanted}
        self.kept = dict(builder.kept)
        for blob in self.outputs:
            builder.store(builder.values[blob], f"{blob} after")
        graph = builder.graph
        graph.drop_unread()
        fuse(graph)
        layout = lay_out(graph)
        self.pictures = builder.pictures
        self.threads = min(threads, self.pictures)
        self.at_once = min(-(-self.pictures // self.threads), MOST_PICTURES)
        piece = -(-self.at_once // PIECES)
        if self.threads > 1 and _may_be_as_short_as(layout, piece):
            # A few at a time: whoever is done first takes the next.
            self.at_once = piece
        self.arena_size, self.row = layout.size(self.at_once), layout.row
        self.emitter = Emitter(layout, half_even=arithmetic.half_even)
        self.emitter.emit()
        self.schedule = self.emitter.schedule()
        self.arenas: SimpleQueue[Array] = SimpleQueue()
        self.pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None

    def run(self, state: State) -> None:
        """Run the program on all pictures.

        Raises
        ------
        ModelError
            When a number is NaN where codes are wanted.
        """
        arrays = {blob: np.ascontiguousarray(state.blobs[blob], np.float32) for blob in self.inputs}
        results = {f"{blob} after": np.empty(shape, np.float32) for blob, shape in self.outputs.items()}
        kept = {name: np.empty(shape, np.float32) for name, shape in self.kept.items()}
        everything = arrays | results | kept
        outside = np.array([everything[name].ctypes.data for name in self.emitter.outside], np.int64)
        starts = range(0, self.pictures, self.at_once)
        work = self.pool.map if self.pool else map
        failed = [step for step in work(lambda start: self._run(outside, start), starts) if step != NO_NAN]
        if failed:
            self._refuse_nan(min(failed))
        for blob in self.outputs:
            state.blobs[blob] = results[f"{blob} after"]
        state.kept.update(kept)

    def _run(self, outside: Array, start: int) -> int:
        try:
            arena = self.arenas.get_nowait()
        except Empty:
            arena = np.zeros(self.arena_size, np.uint8)
        shared = np.zeros(1, RUN)
        shared["arena"], shared["row_size"], shared["outside"] = arena.ctypes.data, self.row, outside.ctypes.data
        shared["first"], shared["count"] = start, min(self.at_once, self.pictures - start)
        failed = run(self.schedule, shared)
        self.arenas.put(arena)
        return failed

    def _refuse_nan(self, step: int) -> None:
        node = self.emitter.makers[step]
        with in_layer(node.trimmed_by or (node.layer.name if node.layer else ""), f"blob '{node.blob}'"):
            node.trims[-1].refuse_nan(np.full(1, np.nan))


def _may_be_as_short_as(layout: Layout, pictures: int) -> bool:
    """Whether so many pictures are worth reading the weights that all pictures of a run meet at once."""
    multiplications = [work for phase in layout.phases for node in phase if isinstance(work := node.work, Multiply)]
    weights = sum(work.rows.size for work in multiplications if work.across)
    return weights * READ * MOST_READING <= pictures * sum(work.geometry.macs for work in multiplications)
