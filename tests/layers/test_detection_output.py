from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ristretto.errors import ModelError
from ristretto.layers.detection_output import DetectionOutput

TEXT = """name: "d" type: "DetectionOutput" bottom: "loc" bottom: "conf" bottom: "priors" top: "found"
    detection_output_param {{ {settings} }}"""


def decoded(op: DetectionOutput, loc: list[float], prior: list[float], variance: list[float]) -> list[float]:
    """Move one prior, one number at a time."""
    if not op.variance_encoded_in_target:
        loc = [number * factor for number, factor in zip(loc, variance, strict=True)]
    xmin, ymin, xmax, ymax = prior
    width, height = xmax - xmin, ymax - ymin
    if op.code_type == "CORNER":
        return [corner + number for corner, number in zip(prior, loc, strict=True)]
    if op.code_type == "CORNER_SIZE":
        return [xmin + loc[0] * width, ymin + loc[1] * height, xmax + loc[2] * width, ymax + loc[3] * height]
    x, y = (xmin + xmax) / 2 + loc[0] * width, (ymin + ymax) / 2 + loc[1] * height
    width, height = width * math.exp(loc[2]), height * math.exp(loc[3])
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def overlap(a: list[float], b: list[float]) -> float:
    def area(box: list[float]) -> float:
        return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)

    shared = area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])
    return shared / (area(a) + area(b) - shared) if shared else 0.0


def best_of(op: DetectionOutput, boxes: list[list[float]], scores: list[float]) -> list[int]:
    likely = [index for index, score in enumerate(scores) if score > op.confidence_threshold]
    likely.sort(key=lambda index: -scores[index])
    if op.nms_top_k >= 0:
        likely = likely[: op.nms_top_k]
    threshold, kept = op.nms_threshold, []
    for index in likely:
        if all(overlap(boxes[index], boxes[other]) <= threshold for other in kept):
            kept.append(index)
            if op.nms_eta < 1 and threshold > 0.5:
                threshold *= op.nms_eta
    return kept


def detected(op: DetectionOutput, loc: np.ndarray, conf: np.ndarray, priors: np.ndarray) -> np.ndarray:
    pictures, count = len(loc), priors.shape[2] // 4
    sets = 1 if op.share_location else op.num_classes
    rows = []
    for picture in range(pictures):
        found = []
        for label in range(op.num_classes):
            if label == op.background:
                continue
            own = 0 if op.share_location else label
            boxes = [
                decoded(
                    op,
                    [float(loc[picture].ravel()[(p * sets + own) * 4 + k]) for k in range(4)],
                    [float(priors[0, 0, p * 4 + k]) for k in range(4)],
                    [float(priors[0, 1, p * 4 + k]) for k in range(4)],
                )
                for p in range(count)
            ]
            scores = [float(conf[picture].ravel()[p * op.num_classes + label]) for p in range(count)]
            found += [(label, scores[p], boxes[p]) for p in best_of(op, boxes, scores)]
        if op.keep_top_k >= 0:
            found = sorted(found, key=lambda one: -one[1])[: op.keep_top_k]
            found.sort(key=lambda one: one[0])
        rows += [[picture, label, score, *box] for label, score, box in found]
    if not rows:
        rows = [[picture, *[-1] * 6] for picture in range(pictures)]
    rows += [[-1] * 7] * (op.infer([loc.shape, conf.shape, priors.shape])[0][2] - len(rows))
    return np.array(rows, float)[None, None]


def inputs(op: DetectionOutput, rng: np.random.Generator, pictures: int = 2, count: int = 12) -> list[np.ndarray]:
    sets = 1 if op.share_location else op.num_classes
    loc = rng.normal(0, 1, (pictures, count * sets * 4))
    # Scores on a grid, so that many are equal.
    conf = rng.integers(0, 8, (pictures, count * op.num_classes)) / 8
    corners = np.sort(rng.uniform(0, 1, (count, 2, 2)), axis=1)
    corners[:, 1] += 0.05
    priors = np.stack([corners.reshape(-1), np.tile([0.1, 0.1, 0.2, 0.2], count)])[None]
    return [array.astype(np.float32) for array in (loc, conf, priors)]


