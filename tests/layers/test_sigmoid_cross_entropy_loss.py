from __future__ import annotations

import math

import numpy as np
import pytest

TEXT = 'name: "l" type: "SigmoidCrossEntropyLoss" bottom: "x" bottom: "t" top: "l" loss_param {{ {settings} }}'


def entropy(score: float, target: float) -> float:
    share = 1 / (1 + math.exp(-score))
    return -(target * math.log(share) + (1 - target) * math.log(1 - share))


@pytest.mark.parametrize(
    ("settings", "divisor"),
    [
        ("", 3),
        ("normalization: FULL", 12),
        ("normalization: VALID", 10),
        ("normalization: BATCH_SIZE", 3),
        ("normalization: NONE", 1),
        ("normalize: true", 10),
        ("normalize: false", 3),
        ("normalize: true normalization: FULL", 12),
    ],
)
def test_loss_is_the_mean_cross_entropy_of_what_counts(layer, check, rng, settings, divisor) -> None:
    scores = rng.uniform(-3, 3, (3, 4)).astype(np.float32)
    targets = rng.choice([0, 0.25, 1], (3, 4)).astype(np.float32)
    targets[0, 1] = targets[2, 3] = -1
    total = sum(entropy(float(x), float(t)) for x, t in zip(scores.flat, targets.flat, strict=True) if t != -1)
    op = layer(TEXT.format(settings=settings + " ignore_label: -1"))
    check(op, [scores, targets], [np.array(total / divisor)], onnx_form=False)


def test_without_an_ignored_label_everything_counts(layer) -> None:
    op = layer(TEXT.format(settings="normalization: VALID"))
    (loss,) = op.forward([np.array([[0.0, 0.0]]), np.array([[0.0, 1.0]])], [])
    assert float(loss) == pytest.approx(math.log(2))


def test_large_scores_neither_overflow_nor_warn(layer) -> None:
    op = layer(TEXT.format(settings=""))
    with np.errstate(all="raise", under="ignore"):
        (loss,) = op.forward([np.array([[1e4, -1e4]]), np.array([[0.0, 0.0]])], [])
    assert float(loss) == 1e4


def test_nothing_that_counts_gives_zero(layer) -> None:
    op = layer(TEXT.format(settings="normalization: VALID ignore_label: 0"))
    assert float(op.forward([np.ones((2, 2)), np.zeros((2, 2))], [])[0]) == 0


def test_misfits_are_named(layer, misfit) -> None:
    op = layer(TEXT.format(settings=""))
    assert (op.higher_is_better, op.bottom_counts()) == (False, (2, 2))
    misfit(op, [(3, 8), (3, 7)], "do not fit")
