"""Shuffling with a seed: an order that is drawn anew in every epoch, and yet the same in every run."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

ORDER, SKIP = 1 << 32, 2 << 32
"""Streams of random numbers, apart from that of the crops (`Transformer`)."""


@lru_cache(maxsize=4)
def permutation(count: int, epoch: int, stream: int = 0) -> NDArray[np.int64]:
    """Give the order in which `count` things come in an epoch; several orders are drawn by numbered streams.

    Caffe's own order differs from run to run. Here it is drawn by Philox from the number of the epoch, so that batch
    k is the same in every pass.

    Returns
    -------
    int64 array (count,), read-only
    """
    # The generator's raw numbers: numpy promises to keep these, but not what it makes of them.
    raw = np.random.Philox(key=np.array([ORDER + stream, epoch], np.uint64)).random_raw(count)
    order = np.argsort(raw, kind="stable")
    order.flags.writeable = False
    return order


def skipped(most: int) -> int:
    """Give how many things a `rand_skip` leaves out at the start: 0 to `most` - 1, the same in every run."""
    if most == 0:
        return 0
    return int(np.random.Philox(key=np.array([SKIP, 0], np.uint64)).random_raw(1)[0]) % most