SETTINGS = [
    "num_classes: 3",
    "num_classes: 3 code_type: CENTER_SIZE nms_param { nms_threshold: 0.45 top_k: 5 } keep_top_k: 4",
    "num_classes: 4 code_type: CORNER_SIZE share_location: false confidence_threshold: 0.5",
    "num_classes: 2 code_type: CENTER_SIZE variance_encoded_in_target: true background_label_id: -1",
    "num_classes: 3 background_label_id: 2 nms_param { nms_threshold: 0.9 eta: 0.7 } keep_top_k: 30",
    "num_classes: 3 code_type: CORNER share_location: false background_label_id: 1 nms_param { top_k: 0 }",
    "num_classes: 3 keep_top_k: 0",
    "num_classes: 3 confidence_threshold: 1",
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_detections_are_those_of_plain_loops(layer, check, rng, settings) -> None:
    op = layer(TEXT.format(settings=settings))
    bottoms = inputs(op, rng)
    check(op, bottoms, [detected(op, *bottoms)], onnx_form=False)


def test_defaults_are_those_of_ssd(layer) -> None:
    op = layer(TEXT.format(settings="num_classes: 3"))
    assert op == DetectionOutput(3, nms_threshold=op.nms_threshold)
    assert op.nms_threshold == pytest.approx(0.3)
    assert op.bottom_counts() == (3, 4)


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        ("num_classes: 3", 2 * 2 * 12),
        ("num_classes: 3 background_label_id: -1", 2 * 3 * 12),
        ("num_classes: 3 background_label_id: 7", 2 * 3 * 12),
        ("num_classes: 3 nms_param { top_k: 5 }", 2 * 2 * 5),
        ("num_classes: 3 nms_param { top_k: 50 }", 2 * 2 * 12),
        ("num_classes: 3 nms_param { top_k: 5 } keep_top_k: 7", 2 * 7),
        ("num_classes: 3 nms_param { top_k: 5 } keep_top_k: 70", 2 * 2 * 5),
        ("num_classes: 3 keep_top_k: 0", 2),
        ("num_classes: 1", 2),
    ],
)
def test_there_are_as_many_rows_as_there_can_be_detections(layer, rng, settings, rows) -> None:
    op = layer(TEXT.format(settings=settings))
    bottoms = inputs(op, rng)
    assert op.infer([bottom.shape for bottom in bottoms]) == ((1, 1, rows, 7),)


def test_every_row_can_be_filled(layer) -> None:
    """Boxes far apart, all of them likely: no row is left over, and none is missing."""
    op = layer(TEXT.format(settings="num_classes: 3"))
    loc, conf = np.zeros((2, 16), np.float32), np.full((2, 12), 0.5, np.float32)
    corners = [[x, y, x + 0.4, y + 0.4] for x, y in itertools.product((0, 0.5), (0, 0.5))]
    priors = np.array([np.ravel(corners), [0.1] * 16], np.float32)[None]
    (top,) = op.forward([loc, conf, priors], [])
    assert (top[0, 0, :, 0] >= 0).all()
    assert [tuple(row[:2]) for row in top[0, 0, ::4]] == [(0, 1), (0, 2), (1, 1), (1, 2)]


@pytest.mark.parametrize(("threshold", "kept"), [(0.5, 2), (0.46875, 1)])
def test_a_box_that_overlaps_as_much_as_it_may_is_kept(layer, threshold, kept) -> None:
    settings = f"num_classes: 2 nms_param {{ nms_threshold: {threshold} }}"
    op = layer(TEXT.format(settings=settings))
    priors = np.array([[0, 0, 1, 1, 0, 0, 1, 0.5], [0.1] * 8], np.float32)[None]
    (top,) = op.forward([np.zeros((1, 8), np.float32), np.full((1, 4), 0.5, np.float32), priors], [])
    assert (top[0, 0, :, 0] == 0).sum() == kept


def test_where_nothing_is_found_each_picture_has_a_row(layer, rng) -> None:
    op = layer(TEXT.format(settings="num_classes: 3 confidence_threshold: 2 keep_top_k: 3"))
    (top,) = op.forward(inputs(op, rng), [])
    assert top[0, 0].tolist() == [[0] + [-1] * 6, [1] + [-1] * 6] + [[-1] * 7] * 4


def test_wild_locations_do_not_warn(layer, rng) -> None:
    op = layer(TEXT.format(settings="num_classes: 2 code_type: CENTER_SIZE"))
    loc, conf, priors = inputs(op, rng)
    loc *= 1e5
    with np.errstate(all="raise"):
        (top,) = op.forward([loc, conf, priors], [])
    assert top.shape == op.infer([loc.shape, conf.shape, priors.shape])[0]


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ("", "num_classes must be at least 1"),
        ("num_classes: 3 nms_param { nms_threshold: -1 }", "nms_threshold must not be negative"),
        ("num_classes: 3 nms_param { eta: 0 }", "eta must lie between 0 and 1"),
        ("num_classes: 3 nms_param { eta: 1.5 }", "eta must lie between 0 and 1"),
    ],
)
def test_faults_are_named(layer, settings, fault) -> None:
    with pytest.raises(ModelError, match=fault):
        layer(TEXT.format(settings=settings))


@pytest.mark.parametrize(
    ("shapes", "fault"),
    [
        ([(2, 48), (2, 36), (1, 48)], "priors of shape"),
        ([(2, 48), (2, 36), (1, 1, 48)], "priors of shape"),
        ([(2, 44), (2, 36), (1, 2, 48)], "locations of shape (2, 44) for 12 priors and 1 sets"),
        ([(2, 48), (3, 36), (1, 2, 48)], "locations of shape"),
        ([(2, 48), (2, 35), (1, 2, 48)], "scores of shape (2, 35) for 12 priors and 3 classes"),
    ],
)
def test_misfits_are_named(layer, misfit, shapes, fault) -> None:
    misfit(layer(TEXT.format(settings="num_classes: 3")), shapes, fault)


@pytest.mark.parametrize("code_type", ["CENTER_SIZE", "CORNER_SIZE"])
def test_a_prior_without_size_is_named(layer, rng, code_type) -> None:
    op = layer(TEXT.format(settings=f"num_classes: 3 code_type: {code_type}"))
    loc, conf, priors = inputs(op, rng)
    priors[0, 0, 2] = priors[0, 0, 0]
    with pytest.raises(ModelError, match="a prior has no width or no height"):
        op.forward([loc, conf, priors], [])
