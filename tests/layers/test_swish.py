"""Swish against a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest


@pytest.mark.parametrize(("text", "beta"), [("", 1.0), ("swish_param { beta: 1.5 }", 1.5)])
def test_each_number(layer, check, rng, text: str, beta: float) -> None:
    x = (2 * rng.normal(size=(2, 3, 4))).astype(np.float32)
    wanted = [v / (1 + math.exp(-beta * v)) for v in x.astype(np.float64).flat]
    check(layer(f'type: "Swish" {text}'), [x], [np.array(wanted).reshape(x.shape)])
