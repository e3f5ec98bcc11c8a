"""The verb `sweep`: each of its nets scores what the same net scores when it is written and tested."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ristretto import api
from ristretto.api.feeding import open_test
from ristretto.errors import RistrettoError
from ristretto.execute import IntegerExecutor, SimulateExecutor, score
from ristretto.formats import EMULATIONS
from ristretto.net import Part
from ristretto.passes import QuantizeLayers
from ristretto.search import MODES, PRESETS
from ristretto.search.sweep import Point
from ristretto.search.widths import of_parts


@pytest.fixture(scope="module")
def lenet(repo: Path) -> tuple[Path, Path]:
    folder = repo / "models" / "lenet"
    return folder / "train_val.prototxt", folder / "lenet.caffemodel"


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("mode", ["fixed_point", "dynamic_fixed_point"])
def test_each_score_is_that_of_the_simulated_net(lenet: tuple[Path, Path], preset: str, mode: str) -> None:
    swept = api.sweep(*lenet, bits=[3, 6], modes=[mode], preset=preset, iterations=2)
    found = swept.result
    net, source = open_test(*api.load(*lenet), api.Silent())
    for part, parts in {
        "conv_params": [Part.CONV_PARAMS],
        "fc_params": [Part.FC_PARAMS],
        "activations": [Part.ACTIVATIONS],
        "all": list(Part),
    }.items():
        for width in (3, 6):
            widths = of_parts(swept.stats, dict.fromkeys(parts, width))
            condensed = QuantizeLayers(PRESETS[preset].spec(MODES[mode], swept.stats, widths))(net)
            alone = score(SimulateExecutor(condensed, source.shapes), source.batches(2))
            there = found.scores[Point(mode, part, width)]
            assert there.value == float(alone.outputs["accuracy"])
            assert there.argmax == alone.companions["accuracy_argmax"]
    assert found.baseline.value == float(api.test(*lenet, iterations=2).outputs["accuracy"])
    assert len(found.scores) == 8


def test_the_number_of_threads_changes_nothing(lenet: tuple[Path, Path]) -> None:
    one, many = (api.sweep(*lenet, bits=[2, 4], iterations=3, threads=threads).result for threads in (1, 3))
    assert one.scores == many.scores
    assert one.baseline == many.baseline


def test_a_sweep_that_was_run_before_runs_no_net(
    lenet: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISTRETTO_CACHE_DIR", str(tmp_path))
    options: dict[str, Any] = {"bits": [2, 4], "parts": ["fc_params", "all"], "iterations": 2}
    first = api.sweep(*lenet, **options).result

    def refuse(*_: object) -> None:
        raise AssertionError("a net is run, or formats are chosen")

    monkeypatch.setattr(IntegerExecutor, "run", refuse)
    monkeypatch.setattr(type(PRESETS["accurate"]), "formats", refuse)
    again = api.sweep(*lenet, **options).result
    assert (again.scores, again.baseline) == (first.scores, first.baseline)
    with pytest.raises(AssertionError, match="is run, or formats"):
        api.sweep(*lenet, cached=False, **options)


def test_another_score_and_another_arithmetic_are_used(lenet: tuple[Path, Path]) -> None:
    options: dict[str, Any] = {"bits": [4], "modes": ["minifloat"], "parts": ["all"], "iterations": 1}
    usual = api.sweep(*lenet, **options).result
    loss = api.sweep(*lenet, score_blob="loss", **options).result
    emulated = api.sweep(*lenet, score_blob="loss", arithmetic=EMULATIONS["fork-cpu"], **options).result
    (point,) = usual.scores
    assert point == Point("minifloat", "all", 4)
    assert (usual.score_blob, usual.higher_is_better) == ("accuracy", True)
    assert (loss.score_blob, loss.higher_is_better) == ("loss", False)
    assert loss.scores[point].argmax is None
    assert loss.baseline.value == pytest.approx(emulated.baseline.value, rel=1e-5)
    assert loss.scores[point].value != pytest.approx(emulated.scores[point].value, rel=1e-5)


def test_the_watcher_sees_every_batch_of_every_net(lenet: tuple[Path, Path]) -> None:
    counts: dict[str, list[int]] = {}

    class Counter(api.Silent):
        @contextmanager
        def stage(self, title: str, batches: int) -> Iterator[Callable[[], None]]:
            counts[title] = [batches, 0]

            def advance() -> None:
                counts[title][1] += 1

            yield advance

    api.sweep(*lenet, bits=[8, 2], parts=["fc_params"], iterations=3, cached=False, watcher=Counter())
    assert counts == {"measuring ranges": [10, 10], "choosing formats": [4, 4], "scoring 5 nets": [15, 15]}


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"modes": ["posit"]}, "no trimming mode is called 'posit'"),
        ({"parts": ["lstm_params"]}, "no part of a net is called 'lstm_params'"),
        ({"preset": "quick"}, "no preset is called 'quick'"),
        ({"bits": [8, 64]}, "a width of 64 bits"),
        ({"bits": []}, "a sweep needs"),
        (
            {"modes": ["integer_power_of_2_weights"]},
            "integer_power_of_2_weights, conv_params at 16 bits: power",
        ),
        ({"modes": ["minifloat"]}, "minifloat, conv_params at 3 bits: no minifloat has 3 bits"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_any_work(option: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(RistrettoError, match=says):
        api.sweep(tmp_path / "none.prototxt", tmp_path / "none.caffemodel", **option)
