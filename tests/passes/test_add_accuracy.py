from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ristretto.execute import FloatExecutor
from ristretto.layers.accuracy import Accuracy
from ristretto.layers.input import Input
from ristretto.layers.softmax import Softmax
from ristretto.layers.split import Split
from ristretto.net import Layer, Net, Phase
from ristretto.passes import AddAccuracy

DATA = Layer("data", Input(shapes=((4, 3),)), tops=("data",))
PROB = Layer("prob", Softmax(), ("data",), ("prob",))


def net(*layers: Layer) -> Net:
    return Net("net", layers).for_phase(Phase.TEST)


def added(shape: tuple[int, ...] = (4, 3), labels: tuple[int, ...] = (4,), *, source: Net | None = None) -> Net:
    return AddAccuracy("label", {"data": shape, "label": labels, "truth": labels})(source or net(DATA, PROB))


def test_the_score_is_that_of_the_output() -> None:
    scored = added()
    assert [layer.name for layer in scored] == ["data", "prob", "label", "accuracy"]
    assert scored["accuracy"].bottoms == ("prob", "label")
    assert scored.outputs == ("accuracy",)
    assert scored.state == net(DATA, PROB).state
    batch: dict[str, Any] = {"data": np.eye(3, dtype=np.float32)[[0, 1, 2, 0]], "label": np.float32([0, 1, 1, 0])}
    run = FloatExecutor(scored, {name: array.shape for name, array in batch.items()}).run(batch)
    assert float(run.outputs["accuracy"]) == 0.75


@pytest.mark.parametrize("shape", [(4, 3, 1, 1), (4, 3, 1)])
def test_scores_may_have_axes_of_one(shape: tuple[int, ...]) -> None:
    assert added(shape)["accuracy"].op == Accuracy()


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 3, 2), (2, 3), (12,)])
def test_outputs_of_another_shape_get_none(shape: tuple[int, ...]) -> None:
    plain = net(DATA, Layer("prob", Softmax(axis=0), ("data",), ("prob",)))
    assert added(shape, source=plain) is plain


def test_of_two_outputs_alike_none_is_chosen() -> None:
    plain = net(DATA, Layer("split", Split(2), ("data",), ("a", "b")))
    assert added(source=plain) is plain


def test_a_net_with_a_score_is_left_alone() -> None:
    truth = Layer("truth", Input(shapes=((4,),)), tops=("truth",))
    other = Layer("other", Softmax(), ("data",), ("other",))
    plain = net(DATA, truth, PROB, other, Layer("top1", Accuracy(), ("other", "truth"), ("top1",)))
    assert added(source=plain) is plain


@pytest.mark.parametrize("name", ["label", "accuracy"])
def test_a_net_that_uses_the_names_is_left_alone(name: str) -> None:
    plain = net(DATA, Layer(name, Softmax(), ("data",), ("prob",)))
    assert added(source=plain) is plain
