"""``--preset original`` against what the original tool printed and wrote for the same files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ristretto import api
from ristretto.caffe.prototxt import parse

ONE_PICTURE = 1e-4
LENET = {
    "conv_params": [0.9906, 0.9905, 0.9903, 0.8564],
    "fc_params": [0.9906, 0.9905, 0.9915, 0.855],
    "activations": [0.9894, 0.989, 0.9668],
    "all": [0.9888],
}
CIFAR10_FULL = {
    "conv_params": [0.7942, 0.7936, 0.7008],
    "fc_params": [0.7968, 0.796, 0.7912, 0.6165],
    "activations": [0.7949, 0.7898, 0.6402],
    "all": [0.7826],
}


def message(text: str) -> Any:
    return parse(text, "net")


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "trials", "baseline", "pictures"), [("lenet", LENET, 0.9906, 1), ("cifar10_full", CIFAR10_FULL, 0.7942, 3)]
)
def test_same_trials_and_same_prototxt(
    shared: Path, name: str, trials: dict[str, list[float]], baseline: float, pictures: int
) -> None:
    folder = shared / "data" / "models" / name
    found = api.quantize(
        folder / "train_val.prototxt", folder / f"{name}.caffemodel", error_margin=1, iterations=100, preset="original"
    )
    scores: dict[str, list[float]] = {}
    for trial in found.result.trials:
        scores.setdefault(trial.part, []).append(trial.score.value)
    near = pictures * ONE_PICTURE + 1e-9
    assert found.result.baseline.value == pytest.approx(baseline, abs=near)
    assert {part: len(values) for part, values in scores.items()} == {k: len(v) for k, v in trials.items()}
    for part, values in scores.items():
        assert values == pytest.approx(trials[part], abs=near), part
    written = (shared / "golden" / "fork" / f"{name}_dynamic_fixed_point_m1.prototxt").read_text("utf-8")
    assert message(found.text) == message(written)
