"""Samples: a few pictures' numbers kept from calibration, to try formats on."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MOST_NUMBERS = 1 << 19
"""Numbers kept of one blob: 2 MiB, some pictures of a wide layer, thousands of a narrow one."""


MOST_PLACES = 1 << 12
"""Places (pixels of a channel) kept of one blob: a few pictures show thousands of them, a vector of scores only one."""
FEWEST_PICTURES = 8
"""Kept whatever the number of places, while there is room."""


class Sampler:
    """Keeps the first pictures of a blob, at least one, up to `MOST_NUMBERS`.

    Parameters
    ----------
    count_places : bool
        Whether `MOST_PLACES` is a limit, too.
    """

    def __init__(self, *, count_places: bool = False) -> None:
        self.kept: list[NDArray[np.float32]] = []
        self.room = MOST_NUMBERS
        self.count_places = count_places
        self.pictures = 0

    def add(self, x: NDArray[np.float32]) -> None:
        """Keep pictures of a batch (n, ...) while there is room."""
        size = max(x[0].size, 1)
        count = min(len(x), max(self.room // size, 0 if self.kept else 1))
        if self.count_places:
            wanted = max(MOST_PLACES // max(math.prod(x.shape[2:]), 1), FEWEST_PICTURES)
            count = min(count, wanted - self.pictures)
        if count:
            self.kept.append(x[:count].copy())
            self.room -= count * size
            self.pictures += count

    def finish(self) -> NDArray[np.float32]:
        """Give the pictures kept (n, ...)."""
        return np.concatenate(self.kept)
