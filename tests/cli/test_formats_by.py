"""``--formats_by`` of `quantize` and `sweep`, as a user runs it on the embedded LeNet."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ristretto.caffe.reader import load_weights, read_model
from ristretto.cli.main import main
from ristretto.formats import FixedPoint
from ristretto.search.criteria import FORMATS_BY

MODEL = "models/lenet/train_val.prototxt"
WEIGHTS = "models/lenet/lenet.caffemodel"
NET = ["--model", MODEL, "--weights", WEIGHTS, "--iterations", "2"]


@dataclass(frozen=True)
class Done:
    """What a command gave."""

    returncode: int
    stdout: str
    stderr: str


def run(cache: Path, verb: str, *words: object) -> Done:
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("RISTRETTO_CACHE_DIR", str(cache))
        try:
            code = main([verb, *NET, *map(str, words)])
        except SystemExit as end:
            code = int(str(end.code))
    return Done(code, out.getvalue(), err.getvalue())


def quantize(folder: Path, name: str, *words: object, bits: str = "4/3/8") -> tuple[str, bytes, dict[str, Any]]:
    """Condense with one journal for all runs; give what was printed, the prototxt and the JSON."""
    prototxt, result = folder / f"{name}.prototxt", folder / f"{name}.json"
    done = run(folder / "cache", "quantize", "--model_quantized", prototxt, "--json", result, "--bits", bits, *words)
    assert done.returncode in (0, 3), done.stderr
    return done.stdout, prototxt.read_bytes(), json.loads(result.read_text())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, bytes, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("runs")
    return {by: quantize(folder, by, "--formats_by", by) for by in FORMATS_BY}


def test_each_choice_is_named_in_the_summary_and_in_the_json(
    runs: dict[str, tuple[str, bytes, dict[str, Any]]],
) -> None:
    for by, (printed, _, data) in runs.items():
        assert data["formats_by"] == by
        title = "Formats (" if by == "auto" else f"Formats, by {by.replace('_', ' ')} ("
        assert title in printed


def test_runs_that_share_a_journal_do_not_share_formats(
    runs: dict[str, tuple[str, bytes, dict[str, Any]]], tmp_path: Path
) -> None:
    assert len({prototxt for _, prototxt, _ in runs.values()}) == len(FORMATS_BY)
    for by, (_, prototxt, data) in runs.items():
        _, alone, result = quantize(tmp_path, by, "--formats_by", by, "--no_cache")
        assert (alone, result) == (prototxt, data)


def test_weights_by_range_do_not_saturate_and_by_squared_error_err_least(
    runs: dict[str, tuple[str, bytes, dict[str, Any]]], tmp_path: Path
) -> None:
    net = load_weights(read_model(MODEL).net, WEIGHTS)
    for layer in runs["range"][2]["layers"]:
        blobs = net[layer["name"]].blobs
        numbers = np.concatenate([blob.ravel() for blob in blobs]).astype(np.float64)
        found = {by: runs[by][2]["layers"] for by in ("range", "squared_error")}
        fl = {
            by: next(r for r in rows if r["name"] == layer["name"])["formats"]["params"] for by, rows in found.items()
        }
        bw = fl["range"]["bw"]
        largest = float(np.abs(numbers).max())
        assert FixedPoint(**_fields(fl["range"])) == FixedPoint.covering(bw, largest)
        errors = {
            f: float(
                (
                    (np.clip(np.rint(numbers * 2.0**f), -(2 ** (bw - 1)), 2 ** (bw - 1) - 1) / 2.0**f - numbers) ** 2
                ).sum()
            )
            for f in range(-10, 20)
        }
        assert errors[fl["squared_error"]["fl"]] == min(errors.values())


def _fields(fmt: dict[str, Any]) -> dict[str, int]:
    return {name: fmt[name] for name in ("bw", "fl")}


@pytest.mark.slow
def test_sensitivities_of_layers_belong_to_one_choice(tmp_path: Path) -> None:
    """In one journal: those of another choice would lead to other widths."""
    options = ["--granularity", "layer", "--min_bits", "3", "--max_bits", "6", "--error_margin", "20"]
    folder = tmp_path / "layer"
    folder.mkdir()

    def search(by: str, *more: str) -> dict[str, Any]:
        prototxt, result = folder / "q.prototxt", folder / "q.json"
        done = run(
            folder / "cache",
            "quantize",
            "--model_quantized",
            prototxt,
            "--json",
            result,
            *options,
            "--formats_by",
            by,
            *more,
        )
        assert done.returncode in (0, 3), done.stderr
        found: dict[str, Any] = json.loads(result.read_text())
        return found

    search("auto")
    assert search("range") == search("range", "--no_cache")


@pytest.mark.parametrize(
    ("mode", "bits", "by"),
    [
        ("minifloat", "8/8/8", "squared_error"),
        ("minifloat", "8/8/8", "output_error"),
        ("fixed_point", "12/12/12", "range"),
        ("integer_power_of_2_weights", "4/4/8", "output_error"),
    ],
)
def test_other_trimming_modes_take_it_too(tmp_path: Path, mode: str, bits: str, by: str) -> None:
    _, _, data = quantize(tmp_path, by, "--trimming_mode", mode, "--formats_by", by, bits=bits)
    assert (data["formats_by"], data["trimming_mode"]) == (by, mode)
    assert data["score_argmax"] > 0.9


@pytest.mark.parametrize("verb", ["quantize", "sweep"])
def test_minifloats_have_no_finest_one(tmp_path: Path, verb: str) -> None:
    out = ["--model_quantized", tmp_path / "q.prototxt", "--trimming_mode", "minifloat"]
    done = run(tmp_path, verb, *(out if verb == "quantize" else ["--modes", "minifloat"]), "--formats_by", "range")
    assert done.returncode == 1
    error = " ".join(done.stderr.split())
    assert error.startswith("error: no minifloat is the finest by range")
    assert "take another --formats_by" in error


def test_a_sweep_says_what_its_formats_were_chosen_by(tmp_path: Path) -> None:
    scores = {}
    for by in ("auto", "range"):
        words = ["--bits", "3", "--parts", "all", "--json", tmp_path / by, "--formats_by", by]
        done = run(tmp_path / "cache", "sweep", *words)
        assert done.returncode == 0, done.stderr
        assert (", by range" in done.stdout) is (by == "range")
        data = json.loads((tmp_path / by).read_text())
        assert data["formats_by"] == by
        scores[by] = [trial["score"] for trial in data["trials"]]
    assert scores["auto"] != scores["range"]


@pytest.mark.parametrize("verb", ["quantize", "sweep"])
def test_the_original_preset_has_its_own_way(tmp_path: Path, verb: str) -> None:
    out = ["--model_quantized", tmp_path / "q.prototxt"] if verb == "quantize" else []
    done = run(tmp_path, verb, *out, "--preset", "original", "--formats_by", "range")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0] == "error: the original preset chooses formats in its own way"
    assert "leave --formats_by range out" in lines[1]
    assert not (tmp_path / "q.prototxt").exists()


def test_the_original_preset_names_no_choice(tmp_path: Path) -> None:
    _, _, data = quantize(tmp_path, "original", "--preset", "original")
    assert data["formats_by"] is None


def test_a_choice_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "sweep", "--formats_by", "luck")
    assert done.returncode == 2
    assert all(by in done.stderr for by in FORMATS_BY)
