"""Samples: a few pictures' numbers kept from calibration, to try formats on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_NUMBERS = 1 << 19
"""Numbers kept of one blob: 2 MiB, some pictures of a wide layer, thousands of a narrow one."""


class Sampler:
    """Keeps the first pictures of a blob, at least one, up to `MOST_NUMBERS`."""

    def __init__(self) -> None:
        self.kept: list[NDArray[np.float32]] = []
        self.room = MOST_NUMBERS

    def add(self, x: NDArray[np.float32]) -> None:
        """Keep pictures of a batch (n, ...) while there is room."""
        size = max(x[0].size, 1)
        count = min(len(x), max(self.room // size, 0 if self.kept else 1))
        if count:
            self.kept.append(x[:count].copy())
            self.room -= count * size

    def finish(self) -> NDArray[np.float32]:
        """Give the pictures kept (n, ...)."""
        return np.concatenate(self.kept)
