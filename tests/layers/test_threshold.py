"""Threshold against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.mark.parametrize(("text", "bound"), [("", 0.0), ("threshold_param { threshold: 0.25 }", 0.25)])
def test_each_number(layer, check, rng, text: str, bound: float) -> None:
    x = rng.normal(size=(2, 3, 4)).astype(np.float32)
    x.reshape(-1)[:2] = bound, np.nextafter(np.float32(bound), np.float32(1))
    wanted = np.array([1.0 if v > bound else 0.0 for v in x.astype(np.float64).flat]).reshape(x.shape)
    assert list(wanted.flat[:2]) == [0, 1]
    check(layer(f'type: "Threshold" {text}'), [x], [wanted])


@pytest.mark.parametrize(("bound", "rectifies"), [(0, True), (2, True), (-0.5, False)])
def test_which_thresholds_let_no_negative_number_count(layer, bound: float, rectifies: bool) -> None:
    assert layer(f'type: "Threshold" threshold_param {{ threshold: {bound} }}').rectifies is rectifies
