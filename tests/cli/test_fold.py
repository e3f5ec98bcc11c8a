"""``ristretto fold`` and ``quantize --fold``, on a small net with BatchNorm over the embedded digits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ristretto.caffe.caffemodel import encode_weights, read_weights
from ristretto.caffe.reader import read_model
from ristretto.cli.main import main
from ristretto.layers import BatchNorm
from ristretto.net import Layer, Net, Phase

NET = """\
name: "norm"
layer {
  name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { scale: 0.00390625 }
  data_param { source: "models/lenet/digits_train_lmdb" batch_size: 20 backend: LMDB }
}
layer {
  name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { scale: 0.00390625 }
  data_param { source: "models/lenet/digits_test_lmdb" batch_size: 20 backend: LMDB }
}
layer {
  name: "conv"
  type: "Convolution"
  bottom: "data"
  top: "conv"
  convolution_param {
    num_output: 4
    kernel_size: 5
    stride: 4
    bias_term: false
  }
}
layer {
  name: "bn"
  type: "BatchNorm"
  bottom: "conv"
  top: "bn"
}
layer {
  name: "scale"
  type: "Scale"
  bottom: "bn"
  top: "bn"
  scale_param { bias_term: true }
}
layer { name: "relu" type: "ReLU" bottom: "bn" top: "bn" }
layer { name: "ip" type: "InnerProduct" bottom: "bn" top: "ip" inner_product_param { num_output: 10 } }
layer { name: "relu2" type: "ReLU" bottom: "ip" top: "ip2" }
layer { name: "bn2" type: "BatchNorm" bottom: "ip2" top: "ip2" }
layer { name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }
"""
FOLDED = NET.replace('top: "conv"', 'top: "bn"').replace("bias_term: false", "bias_term: true")
FOLDED = FOLDED[: FOLDED.index('layer {\n  name: "bn"')] + FOLDED[FOLDED.index('layer { name: "relu"') :]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> list[str]:
    """The words that name the net and its weights."""
    folder = tmp_path_factory.mktemp("net")
    model, weights = folder / "net.prototxt", folder / "net.caffemodel"
    model.write_text(NET.replace("models/lenet", str(repo / "models" / "lenet")))
    net = read_model(model).net.for_phase(Phase.TEST)
    shapes = net.shapes({"data": (20, 1, 28, 28), "label": (20,)})
    rng = np.random.default_rng(11)
    layers = []
    for layer in net:
        wanted = () if layer.op.is_data else layer.op.blob_shapes(net.bottom_shapes(layer, shapes))
        blobs = [rng.normal(0, 0.3, shape).astype(np.float32) for shape in wanted]
        if isinstance(layer.op, BatchNorm):
            blobs[1:] = [np.abs(blobs[1]) + np.float32(0.1), np.float32([2])]
        layers.append(Layer(layer.name, layer.op, layer.bottoms, layer.tops, tuple(blobs)))
    weights.write_bytes(encode_weights(Net("norm", tuple(layers))))
    return ["--model", str(model), "--weights", str(weights)]


QUANTIZE = ["--iterations", "2", "--error_margin", "100"]


def scores(model: Path | str, weights: Path | str, executor: str, capsys: Any) -> dict[str, float]:
    words = ["test", "--model", str(model), "--weights", str(weights), "--iterations", "2", "--executor", executor]
    assert main([*words, "--json", "-"]) == 0
    found: dict[str, float] = json.loads(capsys.readouterr().out)
    return {name: found[name] for name in ("accuracy", "loss")}


def test_the_folded_files_score_the_same(files: list[str], repo: Path, tmp_path: Path, capsys: Any) -> None:
    model, weights = tmp_path / "deep" / "folded.prototxt", tmp_path / "folded.caffemodel"
    assert main(["fold", *files, "--model_out", str(model), "--weights_out", str(weights)]) == 0
    said = capsys.readouterr()
    assert "note: folded 2 BatchNorm and Scale layers into the weights before them\n" in said.err
    assert "note: layer 'bn2' not folded: the layer before it has no weights that could take it up\n" in said.err
    assert "folded.prototxt and" in said.err
    assert not said.out
    assert model.read_text() == FOLDED.replace("models/lenet", str(repo / "models" / "lenet"))
    assert [len(blobs) for blobs in read_weights(weights).layers.values()] == [2, 2, 3]
    before = scores(files[1], files[3], "float", capsys)
    after = scores(model, weights, "float", capsys)
    assert after["accuracy"] == before["accuracy"]
    assert after["loss"] == pytest.approx(before["loss"], rel=1e-5)


def test_quantize_folds_first(files: list[str], tmp_path: Path, capsys: Any) -> None:
    """It writes what `fold` and then `quantize` would, byte for byte."""
    model, weights, data = (tmp_path / name for name in ("q.prototxt", "q.caffemodel", "q.json"))
    words = ["--model_quantized", str(model), *QUANTIZE]
    assert main(["quantize", *files, *words, "--fold", str(weights), "--json", str(data)]) == 0
    said = capsys.readouterr()
    assert "note: folded 2 BatchNorm and Scale layers" in said.err
    assert f"it takes {weights}, written beside it" in " ".join(said.err.split())
    text = model.read_text()
    assert text.count("BatchNorm") == 1
    assert text.count("quantization_param") == 2
    found = json.loads(data.read_text())
    assert scores(model, weights, "integer", capsys)["accuracy"] == found["score"]

    folded = [tmp_path / "f.prototxt", tmp_path / "f.caffemodel"]
    assert main(["fold", *files, "--model_out", str(folded[0]), "--weights_out", str(folded[1])]) == 0
    two_steps = tmp_path / "two.prototxt"
    again = ["--model", str(folded[0]), "--weights", str(folded[1]), "--model_quantized", str(two_steps)]
    assert main(["quantize", *again, *QUANTIZE]) == 0
    assert two_steps.read_text() == text
    ours, theirs = read_weights(weights).layers, read_weights(folded[1]).layers
    assert ours.keys() == theirs.keys()
    for name, blobs in ours.items():
        for blob, other in zip(blobs, theirs[name], strict=True):
            np.testing.assert_array_equal(blob, other)
    assert "--fold" not in capsys.readouterr().err


def test_quantize_hints_at_what_could_be_folded(files: list[str], tmp_path: Path, capsys: Any) -> None:
    model = tmp_path / "q.prototxt"
    assert main(["quantize", *files, "--model_quantized", str(model), *QUANTIZE]) == 0
    said = capsys.readouterr().err
    assert "note: 2 BatchNorm and Scale layers can be folded into the weights before them: --fold\n" in said
    assert f"it takes {files[3]} as it is" in " ".join(said.split())
    assert model.read_text().count("BatchNorm") == 2


def test_a_net_with_nothing_to_fold_says_so(repo: Path, tmp_path: Path, capsys: Any) -> None:
    folder = repo / "models" / "lenet"
    source = ["--model", str(folder / "train_val.prototxt"), "--weights", str(folder / "lenet.caffemodel")]
    model, weights = tmp_path / "f.prototxt", tmp_path / "f.caffemodel"
    assert main(["fold", *source, "--model_out", str(model), "--weights_out", str(weights)]) == 0
    assert "note: there is nothing to fold\n" in capsys.readouterr().err
    assert model.read_bytes() == (folder / "train_val.prototxt").read_bytes()


@pytest.mark.parametrize("flag", ["--model_out", "--weights_out"])
def test_fold_never_writes_to_its_inputs(files: list[str], tmp_path: Path, capsys: Any, flag: str) -> None:
    out = {"--model_out": str(tmp_path / "f.prototxt"), "--weights_out": str(tmp_path / "f.caffemodel"), flag: files[3]}
    before = Path(files[3]).read_bytes()
    assert main(["fold", *files, *(word for pair in out.items() for word in pair)]) == 1
    assert "is an input and would be overwritten" in capsys.readouterr().err
    assert Path(files[3]).read_bytes() == before
    assert not list(tmp_path.iterdir())


def test_quantize_does_not_fold_into_its_weights(files: list[str], tmp_path: Path, capsys: Any) -> None:
    words = ["quantize", *files, "--model_quantized", str(tmp_path / "q.prototxt"), "--fold", files[3], *QUANTIZE]
    assert main(words) == 1
    assert "is an input and would be overwritten" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
