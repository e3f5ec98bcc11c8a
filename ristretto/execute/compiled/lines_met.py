"""LinesMet: which lines of a window meet the picture, for each line of outputs; the others meet zeros alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ristretto.execute.compiled.accumulator import Accumulator, Walk, laid_out
from ristretto.kernels.tile import Operand
from ristretto.net import Geometry
from ristretto.net.op import Array


@dataclass(frozen=True, eq=False)
class LinesMet:
    """The runs that are multiplied for each line of outputs.

    Parameters
    ----------
    kinds : int64 array (kinds, 2)
        The first run of a sum and the one behind the last; at least one run.
    of_line : int64 array (lines,)
        The kind of each line.
    """

    kinds: Array
    of_line: Array

    @classmethod
    def of(cls, geometry: Geometry, chosen: Accumulator) -> LinesMet:
        """Leave out what adds nothing but zeros.

        Sums that are added up in pieces keep all runs: their pieces were cut to fit. So do weights that are no numbers,
        whose products with zero are none either.
        """
        walk, plain, lines = chosen.walk, geometry.plain, geometry.out_shape[1]
        runs, depth = len(walk.offsets), plain.kernel[0]
        if depth == 1 or chosen.wide or walk.lines < depth or not _are_numbers(chosen):
            return cls(np.array([[0, runs]]), np.zeros(lines, np.int64))
        tops = np.arange(lines) * plain.stride[0] - plain.pad[0]
        # The lines of the window that lie above the picture, and those that begin above its end.
        above, before = (-(-(edge - tops) // plain.dilation[0]) for edge in (0, plain.in_shape[1]))
        first = np.clip(above, 0, depth - 1)
        end = np.clip(before, first + 1, depth)
        kinds, of_line = np.unique(np.stack([first, end], axis=1) * (runs // depth), axis=0, return_inverse=True)
        return cls(kinds, of_line.reshape(-1))

    def weights_met(self, rows: Array, walk: Walk) -> Array:
        """Give the sum of each output's integer weights that are multiplied: (kinds, outputs)."""
        if len(self.kinds) == 1 and self.kinds[0, 1] - self.kinds[0, 0] == len(walk.offsets):
            return np.asarray(rows.sum(axis=1, dtype=np.int64)[None])
        of_runs = laid_out(rows, walk).sum(axis=2, dtype=np.int64)
        until = np.concatenate([np.zeros((len(rows), 1), np.int64), of_runs.cumsum(axis=1)], axis=1)
        met: Array = (until[:, self.kinds[:, 1]] - until[:, self.kinds[:, 0]]).T
        return met

    def table(self, size: int) -> Array:
        """Give for each line its first run, how many runs, and where the sums' first values stand: int64 (lines, 3).

        `size` is how many bytes the first values of a kind take; 0 where all kinds have the same.
        """
        first, end = self.kinds[self.of_line].T
        return np.ascontiguousarray(np.stack([first, end - first, self.of_line * size], axis=1), np.int64)


def _are_numbers(chosen: Accumulator) -> bool:
    return chosen.operand is not Operand.FLOATS or all(np.isfinite(half).all() for half in chosen.halves)
