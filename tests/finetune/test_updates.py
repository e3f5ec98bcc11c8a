"""Update rules, held to Caffe's formulas written out for each weight in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ristretto.errors import ModelError
from ristretto.finetune.policies import learning_rate
from ristretto.finetune.updates import RULES, Trained, Updater, rule_of
from ristretto.net import Solver

f = np.float32
Array = NDArray[np.float32]
PLAIN = Solver("net.prototxt", 0.25, "step", 100, gamma=0.5, stepsize=2)
MOMENTUM = {rule.type: 0.9 if rule.takes_momentum else 0.0 for rule in RULES}
SHAPES = ((3, 2), (5,), (2, 1, 2, 2))
# h and k: what Caffe's history has of a weight, first and second; g: its gradient; r: its rate; t: the iteration.
Step = Callable[[Solver, np.float32, np.float32, np.float32, np.float32, int], tuple[np.float32, ...]]


def sgd(s: Solver, g: f, h: f, k: f, r: f, t: int) -> tuple[f, ...]:
    h = f(s.momentum) * h + r * g
    return h, h, k


def nesterov(s: Solver, g: f, h: f, k: f, r: f, t: int) -> tuple[f, ...]:
    m, old = f(s.momentum), h
    h = m * h + r * g
    return -m * old + (f(1) + m) * h, h, k


def adagrad(s: Solver, g: f, h: f, k: f, r: f, t: int) -> tuple[f, ...]:
    h = g * g + h
    return r * (g / (np.sqrt(h) + f(s.delta))), h, k


def rmsprop(s: Solver, g: f, h: f, k: f, r: f, t: int) -> tuple[f, ...]:
    d = f(s.rms_decay)
    h = d * h + (f(1) - d) * (g * g)
    return r * (g / (np.sqrt(h) + f(s.delta))), h, k


def adadelta(s: Solver, g: f, h: f, k: f, r: f, t: int) -> tuple[f, ...]:
    m, delta = f(s.momentum), f(s.delta)
    h = m * h + (f(1) - m) * (g * g)
    u = g * np.sqrt((delta + k) / (delta + h))
    k = m * k + (f(1) - m) * (u * u)
    return r * u, h, k


def adam(s: Solver, g: f, h: f, k: f, r: f, t: int) -> tuple[f, ...]:
    m, n = f(s.momentum), f(s.momentum2)
    h = m * h + (f(1) - m) * g
    k = n * k + (f(1) - n) * (g * g)
    correction = f(math.sqrt(1 - float(n) ** (t + 1)) / (1 - float(m) ** (t + 1)))
    return (r * correction) * (h / (np.sqrt(k) + f(s.delta))), h, k


FORMULAS: dict[str, Step] = {
    "SGD": sgd,
    "Nesterov": nesterov,
    "AdaGrad": adagrad,
    "RMSProp": rmsprop,
    "AdaDelta": adadelta,
    "Adam": adam,
}


class Plain:
    """The training of some blobs, a weight at a time, in float32."""

    def __init__(self, solver: Solver, blobs: Sequence[Array], mults: Sequence[tuple[float, float]]) -> None:
        self.solver, self.mults = solver, mults
        self.weights = [blob.copy() for blob in blobs]
        self.first = [np.zeros_like(blob) for blob in blobs]
        self.second = [np.zeros_like(blob) for blob in blobs]

    def step(self, gradients: Sequence[Array], t: int) -> None:
        s, rate = self.solver, f(learning_rate(self.solver, t))
        # No gradient reaches a blob that does not learn.
        gradients = [g if lr else np.zeros_like(g) for g, (lr, _) in zip(gradients, self.mults, strict=True)]
        factor = f(1)
        if s.clip_gradients >= 0:
            length = f(math.sqrt(sum(float(x) ** 2 for g in gradients for x in g.flat)))
            if length > f(s.clip_gradients):
                factor = f(s.clip_gradients) / length
        for blob, gradient in enumerate(gradients):
            lr, decay = map(f, self.mults[blob])
            for at in np.ndindex(gradient.shape):
                w, g = self.weights[blob][at], gradient[at] * factor
                g = g * (f(1) / f(s.iter_size))
                g = g + (f(s.weight_decay) * decay) * (f(np.sign(w)) if s.regularization_type == "L1" else w)
                formula = FORMULAS[s.type]
                loss, self.first[blob][at], self.second[blob][at] = formula(
                    s, g, self.first[blob][at], self.second[blob][at], rate * lr, t
                )
                self.weights[blob][at] = w - loss


def blobs_and_gradients(seed: int, steps: int) -> tuple[list[Array], list[list[Array]]]:
    rng = np.random.default_rng(seed)
    draw = lambda: [rng.standard_normal(shape).astype(f) for shape in SHAPES]  # noqa: E731
    return draw(), [draw() for _ in range(steps)]


MULTS = ((1.0, 1.0), (2.0, 0.0), (0.5, 3.0))


def trained(blobs: Sequence[Array], mults: Sequence[tuple[float, float]] = MULTS) -> list[Trained]:
    return [Trained(torch.tensor(blob, requires_grad=True), *pair) for blob, pair in zip(blobs, mults, strict=True)]


def give(parameters: Sequence[Trained], gradients: Sequence[Array]) -> None:
    for each, gradient in zip(parameters, gradients, strict=True):
        each.tensor.grad = torch.tensor(gradient)


def weights(parameters: Sequence[Trained]) -> list[bytes]:
    return [each.tensor.detach().numpy().tobytes() for each in parameters]


def assert_same(parameters: Sequence[Trained], updater: Updater, plain: Plain) -> None:
    assert weights(parameters) == [blob.tobytes() for blob in plain.weights]
    wanted = [*plain.first, *plain.second][: len(plain.first) * updater.histories]
    assert [blob.tobytes() for blob in updater.history] == [blob.tobytes() for blob in wanted]
    assert [blob.shape for blob in updater.history] == [blob.shape for blob in wanted]


def test_every_rule_is_in_a_test_against_a_formula() -> None:
    assert {rule.type for rule in RULES} == set(FORMULAS)


@pytest.mark.parametrize("kind", FORMULAS)
@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"weight_decay": 0.125},
        {"weight_decay": 0.125, "regularization_type": "L1"},
        {"iter_size": 3},
        {"clip_gradients": 1.5, "iter_size": 3, "weight_decay": 0.0005},
        {"clip_gradients": 1000.0},
        {"delta": 0.1, "momentum2": 0.9, "rms_decay": 0.5},
    ],
    ids=lambda extra: " ".join(extra) or "plain",
)
def test_weights_and_history_are_those_of_the_formula(kind: str, extra: dict[str, Any]) -> None:
    solver = replace(PLAIN, **{"type": kind, "momentum": MOMENTUM[kind], **extra})
    blobs, steps = blobs_and_gradients(seed=1, steps=7)
    blobs[0][0, 0] = 0
    parameters, plain = trained(blobs), Plain(solver, blobs, MULTS)
    updater = rule_of(solver)(solver, parameters)
    for iteration, gradients in enumerate(steps):
        give(parameters, gradients)
        updater.step(iteration)
        plain.step(gradients, iteration)
        assert all(each.tensor.grad is None for each in parameters)
        assert_same(parameters, updater, plain)
    assert weights(parameters) != [blob.tobytes() for blob in blobs]


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(FORMULAS)),
    seed=st.integers(0, 1 << 16),
    momentum=st.sampled_from([0.0, 0.5, 0.9, 0.99]),
    decay=st.floats(0, 0.5),
    clip=st.sampled_from([-1.0, 0.5, 3.0]),
    iter_size=st.integers(1, 4),
    start=st.integers(0, 5),
    mults=st.lists(
        st.tuples(st.sampled_from([0.0, 1.0, 2.5]), st.sampled_from([0.0, 1.0, 0.3])), min_size=3, max_size=3
    ),
)
def test_any_settings_follow_the_formula(
    kind: str,
    seed: int,
    momentum: float,
    decay: float,
    clip: float,
    iter_size: int,
    start: int,
    mults: list[tuple[float, float]],
) -> None:
    momentum = momentum if MOMENTUM[kind] else 0.0
    solver = replace(PLAIN, type=kind, momentum=momentum, weight_decay=decay, clip_gradients=clip, iter_size=iter_size)
    blobs, steps = blobs_and_gradients(seed, steps=3)
    parameters, plain = trained(blobs, mults), Plain(solver, blobs, mults)
    updater = rule_of(solver)(solver, parameters)
    for iteration, gradients in enumerate(steps, start):
        give(parameters, gradients)
        updater.step(iteration)
        plain.step(gradients, iteration)
    assert_same(parameters, updater, plain)


@pytest.mark.parametrize("kind", FORMULAS)
def test_a_blob_that_does_not_learn_stays_and_keeps_a_history(kind: str) -> None:
    solver = replace(PLAIN, type=kind, momentum=MOMENTUM[kind], weight_decay=0.5, clip_gradients=0.5)
    blobs, steps = blobs_and_gradients(seed=2, steps=3)
    mults = ((0.0, 1.0), (1.0, 1.0), (1.0, 1.0))
    parameters, alone = trained(blobs, mults), trained(blobs[1:], mults[1:])
    updater, other = rule_of(solver)(solver, parameters), rule_of(solver)(solver, alone)
    for iteration, gradients in enumerate(steps):
        give(parameters, gradients)
        give(alone, gradients[1:])
        updater.step(iteration)
        other.step(iteration)
    assert weights(parameters) == [blobs[0].tobytes(), *weights(alone)], "it counts in the clipped length neither"
    assert len(updater.history) == 3 * updater.histories
    # Weight decay is all that reaches it; with a rate of 0 it leaves no momentum.
    assert updater.history[0].any() == (kind not in ("SGD", "Nesterov"))


def test_a_blob_without_a_gradient_has_one_of_zeros() -> None:
    solver = replace(PLAIN, momentum=0.5, weight_decay=0.125)
    parameters = trained([f([4.0])], [(1.0, 1.0)])
    updater = rule_of(solver)(solver, parameters)
    updater.step(0)
    assert parameters[0].tensor.item() == 4 - 0.25 * 0.125 * 4


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", FORMULAS)
def test_training_goes_on_from_a_history_to_the_last_bit(kind: str) -> None:
    solver = replace(PLAIN, type=kind, momentum=MOMENTUM[kind], weight_decay=0.01)
    blobs, steps = blobs_and_gradients(seed=3, steps=8)
    through = trained(blobs)
    updater = rule_of(solver)(solver, through)
    for iteration, gradients in enumerate(steps):
        if iteration == 5:
            halfway = trained([each.tensor.detach().numpy().copy() for each in through])
            kept = updater.history
        give(through, gradients)
        updater.step(iteration)
    resumed = rule_of(solver)(solver, halfway)
    for blob in kept:
        blob.flags.writeable = False
    resumed.restore(kept)
    for iteration in (5, 6, 7):
        give(halfway, steps[iteration])
        resumed.step(iteration)
    assert weights(halfway) == weights(through)
    assert [blob.tobytes() for blob in resumed.history] == [blob.tobytes() for blob in updater.history]
    assert not np.array_equal(kept[0], updater.history[0]), "what was given is a copy"


def test_a_history_of_old_shape_fits() -> None:
    solver = replace(PLAIN, momentum=0.5)
    updater = rule_of(solver)(solver, trained([f([0, 0])], [(1.0, 1.0)]))
    updater.restore([f([1, 2]).reshape(1, 1, 1, 2)])
    assert updater.history[0].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ([], "has 0 history blobs where Adam needs 2"),
        ([f([1, 2])], "has 1 history blobs where Adam needs 2"),
        ([f([1, 2]), f([1, 2, 3])], r"history blob 1 of the solverstate has shape \(3,\), not \(2,\)"),
    ],
)
def test_a_history_of_another_net_is_refused(history: list[Array], said: str) -> None:
    solver = replace(PLAIN, type="Adam", momentum=0.5)
    updater = rule_of(solver)(solver, trained([f([0, 0])], [(1.0, 1.0)]))
    with pytest.raises(ModelError, match=said) as caught:
        updater.restore(history)
    assert caught.value.hint
    assert not any(blob.any() for blob in updater.history), "nothing was taken up"


@pytest.mark.parametrize("kind", ["AdaGrad", "RMSProp"])
def test_rules_without_momentum_refuse_it(kind: str) -> None:
    with pytest.raises(ModelError, match=f"{kind} takes no momentum"):
        rule_of(replace(PLAIN, type=kind, momentum=0.9))
    assert rule_of(replace(PLAIN, type=kind)).type == kind


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ModelError, match="unknown type 'adam'") as caught:
        rule_of(replace(PLAIN, type="adam"))
    assert "Adam" in caught.value.hint


def test_a_rate_beyond_float32_changes_nothing() -> None:
    solver = replace(PLAIN, lr_policy="exp", gamma=2.0)
    parameters = trained([f([1.0])], [(1.0, 1.0)])
    give(parameters, [f([1.0])])
    with pytest.raises(ModelError, match="no finite rate"):
        rule_of(solver)(solver, parameters).step(500)
    assert parameters[0].tensor.item() == 1
    assert parameters[0].tensor.grad is not None
