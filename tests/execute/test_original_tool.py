"""``--preset original`` against what the original tool printed and wrote for the same files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ristretto import api
from ristretto.caffe.prototxt import parse
from ristretto.formats import EMULATIONS, EXACT

ONE_PICTURE = 1e-4
BASELINES = {"lenet": 0.9906, "cifar10_full": 0.7942}
PICTURES = {"lenet": 1, "cifar10_full": 3}
"""How many pictures of 10,000 a score may be off: the float sums of the two programs add up in different orders."""
PRINTED: dict[tuple[str, str], dict[str, list[float]]] = {
    ("lenet", "dynamic_fixed_point"): {
        "conv_params": [0.9906, 0.9905, 0.9903, 0.8564],
        "fc_params": [0.9906, 0.9905, 0.9915, 0.855],
        "activations": [0.9894, 0.989, 0.9668],
        "all": [0.9888],
    },
    ("cifar10_full", "dynamic_fixed_point"): {
        "conv_params": [0.7942, 0.7936, 0.7008],
        "fc_params": [0.7968, 0.796, 0.7912, 0.6165],
        "activations": [0.7949, 0.7898, 0.6402],
        "all": [0.7826],
    },
    ("lenet", "minifloat"): {"all": [0.9906, 0.9894]},
    ("cifar10_full", "minifloat"): {"all": [0.7942, 0.7564]},
    ("lenet", "integer_power_of_2_weights"): {"all": [0.9899]},
    ("cifar10_full", "integer_power_of_2_weights"): {"all": [0.6775]},
}
"""What its CPU build printed: the trials of each part, in order."""


def message(text: str) -> Any:
    return parse(text, "net")


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(("name", "mode"), PRINTED)
def test_same_trials_and_same_prototxt(shared: Path, name: str, mode: str) -> None:
    folder = shared / "data" / "models" / name
    found = api.quantize(
        folder / "train_val.prototxt",
        folder / f"{name}.caffemodel",
        trimming_mode=mode,
        error_margin=1,
        iterations=100,
        preset="original",
        # Dynamic fixed point has no defects to repeat, and float sums in the order of the fork take minutes.
        arithmetic=EXACT if mode == "dynamic_fixed_point" else EMULATIONS["fork-cpu"],
    )
    scores: dict[str, list[float]] = {}
    for trial in found.result.trials:
        scores.setdefault(trial.part, []).append(trial.score.value)
    near = PICTURES[name] * ONE_PICTURE + 1e-9
    assert found.result.baseline.value == pytest.approx(BASELINES[name], abs=near)
    printed = PRINTED[name, mode]
    assert {part: len(values) for part, values in scores.items()} == {k: len(v) for k, v in printed.items()}
    for part, values in scores.items():
        assert values == pytest.approx(printed[part], abs=near), part
    written = (shared / "golden" / "fork" / f"{name}_{mode}_m1.prototxt").read_text("utf-8")
    assert message(found.text) == message(written)
