"""Accuracy against Caffe's rule, one picture and one class at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ristretto.errors import ModelError
from ristretto.layers import Accuracy

TEXT = 'type: "Accuracy" accuracy_param {{ {} }}'


def right(scores: list[float], label: int, top_k: int) -> tuple[bool, bool]:
    """Whether a picture counts by Caffe's rule, and by the one in which a tie goes to the lower index."""
    ties, better = 0, 0
    lower_ties = 0
    for k, score in enumerate(scores):
        if k != label and score == scores[label]:
            ties += 1
            lower_ties += k < label
        better += score > scores[label]
    return better + ties < top_k, better + lower_ties < top_k


def shares(op: Accuracy, scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    rows = np.moveaxis(scores, op.axis, -1)
    found = [
        right(rows[place].tolist(), int(label), op.top_k)
        for place, label in zip(np.ndindex(rows.shape[:-1]), labels.flat, strict=True)
        if label != op.ignore_label and not np.isnan(label)
    ]
    return tuple(float(np.mean(column)) for column in zip(*found, strict=True)) if found else (0.0, 0.0)


@pytest.mark.parametrize(
    ("settings", "shape", "label_shape"),
    [
        ("", (40, 5), (40,)),
        ("top_k: 3", (40, 5), (40, 1)),
        ("top_k: 5", (10, 5), (10,)),
        ("ignore_label: 2", (40, 3), (40,)),
        ("", (5, 4, 2, 3), (5, 1, 2, 3)),
        ("axis: 2 top_k: 2", (2, 6, 4), (2, 6)),
        ("axis: -1", (8, 6), (8,)),
    ],
)
def test_a_tie_counts_as_wrong(layer, check, rng, settings, shape, label_shape) -> None:
    op = layer(TEXT.format(settings))
    scores = rng.integers(-2, 3, shape).astype(np.float32)
    labels = rng.integers(0, shape[op.axis], label_shape).astype(np.float32)
    strict, lenient = shares(op, scores, labels)
    of_class = [shares(op, scores, np.where(labels == k, labels, np.nan))[0] for k in range(shape[op.axis])]
    check(op, [scores, labels], [np.float64(strict), np.array(of_class)], onnx_form=False)
    assert op.companions([scores, labels]) == {"argmax": pytest.approx(lenient)}


@given(hnp.arrays(np.float32, (1, 6), elements=st.integers(0, 3)), st.integers(0, 5), st.integers(1, 6))
def test_any_tie_is_decided_by_the_rule(scores: np.ndarray, label: int, top_k: int) -> None:
    op = Accuracy(top_k)
    bottoms = [scores, np.array([label], np.float32)]
    strict, lenient = right(scores[0].tolist(), label, top_k)
    assert op.forward(bottoms, [])[0] == strict
    assert op.companions(bottoms)["argmax"] == lenient
    assert {suffix: seen.tolist() for suffix, seen in op.per_picture(bottoms).items()} == {
        "": [strict],
        "argmax": [lenient],
    }


@pytest.mark.parametrize(("shape", "label_shape"), [((40, 5), (40,)), ((40, 5), (40, 1, 1)), ((30, 4, 1, 1), (30,))])
def test_pictures_count_one_by_one(rng, shape, label_shape) -> None:
    op = Accuracy(top_k=2)
    bottoms = [rng.integers(-2, 3, shape).astype(np.float32), rng.integers(0, shape[1], label_shape)]
    rows = bottoms[0].reshape(shape[:2]).tolist()
    found = [right(scores, int(label), 2) for scores, label in zip(rows, bottoms[1].flat, strict=True)]
    seen = op.per_picture(bottoms)
    assert list(zip(seen[""].tolist(), seen["argmax"].tolist(), strict=True)) == found
    assert op.forward(bottoms, [])[0] == seen[""].mean()


def test_pictures_do_not_count_one_by_one_where_batches_weigh_unlike_numbers_of_labels(rng) -> None:
    scores = rng.normal(size=(6, 4, 2, 3)).astype(np.float32)
    assert Accuracy().per_picture([scores, rng.integers(0, 4, (6, 1, 2, 3))]) == {}
    assert Accuracy(ignore_label=2).per_picture([scores[:, :, 0, 0], rng.integers(0, 4, 6)]) == {}


def test_argmax_is_numpys(layer, rng) -> None:
    op = layer('type: "Accuracy"')
    scores = rng.integers(0, 4, (200, 6)).astype(np.float32)
    labels = rng.integers(0, 6, 200)
    assert op.companions([scores, labels])["argmax"] == (scores.argmax(axis=1) == labels).mean()


@pytest.mark.parametrize(
    ("scores", "top_k"), [([np.nan, np.nan, np.nan], 1), ([1, np.nan, 0], 1), ([np.nan, 1, 0], 1), ([1, np.nan, 0], 3)]
)
def test_a_score_that_is_no_number_is_never_right(layer, scores, top_k) -> None:
    op = layer(TEXT.format(f"top_k: {top_k}"))
    bottoms = [np.float32([scores]), np.float32([1])]
    assert op.forward(bottoms, [])[0] == 0
    assert op.companions(bottoms) == {"argmax": 0}


def test_infinite_scores_are_compared_as_others_are(layer) -> None:
    op = layer('type: "Accuracy"')
    scores = np.float32([[np.inf, 1], [np.inf, np.inf], [-np.inf, 1]])
    assert op.forward([scores, np.float32([0, 0, 0])], [])[0] == pytest.approx(1 / 3)


def test_nothing_to_count_is_nothing_right(layer) -> None:
    op = layer(TEXT.format("ignore_label: 0"))
    assert op.forward([np.zeros((3, 2)), np.zeros(3)], [])[0] == 0


def test_settings_are_read_as_caffe_does(layer) -> None:
    assert layer('type: "Accuracy"') == Accuracy(top_k=1, axis=1, ignore_label=None)
    assert layer(TEXT.format("ignore_label: 0")).ignore_label == 0


@pytest.mark.parametrize("label", [-1, 4])
def test_a_class_that_is_not_there_is_named(layer, label) -> None:
    with pytest.raises(ModelError, match=f"label {label} where the net has 4 classes"):
        layer('type: "Accuracy"').forward([np.zeros((2, 4)), np.array([0, label])], [])


@pytest.mark.parametrize(
    ("op", "shapes", "fault"),
    [
        (Accuracy(), [(4, 3), (5,)], "do not fit"),
        (Accuracy(axis=2), [(4, 3), (4,)], "axis 2"),
        (Accuracy(top_k=4), [(4, 3), (4,)], "top_k 4 of 3 classes"),
    ],
)
def test_bottoms_that_do_not_go_are_named(misfit, op, shapes, fault) -> None:
    misfit(op, shapes, fault)


def test_it_is_a_score(layer) -> None:
    assert layer('type: "Accuracy"').higher_is_better is True
