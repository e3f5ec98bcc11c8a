"""AbsVal against a plain loop."""

from __future__ import annotations

import numpy as np


def test_signs_are_dropped(layer, check, rng) -> None:
    x = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    wanted = np.array([v if v >= 0 else -v for v in x.astype(np.float64).flat]).reshape(x.shape)
    check(layer('type: "AbsVal"'), [x], [wanted])
