"""``ristretto quantize --weights_quantized``, on the embedded LeNet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ristretto.caffe.reader import load_weights, read_model
from ristretto.cli.main import main

MODEL = ["--model", "models/lenet/train_val.prototxt", "--weights", "models/lenet/lenet.caffemodel"]
SHORT = ["--iterations", "4", "--calibration_batches", "3", "--equalize", "off"]


def quantize(folder: Path, *options: str) -> tuple[int, Path, Path, dict[str, Any]]:
    prototxt, weights, result = folder / "q.prototxt", folder / "q.caffemodel", folder / "q.json"
    files = ["--model_quantized", str(prototxt), "--weights_quantized", str(weights), "--json", str(result)]
    code = main(["quantize", *MODEL, *files, *SHORT, *options])
    return code, prototxt, weights, json.loads(result.read_text()) if result.exists() else {}


def test_the_files_belong_together_and_score_what_was_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, prototxt, weights, result = quantize(tmp_path, "--bits", "2/2/8")
    assert code == 0
    assert f"it takes {weights}" in " ".join(capsys.readouterr().err.split())
    read = tmp_path / "score.json"
    assert (
        main(["test", "--model", str(prototxt), "--weights", str(weights), "--iterations", "4", "--json", str(read)])
        == 0
    )
    assert json.loads(read.read_text())["accuracy"] == result["score"]


def test_weights_are_numbers_of_their_formats(tmp_path: Path) -> None:
    _, prototxt, weights, _ = quantize(tmp_path, "--bits", "3/2/8")
    net = load_weights(read_model(prototxt).net, weights)
    layers = [layer for layer in net if layer.quant]
    assert {layer.name for layer in layers} == {"conv1", "conv2", "ip1", "ip2"}
    for layer in layers:
        assert layer.quant is not None
        assert layer.quant.params is not None
        for blob in layer.blobs:
            np.testing.assert_array_equal(layer.quant.params.trim(blob), blob)


def test_only_formats_differ_from_a_run_without_it(tmp_path: Path) -> None:
    quantize(tmp_path, "--bits", "8/8/8", "--refine", "none")
    plain = tmp_path / "plain.prototxt"
    assert main(["quantize", *MODEL, *SHORT[:4], "--bits", "8/8/8", "--model_quantized", str(plain)]) == 0
    assert (tmp_path / "q.prototxt").read_bytes() == plain.read_bytes()


def test_narrow_weights_score_better_when_they_are_refined(tmp_path: Path) -> None:
    scores = [
        quantize(tmp_path, "--bits", "2/2/4", "--refine", how)[3]["score"] for how in ("none", "rounding", "auto")
    ]
    assert scores[1] > scores[0]
    assert scores[2] > scores[0]


@pytest.mark.slow
def test_the_same_bytes_with_any_number_of_threads(tmp_path: Path) -> None:
    files = []
    for threads in ("1", "2"):
        _, prototxt, weights, _ = quantize(tmp_path, "--bits", "3/3/4", "--threads", threads)
        files.append((prototxt.read_bytes(), weights.read_bytes()))
    assert files[0] == files[1]


def test_batches_that_are_skipped_do_not_count(tmp_path: Path) -> None:
    first = quantize(tmp_path, "--bits", "8/8/8", "--refine", "none", "--iterations", "8")[3]
    later = quantize(tmp_path, "--bits", "8/8/8", "--refine", "none", "--skip", "4")[3]
    early = quantize(tmp_path, "--bits", "8/8/8", "--refine", "none")[3]
    assert (early["baseline_score"] + later["baseline_score"]) / 2 == pytest.approx(first["baseline_score"])
    assert (early["score"] + later["score"]) / 2 == pytest.approx(first["score"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--refine", "rounding"], "error: --refine changes weights"),
        (["--refine", "rounding", "--weights_quantized", "OUT", "--preset", "original"], "error: the original preset"),
        (["--weights_quantized", "models/lenet/lenet.caffemodel"], "error: "),
    ],
)
def test_what_cannot_be_is_one_line(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [str(tmp_path / "w.caffemodel") if option == "OUT" else option for option in options]
    before = Path("models/lenet/lenet.caffemodel").read_bytes()
    assert main(["quantize", *MODEL, *SHORT[:4], "--model_quantized", str(tmp_path / "q.prototxt"), *options]) == 1
    assert capsys.readouterr().err.startswith(message)
    assert not list(tmp_path.iterdir())
    assert Path("models/lenet/lenet.caffemodel").read_bytes() == before


@pytest.mark.parametrize("how", ["sorting", "centring", "rounding,", ""])
def test_unknown_techniques_are_wrong_usage(how: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        quantize(tmp_path, "--refine", how)
    assert stop.value.code == 2
