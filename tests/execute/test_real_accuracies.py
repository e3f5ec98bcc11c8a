"""Float accuracies of real nets on real data: what those who trained them, and Caffe, measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from ristretto import api


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "iterations", "wanted", "near"),
    [
        ("lenet/lenet", 100, {"accuracy": 0.9906}, 1e-4),
        ("lenet_v1/lenet_v1", 100, {"accuracy": 0.9905}, 1e-4),
        ("cifar10_full/cifar10_full", 100, {"accuracy": 0.7942}, 3e-4),
        # Trained on pictures that had not been through JPEG.
        ("resnet20_cifar10/resnet20", 100, {"Accuracy1": 0.803}, 1e-3),
        ("squeezenet_v1.0/squeezenet_v1.0", 20, {"accuracy": 0.648, "accuracy_top5": 0.846}, 2e-3),
    ],
)
def test_float_accuracy(shared: Path, name: str, iterations: int, wanted: dict[str, float], near: float) -> None:
    weights = shared / "data" / "models" / f"{name}.caffemodel"
    found = api.test(weights.parent / "train_val.prototxt", weights, iterations=iterations, executor="float")
    assert {blob: float(found.outputs[blob]) for blob in wanted} == pytest.approx(wanted, abs=near)
