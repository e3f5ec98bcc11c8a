"""Samples: what some pictures are to a layer and what it makes of them, kept from calibration to try formats on."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MOST_NUMBERS = 1 << 19
"""Numbers kept of a layer's input, and of its output: 2 MiB each, some pictures of a wide layer."""
MOST_PLACES = 1 << 12
"""Places (pixels of a channel) kept of an output: few pictures show thousands of them, a vector of scores only one."""
FEWEST_PICTURES = 8
"""Kept whatever the number of places, while there is room."""

FloatArray = NDArray[np.float32]


class Sampler:
    """Keeps the first pictures' input and output of one layer, at least one.

    A layer whose output does not stand for the same pictures one by one (an inner product over the batch axis) keeps
    its first batch whole.
    """

    def __init__(self) -> None:
        self.kept: list[tuple[FloatArray, FloatArray]] = []
        self.pictures = 0

    def add(self, x: FloatArray, y: FloatArray) -> None:
        """Keep pictures of a batch while there is room.

        Parameters
        ----------
        x, y : float32 arrays (n, ...), real units
            Input and output.
        """
        if x.shape[:1] != y.shape[:1]:
            if not self.kept:
                self.kept.append((x.copy(), y.copy()))
            return
        size = max(math.prod(x.shape[1:]), math.prod(y.shape[1:]), 1)
        places = max(math.prod(y.shape[2:]), 1)
        most = min(MOST_NUMBERS // size, max(MOST_PLACES // places, FEWEST_PICTURES))
        count = min(len(x), max(most, 1) - self.pictures)
        if count > 0:
            self.kept.append((x[:count].copy(), y[:count].copy()))
            self.pictures += count

    def finish(self) -> tuple[FloatArray, FloatArray]:
        """Give the inputs and outputs kept."""
        inputs, outputs = zip(*self.kept, strict=True)
        return np.concatenate(inputs), np.concatenate(outputs)
