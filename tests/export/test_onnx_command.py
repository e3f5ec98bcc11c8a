"""``ristretto export`` to ONNX, as a user runs it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest

from ristretto.cli.main import main
from ristretto.export.onnx.runners import in_onnxruntime
from tests.export.onnx_nets import LENET, QONNX, digits, run

FORMATS = "bw_layer_in: 8 fl_layer_in: 7 bw_layer_out: 8 fl_layer_out: 4 bw_params: 4 fl_params: 3"


@pytest.fixture
def quantized(tmp_path: Path) -> Path:
    """LeNet for deployment, its convolutions and inner products in 4-bit weights and 8-bit activations."""
    text = (LENET / "deploy.prototxt").read_text("utf-8")
    for plain, fork in (("Convolution", "ConvolutionRistretto"), ("InnerProduct", "FcRistretto")):
        text = text.replace(f'type: "{plain}"', f'type: "{fork}"\n  quantization_param {{ {FORMATS} }}')
    file = tmp_path / "quantized.prototxt"
    file.write_text(text, "utf-8")
    return file


def export(model: Path, kind: str, out: Path, *options: str) -> int:
    return main(
        [
            "export",
            "--model",
            str(model),
            "--weights",
            str(LENET / "lenet.caffemodel"),
            "--format",
            kind,
            *options,
            str(out),
        ]
    )


@pytest.mark.parametrize("kind", ["onnx-float", "onnx", "qonnx"])
def test_it_writes_a_model_that_runs(quantized: Path, tmp_path: Path, kind: str, capsys) -> None:
    out = tmp_path / "net.onnx"
    assert export(quantized, kind, out, "--batch", "2") == 0
    model = onnx.load(out)
    onnx.checker.check_model(model, full_check=True)
    (prob,) = QONNX(model, digits(2)) if kind == "qonnx" else run(model, digits(2))
    np.testing.assert_allclose(prob.sum(axis=1), 1, rtol=1e-5)
    assert "net.onnx" in capsys.readouterr().out


def test_halves_go_where_they_are_told(quantized: Path, tmp_path: Path) -> None:
    """Both formats then give the same numbers, and otherwise they do not."""
    x, found = digits(1), {}
    for kind, runner in (("onnx", in_onnxruntime()), ("qonnx", QONNX)):
        for halves in ("away", "even"):
            out = tmp_path / f"{kind}-{halves}.onnx"
            assert export(quantized, kind, out, "--batch", "1", "--round_halves", halves) == 0
            (found[kind, halves],) = runner(onnx.load(out), x)
    np.testing.assert_allclose(found["onnx", "even"], found["qonnx", "even"], rtol=1e-5)
    assert np.abs(found["onnx", "away"] - found["qonnx", "away"]).max() > 1e-3


def test_the_same_command_gives_the_same_bytes(quantized: Path, tmp_path: Path) -> None:
    digests = set()
    for name in ("a", "b"):
        out = tmp_path / name / "net.onnx"
        out.parent.mkdir()
        assert export(quantized, "onnx", out) == 0
        digests.add(hashlib.sha256(out.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_what_is_left_out_is_told(tmp_path: Path, capsys) -> None:
    assert export(LENET / "train_val.prototxt", "onnx-float", tmp_path / "net.onnx") == 0
    error = capsys.readouterr().err.replace("\n", " ")
    assert "left out, as ONNX has no such thing: 'accuracy' (Accuracy), 'loss' (SoftmaxWithLoss)" in error


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("onnx", (), "no layer of net 'LeNet' is quantized"),
        ("qonnx", (), "no layer of net 'LeNet' is quantized"),
        ("onnx-float", ("--golden", "1"), "onnx-float has no place for golden vectors"),
    ],
)
def test_mistakes_leave_nothing_behind(
    tmp_path: Path, capsys, kind: str, options: tuple[str, ...], message: str
) -> None:
    out = tmp_path / "net.onnx"
    assert export(LENET / "deploy.prototxt", kind, out, *options) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert "hint: " in error
    assert list(tmp_path.iterdir()) == []


def test_integers_take_no_batch(quantized: Path, tmp_path: Path, capsys) -> None:
    assert export(quantized, "integers", tmp_path / "words", "--batch", "1") == 1
    assert "integers takes no number of pictures" in capsys.readouterr().err
    assert not (tmp_path / "words").exists()


def test_an_input_is_never_overwritten(quantized: Path, capsys) -> None:
    before = quantized.read_bytes()
    assert export(quantized, "onnx", quantized) == 1
    assert quantized.read_bytes() == before
    assert capsys.readouterr().err.startswith("error: ")
