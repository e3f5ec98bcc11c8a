"""A step of training, against gradients and formulas written out in numpy."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ristretto.errors import FormatError, ModelError, TrainingError
from ristretto.finetune.radix_points import DECAYS, DELTA, RATE, RadixPoints
from ristretto.finetune.training import FROZEN, Choices, Training, reproducible
from ristretto.formats import FixedPoint
from ristretto.layers.batch_norm import BatchNorm
from ristretto.layers.convolution import Convolution
from ristretto.layers.dropout import Dropout
from ristretto.layers.euclidean_loss import EuclideanLoss
from ristretto.layers.inner_product import InnerProduct
from ristretto.layers.input import Input
from ristretto.layers.softmax_with_loss import SoftmaxWithLoss
from ristretto.net import Layer, LayerQuant, Net, Op, ParamSpec, Phase, Solver
from ristretto.net.quant import PLACES

PICTURES, INPUTS, CLASSES = 5, 3, 4
SHAPES = {"data": (PICTURES, INPUTS), "label": (PICTURES,)}
RNG = np.random.default_rng(3)
WEIGHTS = RNG.normal(size=(CLASSES, INPUTS)).astype(np.float32)
BIAS = RNG.normal(size=CLASSES).astype(np.float32)
RATE_OF_SOLVER, MOMENTUM, DECAY = 0.125, 0.5, 0.0625
PARAMS = FixedPoint(3, 1)


def net(quant: LayerQuant | None = None, loss: Op | None = None, label: tuple[int, ...] = (PICTURES,)) -> Net:
    layers = (
        Layer("in", Input((SHAPES["data"], label)), (), ("data", "label")),
        Layer("fc", InnerProduct(CLASSES), ("data",), ("fc",), (WEIGHTS, BIAS), quant=quant),
        Layer("loss", loss or SoftmaxWithLoss(), ("fc", "label"), ("loss",)),
    )
    return Net("net", layers).for_phase(Phase.TRAIN)


def batch(number: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng((1, number))
    return {
        "data": rng.normal(size=SHAPES["data"]).astype(np.float32),
        "label": rng.integers(0, CLASSES, PICTURES).astype(np.float32),
    }


def solver(**settings: object) -> Solver:
    plain = Solver("net", RATE_OF_SOLVER, "fixed", 100, momentum=MOMENTUM, weight_decay=DECAY, path=Path("solver"))
    return replace(plain, **settings)  # type: ignore[arg-type]


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def gradients(weights: np.ndarray, bias: np.ndarray, given: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Differentiate the mean negative log-probability by hand: probabilities less the truth, over the pictures."""
    x = given["data"].astype(np.float64)
    truth = np.eye(CLASSES)[given["label"].astype(int)]
    error = (softmax(x @ weights.T + bias) - truth) / PICTURES
    return error.T @ x, error.sum(axis=0)


def trim(x: np.ndarray) -> np.ndarray:
    """Trim to 3 bits, one of them behind the point, halves away from zero."""
    return np.clip(np.sign(x) * np.floor(np.abs(x) * 2 + 0.5), -4, 3) / 2


