"""ReLU6 against a plain loop."""

from __future__ import annotations

import numpy as np

OP = 'type: "ReLU6"'


def test_each_number(layer, check, rng) -> None:
    x = (6 * rng.normal(size=(2, 3, 4, 5))).astype(np.float32)
    wanted = [min(max(v, 0.0), 6.0) for v in x.astype(np.float64).flat]
    assert max(wanted) == 6
    check(layer(OP), [x], [np.array(wanted).reshape(x.shape)])


def test_negative_inputs_do_not_matter(layer) -> None:
    assert layer(OP).rectifies
