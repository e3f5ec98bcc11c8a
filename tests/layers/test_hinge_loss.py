from __future__ import annotations

import numpy as np
import pytest

from ristretto.errors import ModelError

TEXT = 'name: "l" type: "HingeLoss" bottom: "x" bottom: "label" top: "l"'


@pytest.mark.parametrize("norm", ["L1", "L2"])
def test_loss_is_what_margins_lack(layer, check, rng, norm) -> None:
    scores = rng.uniform(-2, 2, (4, 5)).astype(np.float32)
    labels = np.array([0, 4, 2, 2], np.float32)
    total = 0.0
    for picture in range(4):
        for label in range(5):
            sign = 1 if label == labels[picture] else -1
            lacking = max(0.0, 1 - sign * float(scores[picture, label]))
            total += lacking if norm == "L1" else lacking**2
    op = layer(TEXT + f" hinge_loss_param {{ norm: {norm} }}")
    check(op, [scores, labels.reshape(4, 1, 1, 1)], [np.array(total / 4)], onnx_form=False)


def test_the_norm_is_l1_by_default(layer) -> None:
    op = layer(TEXT)
    assert (op.norm, op.higher_is_better, op.bottom_counts()) == ("L1", False, (2, 2))


def test_misfits_are_named(layer, misfit) -> None:
    misfit(layer(TEXT), [(3, 8), (4,)], "do not fit")


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_of_no_class_is_named(layer, label) -> None:
    with pytest.raises(ModelError, match=f"label {label} where the net has 3 classes"):
        layer(TEXT).forward([np.zeros((1, 3)), np.array([label])], [])