@pytest.mark.parametrize("quantized", [False, True])
@pytest.mark.parametrize("iter_size", [1, 2])
def test_updates_are_those_of_the_formula(iter_size: int, quantized: bool) -> None:
    """Weights lose ``h = m h + r (g + d w)``: g at the trimmed weights, w and all that is changed the shadow's."""
    quant = LayerQuant(None, None, PARAMS) if quantized else None
    training = Training(net(quant), SHAPES, solver(iter_size=iter_size))
    shadow = [WEIGHTS.astype(np.float64), BIAS.astype(np.float64)]
    momenta = [np.zeros_like(each) for each in shadow]
    for number in range(3):
        given = [batch(number * iter_size + at) for at in range(iter_size)]
        training.update(given)
        computed = [trim(each) for each in shadow] if quantized else shadow
        found = [gradients(*computed, each) for each in given]
        for at in range(2):
            gradient = sum(each[at] for each in found) / iter_size + DECAY * shadow[at]
            momenta[at] = MOMENTUM * momenta[at] + RATE_OF_SOLVER * gradient
            shadow[at] = shadow[at] - momenta[at]
    trained = training.trained(training.net)["fc"].blobs
    for ours, theirs in zip(trained, shadow, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert not quantized or (trained[0] != PARAMS.trim(trained[0])).any(), "shadow weights stay off the grid"


def test_the_loss_is_that_of_the_trimmed_net_and_is_averaged() -> None:
    training = Training(net(LayerQuant(None, None, PARAMS)), SHAPES, solver(average_loss=2, base_lr=0.0))
    losses = []
    for number in range(3):
        given = batch(number)
        scores = given["data"] @ trim(WEIGHTS).T + trim(BIAS)
        true = softmax(scores)[np.arange(PICTURES), given["label"].astype(int)]
        losses.append(-np.log(true).mean())
        assert training.update([given]) == pytest.approx(losses[-1], rel=1e-5)
    assert training.smoothed == pytest.approx(np.mean(losses[-2:]), rel=1e-5)


def test_the_loss_of_several_batches_is_their_mean() -> None:
    given = [batch(0), batch(1)]
    alone = [Training(net(), SHAPES, solver()).update([each]) for each in given]
    assert Training(net(), SHAPES, solver(iter_size=2)).update(given) == pytest.approx(np.mean(alone), rel=1e-6)


def test_batches_of_one_update_are_masked_each_in_its_own_way() -> None:
    head, fc, loss = net().layers
    dropped = Layer("drop", Dropout(0.5), ("data",), ("dropped",))
    masked = Net("net", (head, dropped, replace(fc, bottoms=("dropped",)), loss)).for_phase(Phase.TRAIN)
    alone = Training(masked, SHAPES, solver(base_lr=0.0))
    losses = [alone.update([batch(0)]) for _ in range(4)]
    assert len(set(losses)) == 4
    together = Training(masked, SHAPES, solver(base_lr=0.0, iter_size=2))
    for first in (0, 2):
        assert together.update([batch(0)] * 2) == pytest.approx(np.mean(losses[first : first + 2]), rel=1e-6)


def teacher_of(plain: Net) -> Net:
    """Give the net with other weights, so that there is something to learn."""
    weights = (np.flip(WEIGHTS, 0).copy(), np.flip(BIAS).copy())
    return replace(plain, layers=tuple(replace(each, blobs=weights) if each.blobs else each for each in plain.layers))


@pytest.mark.parametrize("share", [0.5, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_distillation_is_the_divergence_from_the_float_net(share: float, temperature: float) -> None:
    choices = Choices(distill=share, temperature=temperature)
    training = Training(net(LayerQuant(None, None, PARAMS)), SHAPES, solver(), choices, teacher=teacher_of(net()))
    given = batch(0)
    theirs = softmax((given["data"] @ np.flip(WEIGHTS, 0).T + np.flip(BIAS)) / temperature)
    scores = given["data"] @ trim(WEIGHTS).T + trim(BIAS)
    ours = softmax(scores / temperature)
    distance = temperature**2 * (theirs * np.log(theirs / ours)).sum() / PICTURES
    by_labels = -np.log(softmax(scores)[np.arange(PICTURES), given["label"].astype(int)]).mean()
    assert training.update([given]) == pytest.approx(share * distance + (1 - share) * by_labels, rel=1e-5)


def test_classes_at_every_place_of_a_picture_are_distilled() -> None:
    """Scores (n, classes, h, w): a softmax over the classes at each place, and the mean over the places."""
    place = (2, 3)
    kernel = RNG.normal(size=(CLASSES, INPUTS, 1, 1)).astype(np.float32)
    other = np.flip(kernel, 0).copy()

    def picture_net(weights: np.ndarray) -> Net:
        layers = (
            Layer("in", Input(((PICTURES, INPUTS, *place), (PICTURES, *place))), (), ("data", "label")),
            Layer("conv", Convolution(CLASSES, (1, 1), bias_term=False), ("data",), ("conv",), (weights,)),
            Layer("loss", SoftmaxWithLoss(), ("conv", "label"), ("loss",)),
        )
        return Net("net", layers).for_phase(Phase.TRAIN)

    shapes = {"data": (PICTURES, INPUTS, *place), "label": (PICTURES, *place)}
    x = np.random.default_rng(5).normal(size=shapes["data"]).astype(np.float32)
    choices = Choices(distill=1.0, temperature=2.0)
    training = Training(picture_net(kernel), shapes, solver(), choices, teacher=picture_net(other))
    total = 0.0
    for at in np.ndindex(PICTURES, *place):
        seen = x[at[0], :, at[1], at[2]]
        ours, theirs = (softmax((weights[:, :, 0, 0] @ seen)[None] / 2) for weights in (kernel, other))
        total += 4 * float((theirs * np.log(theirs / ours)).sum())
    wanted = total / (PICTURES * place[0] * place[1])
    found = training.update([{"data": x, "label": np.zeros(shapes["label"], np.float32)}])
    assert found == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("axis", [2, -1])
def test_classes_are_distilled_where_the_loss_has_them(axis: int) -> None:
    """Scores (n, rows, classes): the axis of the classes is the loss's own."""
    rows = 2
    shapes = {"data": (PICTURES, rows, INPUTS), "label": (PICTURES, rows)}
    ours, theirs = WEIGHTS, np.flip(WEIGHTS, 0).copy()

    def rows_net(weights: np.ndarray) -> Net:
        layers = (
            Layer("in", Input((shapes["data"], shapes["label"])), (), ("data", "label")),
            Layer("fc", InnerProduct(CLASSES, bias_term=False, axis=2), ("data",), ("fc",), (weights,)),
            Layer("loss", SoftmaxWithLoss(axis=axis), ("fc", "label"), ("loss",)),
        )
        return Net("net", layers).for_phase(Phase.TRAIN)

    training = Training(rows_net(ours), shapes, solver(), Choices(distill=1.0), teacher=rows_net(theirs))
    x = np.random.default_rng(6).normal(size=shapes["data"]).astype(np.float32)
    p, q = (softmax(x.reshape(-1, INPUTS) @ weights.T) for weights in (theirs, ours))
    found = training.update([{"data": x, "label": np.zeros(shapes["label"], np.float32)}])
    assert found == pytest.approx((p * np.log(p / q)).sum() / (PICTURES * rows), rel=1e-5)


def test_a_threshold_without_a_number_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(quantized_net(), SHAPES, solver(), Choices(learn_fl=True))
    points = training.radix_points
    assert points is not None
    last = list(points.places.values())[-1].log2_threshold
    last.register_hook(lambda gradient: gradient * float("nan"))
    before = points.state()
    with pytest.raises(FormatError, match="layer 'fc': the gradient of its params threshold is nan"):
        training.update([batch(0)])
    np.testing.assert_array_equal(training.trained(net())["fc"].blobs[0], WEIGHTS)
    for name, array in points.state().items():
        np.testing.assert_array_equal(array, before[name])


def test_with_distillation_alone_labels_change_nothing() -> None:
    found = []
    for turn in (0, 1):
        given = batch(0)
        given["label"] = (given["label"] + turn) % CLASSES
        training = Training(net(), SHAPES, solver(), Choices(distill=1.0), teacher=teacher_of(net()))
        training.update([given])
        found.append(training.trained(training.net)["fc"].blobs[0])
    np.testing.assert_array_equal(*found)


def test_outputs_that_are_no_classes_are_learned_by_their_squares() -> None:
    shape = (PICTURES, CLASSES)
    plain = net(loss=EuclideanLoss(), label=shape)
    shapes = {**SHAPES, "label": shape}
    training = Training(plain, shapes, solver(), Choices(distill=1.0), teacher=teacher_of(plain))
    given = {"data": batch(0)["data"], "label": np.zeros(shape, np.float32)}
    difference = given["data"] @ (WEIGHTS - np.flip(WEIGHTS, 0)).T + BIAS - np.flip(BIAS)
    assert training.update([given]) == pytest.approx(np.square(difference).sum() / (2 * PICTURES), rel=1e-5)


def test_a_loss_that_is_no_number_ends_the_training_and_leaves_the_weights() -> None:
    training = Training(net(), SHAPES, solver(base_lr=1e30, momentum=0.0))
    with pytest.raises(TrainingError, match=r"at iteration \d+, with a learning rate of 1e\+30") as caught:
        for number in range(9):
            before = training.shadow["fc", 0].detach().numpy().copy()
            training.update([batch(number)])
    assert "base_lr" in caught.value.hint
    assert 0 < training.iteration < 9
    np.testing.assert_array_equal(training.shadow["fc", 0].detach().numpy(), before)


def test_weights_that_are_no_numbers_are_not_given_out() -> None:
    """An update may go too far where the loss before it was a number."""
    training = Training(net(), SHAPES, solver())
    training.update([batch(0)])
    with torch.no_grad():
        training.shadow["fc", 1][2] = np.inf
    with pytest.raises(TrainingError, match="weights of layer 'fc' are NaN or infinite after 1 updates") as caught:
        training.trained(training.net)
    assert "base_lr" in caught.value.hint


def test_a_net_without_a_loss_is_not_trained() -> None:
    bare = net()
    weightless = (*bare.layers[:-1], replace(bare.layers[-1], loss_weights=(0.0,)))
    for layers in (bare.layers[:-1], weightless):
        with pytest.raises(ModelError, match="net 'net' has no loss in the TRAIN phase"):
            Training(replace(bare, layers=layers), SHAPES, solver())
    # What is learned from a teacher is a loss of its own.
    distilled = Training(
        replace(bare, layers=weightless), SHAPES, solver(), Choices(distill=1.0), teacher=teacher_of(net())
    )
    assert distilled.update([batch(0)]) > 0


def test_a_loss_without_a_top_is_one() -> None:
    plain = net()
    topless = replace(plain, layers=(*plain.layers[:-1], replace(plain.layers[-1], tops=())))
    wanted = Training(plain, SHAPES, solver()).update([batch(0)])
    assert Training(topless, SHAPES, solver()).update([batch(0)]) == wanted


def test_where_nothing_is_trained_weights_stay_and_sums_move() -> None:
    still = (ParamSpec(lr_mult=0.0), ParamSpec(lr_mult=0.0))
    head, fc, loss = net().layers
    sums = (np.zeros(INPUTS, np.float32), np.ones(INPUTS, np.float32), np.ones(1, np.float32))
    norm = Layer("norm", BatchNorm(), ("data",), ("norm",), sums)
    layers = (head, norm, replace(fc, bottoms=("norm",), params=still), loss)
    training = Training(Net("net", layers).for_phase(Phase.TRAIN), SHAPES, solver())
    training.update([batch(0)])
    trained = training.trained(training.net)
    np.testing.assert_array_equal(trained["fc"].blobs[0], WEIGHTS)
    given = batch(0)["data"].mean(axis=0)
    np.testing.assert_allclose(trained["norm"].blobs[0], given, rtol=1e-5)


def test_one_batch_is_held_at_a_time() -> None:
    """Those who have no room for a large batch set iter_size."""
    training = Training(net(), SHAPES, solver(iter_size=3))
    run = []

    def given() -> Iterator[dict[str, np.ndarray]]:
        for number in range(3):
            run.append(training.shadow["fc", 0].grad is not None)
            yield batch(number)

    training.update(given())
    assert run == [False, True, True]
    for wrong in (2, 4):
        with pytest.raises(ValueError, match="zip"):
            training.update([batch(0)] * wrong)


def test_settings_of_torch_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)

    deterministic: Any = torch.utils.deterministic

    def settings() -> tuple[int, bool, bool, bool, str | None]:
        return (
            torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            deterministic.fill_uninitialized_memory,
            os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        )

    before = settings()
    with pytest.raises(KeyError), reproducible(3):
        assert settings() == (3, True, False, False, None)
        raise KeyError
    assert settings() == before
    # A GPU's operations are not all in one order, and cuBLAS is only with a workspace of its own.
    with reproducible(2, "cuda:0"):
        assert settings() == (2, True, True, False, ":4096:8")
    assert settings()[:4] == before[:4]


def quantized_net() -> Net:
    return net(LayerQuant(FixedPoint(4, 2), FixedPoint(6, 2), FixedPoint(4, 3)))


def test_thresholds_move_by_adam() -> None:
    """Its formulas in plain Python, for gradients that are given."""
    points = RadixPoints(quantized_net())
    assert list(points.places) == [("fc", place) for place in PLACES]
    thresholds = points.state()["thresholds"].tolist()
    first, second = [0.0] * 3, [0.0] * 3
    for step, given in enumerate(([1.0, -2.0, 0.5], [0.25, 3.0, 0.0], [-1.0, 1.0, 4.0])):
        for point, gradient in zip(points.places.values(), given, strict=True):
            point.log2_threshold.grad = point.log2_threshold.detach() * 0 + gradient
        points.step(step)
        for at, gradient in enumerate(given):
            first[at] = 0.9 * first[at] + 0.1 * gradient
            second[at] = 0.999 * second[at] + 0.001 * gradient**2
            mean, square = first[at] / (1 - 0.9 ** (step + 1)), second[at] / (1 - 0.999 ** (step + 1))
            thresholds[at] -= 0.01 * mean / (math.sqrt(square) + 1e-8)
    assert (RATE, DECAYS, DELTA) == (0.01, (0.9, 0.999), 1e-8)
    np.testing.assert_allclose(points.state()["thresholds"], thresholds, atol=1e-5)


def test_formats_are_what_thresholds_stand_for() -> None:
    points = RadixPoints(quantized_net())
    assert points.applied(quantized_net()) is not None
    assert points.applied(quantized_net())["fc"].quant == quantized_net()["fc"].quant, "nothing has moved yet"
    state = points.state()
    # Input, output, weights: ranges that end at 2, at 16 and at 1/2.
    points.restore({**state, "thresholds": np.array([0.5, 3.2, -1.9])})
    quant = points.applied(quantized_net())["fc"].quant
    assert quant == LayerQuant(FixedPoint(4, 2), FixedPoint(6, 1), FixedPoint(4, 4))


def test_radix_points_stay_in_the_last_part() -> None:
    training = Training(quantized_net(), SHAPES, solver(max_iter=8), Choices(learn_fl=True))
    assert training.radix_points is not None
    seen = []
    for number in range(8):
        training.update([batch(number)])
        seen.append(training.radix_points.state()["thresholds"].tolist())
    assert FROZEN == 0.25
    assert all(a != b for a, b in pairwise(seen[:6]))
    assert seen[5] == seen[6] == seen[7]


def test_what_has_no_radix_point_is_refused() -> None:
    with pytest.raises(ModelError, match="no radix point to learn"):
        RadixPoints(net())
    with pytest.raises(ModelError, match="are not those of a net with 3"):
        RadixPoints(quantized_net()).restore({"thresholds": np.zeros(2), "means": np.zeros(2), "squares": np.zeros(2)})


def test_a_net_without_a_loss_teaches_nothing() -> None:
    plain = net()
    bare = replace(plain, layers=plain.layers[:-1])
    with pytest.raises(ModelError, match="no loss in the TRAIN phase"):
        Training(bare, SHAPES, solver(), Choices(distill=1.0), teacher=bare)
