"""``ristretto quantize --equalize``, on the embedded LeNet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ristretto.caffe.caffemodel import encode_weights
from ristretto.caffe.reader import load_weights, read_model
from ristretto.cli.main import main
from ristretto.passes import SetWeights

PROTOTXT, WEIGHTS = "models/lenet/train_val.prototxt", "models/lenet/lenet.caffemodel"
SHORT = ["--iterations", "4", "--calibration_batches", "3"]


def quantize(folder: Path, *options: str, weights: str = WEIGHTS) -> tuple[Path, Path, dict[str, Any]]:
    prototxt, made, result = folder / "q.prototxt", folder / "q.caffemodel", folder / "q.json"
    files = ["--model_quantized", str(prototxt), "--weights_quantized", str(made), "--json", str(result)]
    main(["quantize", "--model", PROTOTXT, "--weights", weights, *files, *SHORT, *options])
    return prototxt, made, json.loads(result.read_text())


def unevened(folder: Path) -> str:
    """The same net, with channels that a factor has driven far apart."""
    net = load_weights(read_model(PROTOTXT).net, WEIGHTS)
    factors = np.exp2(np.arange(20) % 7 - 3).astype(np.float32)
    first, second = (next(layer for layer in net if layer.name == name) for name in ("conv1", "conv2"))
    weights = {
        "conv1": (first.blobs[0] * factors[:, None, None, None], first.blobs[1] * factors),
        "conv2": (second.blobs[0] / factors[None, :, None, None], second.blobs[1]),
    }
    path = folder / "uneven.caffemodel"
    path.write_bytes(encode_weights(SetWeights(weights)(net)))
    return str(path)


def test_a_net_with_uneven_channels_is_rescued(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = unevened(tmp_path)
    results = {
        how: quantize(tmp_path, "--bits", "3/3/8", "--refine", "none", "--equalize", how, weights=weights)
        for how in ("off", "on", "auto")
    }
    scores = {how: result["score"] for how, (*_, result) in results.items()}
    assert len({result["baseline_score"] for *_, result in results.values()}) == 1
    assert scores["on"] > scores["off"] + 0.05
    assert scores["auto"] == scores["on"]
    assert "layers: a distortion of" in capsys.readouterr().err


def test_the_files_belong_together(tmp_path: Path) -> None:
    prototxt, weights, result = quantize(tmp_path, "--bits", "4/4/8", "--equalize", "on", "--refine", "none")
    score = tmp_path / "score.json"
    files = ["--model", str(prototxt), "--weights", str(weights), "--json", str(score)]
    assert main(["test", *files, "--iterations", "4"]) == 0
    assert json.loads(score.read_text())["accuracy"] == result["score"]
    quantized = [layer for layer in load_weights(read_model(prototxt).net, weights) if layer.quant]
    assert len(quantized) == 4
    for layer in quantized:
        assert layer.quant is not None
        assert layer.quant.params is not None
        for blob in layer.blobs:
            np.testing.assert_array_equal(layer.quant.params.trim(blob), blob)


def test_what_does_not_help_is_not_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # At 16 bits there is nothing to gain.
    options = ["--bits", "16/16/16", "--refine", "none"]
    bytes_of = {}
    for how in ("off", "auto"):
        _, weights, _ = quantize(tmp_path, *options, "--equalize", how)
        bytes_of[how] = weights.read_bytes()
    assert bytes_of["off"] == bytes_of["auto"]
    assert "not equalized: a distortion of" in capsys.readouterr().err


def test_a_repeated_run_gives_the_same_and_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISTRETTO_CACHE_DIR", str(tmp_path / "cache"))
    options = ["--bits", "3/3/8", "--refine", "rounding", "--equalize", "auto"]
    first = [file.read_bytes() for file in quantize(tmp_path, *options)[:2]]

    def broken(*_: object) -> None:
        raise AssertionError("refined again")

    monkeypatch.setattr("ristretto.search.refine.refiner.WeightRefiner._walk", broken)
    assert [file.read_bytes() for file in quantize(tmp_path, *options)[:2]] == first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--equalize", "on"], "error: --equalize changes weights"),
        (["--equalize", "auto"], "error: --equalize changes weights"),
        (["--equalize", "on", "--weights_quantized", "OUT", "--preset", "original"], "error: the original preset"),
    ],
)
def test_what_cannot_be_is_one_line(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [str(tmp_path / "w.caffemodel") if option == "OUT" else option for option in options]
    files = ["--model", PROTOTXT, "--weights", WEIGHTS, "--model_quantized", str(tmp_path / "q.prototxt")]
    assert main(["quantize", *files, *SHORT, *options]) == 1
    assert capsys.readouterr().err.startswith(message)
    assert not list(tmp_path.iterdir())
