"""Results: what an operation makes before it is trimmed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ristretto.export.program.graph import Value
from ristretto.export.program.numbers import LONGEST_LEFT, Numbers, Words, fits, largest_of
from ristretto.hardware.grid import Grid, bits_for
from ristretto.net.op import Array


@dataclass(frozen=True, eq=False)
class Results:
    """An operation's results, before trims and clamps.

    Parameters
    ----------
    numbers : Grid or Words
    settings : mapping
        What a program must know of the operation, as JSON.
    arrays : mapping of str to array
        Constants: weights, biases, tables.
    divisor : int
        What the codes are still to be divided by, where the first trim does that, or the reader; 0 where windows have
        different ones.
    """

    numbers: Numbers
    settings: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)
    divisor: int = 1

    @property
    def are_integers(self) -> bool:
        """Whether it is done in integers alone."""
        return isinstance(self.numbers, Grid)


def divided(results: Results, inputs: Sequence[Value]) -> Results:
    """Give results as whoever reads them needs them: quotients that nothing trims at once are float32's."""
    if results.divisor == 1:
        return results
    return replace(results, numbers=Words(largest_of(inputs[0].numbers)), divisor=1)


def met(inputs: Sequence[Value]) -> tuple[Numbers, list[int]]:
    """Give the numbers of several inputs on the finest of their grids, and the left shift of each one to it, bits."""
    grids = [value.numbers for value in inputs if isinstance(value.numbers, Grid)]
    if len(grids) == len(inputs):
        hull = Grid.hull(grids)
        if fits(hull):
            # Further to the left there are only zeros.
            return hull, [min(hull.fl - grid.fl, LONGEST_LEFT) for grid in grids]
    return Words(max(largest_of(value.numbers) for value in inputs)), [0] * len(inputs)


def shortest(array: Array) -> Array:
    """Give integers in the shortest of C's types that holds them."""
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    bits = bits_for(low, high)
    return np.ascontiguousarray(array, next(t for t in (np.int8, np.int16, np.int32, np.int64) if bits <= _bits(t)))


def _bits(kind: type[np.signedinteger[Any]]) -> int:
    return np.iinfo(kind).bits
