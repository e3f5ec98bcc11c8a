"""SoftmaxWithLoss against a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ristretto.errors import ModelError
from ristretto.layers import SoftmaxWithLoss

TEXT = 'type: "SoftmaxWithLoss" {}'


def loss(op: SoftmaxWithLoss, scores: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    rows = np.moveaxis(scores.astype(np.float64), op.axis, -1)
    shares = np.empty(rows.shape)
    total, valid = 0.0, 0
    for place, label in zip(np.ndindex(rows.shape[:-1]), labels.flat, strict=True):
        powers = [math.exp(v - max(rows[place])) for v in rows[place]]
        shares[place] = [power / sum(powers) for power in powers]
        if label != op.ignore_label:
            total -= math.log(max(shares[place][int(label)], 1.1754943508222875e-38))
            valid += 1
    outer = math.prod(scores.shape[: op.axis % scores.ndim])
    count = {"FULL": labels.size, "VALID": valid, "BATCH_SIZE": outer, "NONE": 1}[op.normalization]
    return total / max(count, 1), np.moveaxis(shares, -1, op.axis)


@pytest.mark.parametrize("normalization", ["VALID", "FULL", "BATCH_SIZE", "NONE"])
@pytest.mark.parametrize(
    ("settings", "shape", "label_shape"),
    [
        ("", (4, 3), (4,)),
        ("", (2, 3, 2, 4), (2, 1, 2, 4)),
        ("softmax_param { axis: 2 }", (2, 3, 5), (2, 3)),
        ("softmax_param { axis: -1 }", (2, 3, 5), (6,)),
        ("", (3, 1), (3, 1)),
    ],
)
@pytest.mark.parametrize("ignore", [None, 0])
def test_it_is_the_mean_negative_logarithm(
    layer, check, rng, settings, shape, label_shape, normalization, ignore
) -> None:
    ignored = "" if ignore is None else f"ignore_label: {ignore}"
    op = layer(TEXT.format(f"{settings} loss_param {{ normalization: {normalization} {ignored} }}"))
    scores = rng.standard_normal(shape).astype(np.float32) * 3
    labels = rng.integers(0, shape[op.axis], label_shape).astype(np.float32)
    total, shares = loss(op, scores, labels)
    check(op, [scores, labels], [np.float64(total), shares], onnx_form=False)


def test_a_share_of_nothing_has_a_finite_logarithm(layer) -> None:
    op = layer(TEXT.format(""))
    top, _ = op.forward([np.float32([[0, 500]]), np.float32([0])], [])
    assert top == pytest.approx(-math.log(1.1754943508222875e-38))


def test_nothing_to_average_is_no_loss(layer) -> None:
    op = layer(TEXT.format("loss_param { ignore_label: 1 }"))
    assert op.forward([np.float32([[1, 2]]), np.float32([1])], [])[0] == 0


@pytest.mark.parametrize(
    ("settings", "normalization"),
    [
        ("", "VALID"),
        ("loss_param { normalize: true }", "VALID"),
        ("loss_param { normalize: false }", "BATCH_SIZE"),
        ("loss_param { normalize: false normalization: FULL }", "FULL"),
    ],
)
def test_settings_are_read_as_caffe_does(layer, settings, normalization) -> None:
    assert layer(TEXT.format(settings)) == SoftmaxWithLoss(1, None, normalization)


@pytest.mark.parametrize("label", [-1, 3, 255])
def test_a_class_that_is_not_there_is_named(layer, label) -> None:
    with pytest.raises(ModelError, match=f"label {label} where the net has 3 classes"):
        layer(TEXT.format("")).forward([np.zeros((2, 3)), np.array([0, label])], [])


@pytest.mark.parametrize(
    ("op", "shapes", "fault"),
    [
        (SoftmaxWithLoss(), [(4, 3), (5,)], "do not fit"),
        (SoftmaxWithLoss(axis=2), [(4, 3), (4,)], "axis 2"),
    ],
)
def test_bottoms_that_do_not_go_are_named(misfit, op, shapes, fault) -> None:
    misfit(op, shapes, fault)


def test_it_is_a_loss_and_needs_no_top(layer) -> None:
    op = layer(TEXT.format(""))
    assert op.higher_is_better is False
    assert op.fewest_tops == 0
