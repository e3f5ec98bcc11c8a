"""Silence: no tops, and no trace."""

from __future__ import annotations

import numpy as np


def test_it_makes_nothing(layer, check, rng) -> None:
    op = layer('type: "Silence" bottom: "a" bottom: "b"')
    bottoms = [rng.normal(size=(2, 3)).astype(np.float32), rng.normal(size=4).astype(np.float32)]
    check(op, bottoms, [], onnx_form=False)
    assert op.fewest_tops == 0
    assert op.bottom_counts()[0] == 1
