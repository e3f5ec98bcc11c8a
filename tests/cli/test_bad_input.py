"""Bad input: one clear line, exit 1, no output file left behind, no input touched."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ristretto.caffe.schema import message_class


class Workshop:
    """A copy of the embedded LeNet that a test may spoil."""

    def __init__(self, repo: Path, folder: Path) -> None:
        self.folder = folder
        for name in ("train_val.prototxt", "lenet.caffemodel", "digits_train_lmdb", "digits_test_lmdb"):
            source = repo / "models" / "lenet" / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, folder / name)
        self.model, self.weights = folder / "train_val.prototxt", folder / "lenet.caffemodel"
        self.train, self.test = folder / "digits_train_lmdb", folder / "digits_test_lmdb"
        self.change("models/lenet/", f"{folder}/")
        self.out = folder / "out" / "quantized.prototxt"

    def change(self, old: str, new: str) -> None:
        text = self.model.read_text("utf-8")
        assert old in text
        self.model.write_text(text.replace(old, new), "utf-8")

    def reweigh(self, change: Callable[[np.ndarray], np.ndarray], layer: str = "conv2") -> None:
        message = message_class("NetParameter")()
        message.ParseFromString(self.weights.read_bytes())
        for item in message.layer:
            if item.name == layer:
                blob = item.blobs[0]
                values = change(np.array(blob.data, np.float32).reshape(list(blob.shape.dim)))
                del blob.data[:]
                blob.data.extend(values.ravel().tolist())
                blob.shape.dim[:] = values.shape
        self.weights.write_bytes(message.SerializeToString())

    def snapshot(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.name != "lock.mdb"
        }


@pytest.fixture
def workshop(repo: Path, tmp_path: Path) -> Workshop:
    return Workshop(repo, tmp_path)


def refuse(shop: Workshop, *said: str, command: str = "quantize", **options: object) -> None:
    """Run a command, and hold it to the promises about bad input."""
    words = {"model": shop.model, "weights": shop.weights, "iterations": 2}
    if command == "quantize":
        words["model_quantized"] = shop.out
    words |= options
    before = shop.snapshot()
    flags = [str(word) for name, value in words.items() for word in (f"--{name}", value)]
    done = subprocess.run(
        [sys.executable, "-m", "ristretto", command, *flags], capture_output=True, text=True, timeout=120
    )
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 1, done.stderr
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert all(line.startswith(("error: ", "hint: ", "note: ")) for line in lines), done.stderr
    for word in said:
        assert word in done.stderr, done.stderr
    assert not shop.out.exists()
    assert shop.snapshot() == before


def test_an_untouched_workshop_works(workshop: Workshop) -> None:
    words = ["--model", workshop.model, "--weights", workshop.weights, "--model_quantized", workshop.out]
    command = [sys.executable, "-m", "ristretto", "quantize", *map(str, words), "--iterations", "2"]
    assert subprocess.run(command, capture_output=True, timeout=120).returncode == 0
    assert workshop.out.exists()


@pytest.mark.parametrize("name", ["model", "weights"])
@pytest.mark.parametrize("command", ["quantize", "test"])
def test_missing_file(workshop: Workshop, name: str, command: str) -> None:
    refuse(workshop, "missing.file", command=command, **{name: workshop.folder / "missing.file"})


@pytest.mark.parametrize("name", ["model", "weights"])
def test_a_folder_for_a_file(workshop: Workshop, name: str) -> None:
    refuse(workshop, workshop.test.name, **{name: workshop.test})


def test_model_and_weights_swapped(workshop: Workshop) -> None:
    refuse(workshop, "prototxt", model=workshop.weights, weights=workshop.model)


def test_weights_that_are_text(workshop: Workshop) -> None:
    refuse(workshop, "train_val.prototxt", weights=workshop.model)


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.999])
def test_truncated_weights(workshop: Workshop, share: float) -> None:
    data = workshop.weights.read_bytes()
    workshop.weights.write_bytes(data[: int(len(data) * share)])
    refuse(workshop, "lenet.caffemodel")


def test_text_that_is_no_prototxt_is_named_with_line_and_column(workshop: Workshop) -> None:
    workshop.model.write_text('name: "x"\nlayer {\n  name: "a"\n  type = "b"\n}\n')
    refuse(workshop, f"{workshop.model}:4:8")


def test_truncated_prototxt(workshop: Workshop) -> None:
    workshop.model.write_text(workshop.model.read_text()[:700])
    refuse(workshop, str(workshop.model))


def test_empty_prototxt(workshop: Workshop) -> None:
    workshop.model.write_text("")
    refuse(workshop)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w[:, :, :4], "'conv2'"),
        (lambda w: np.where(w == w.max(), np.float32(np.nan), w), "NaN"),
        (lambda w: np.where(w == w.max(), np.float32(np.inf), w), "'conv2'"),
    ],
)
def test_weights_that_make_no_sense(workshop: Workshop, change: Callable[[np.ndarray], np.ndarray], said: str) -> None:
    workshop.reweigh(change)
    refuse(workshop, said)


def test_weights_of_another_net(workshop: Workshop) -> None:
    for name in ("conv1", "conv2", "ip1", "ip2"):
        workshop.change(f'name: "{name}"', f'name: "other_{name}"')
    refuse(workshop, "no layer", "does the caffemodel belong")


def test_unknown_layer_type_is_named_with_the_known_ones(workshop: Workshop) -> None:
    workshop.change('"Pooling"', '"Poolling"')
    refuse(workshop, "'pool1'", "unknown layer type 'Poolling'", "Pooling", "InnerProduct")


def test_missing_data(workshop: Workshop) -> None:
    shutil.rmtree(workshop.test)
    refuse(workshop, "digits_test_lmdb")


@pytest.mark.parametrize("data", [b"", b"\0" * 4096, os.urandom(64 * 1024)])
def test_data_that_is_no_lmdb(workshop: Workshop, data: bytes) -> None:
    (workshop.test / "data.mdb").write_bytes(data)
    refuse(workshop, "digits_test_lmdb")


def test_truncated_lmdb(workshop: Workshop) -> None:
    path = workshop.test / "data.mdb"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 // 4096 * 4096])
    refuse(workshop, "digits_test_lmdb")


def test_empty_lmdb(workshop: Workshop) -> None:
    import lmdb

    shutil.rmtree(workshop.test)
    lmdb.open(str(workshop.test)).close()
    refuse(workshop, "digits_test_lmdb", "empty")


def test_mean_file_of_the_wrong_shape(workshop: Workshop) -> None:
    blob = message_class("BlobProto")(num=1, channels=3, height=28, width=28, data=[0.0] * 3 * 28 * 28)
    mean = workshop.folder / "mean.binaryproto"
    mean.write_bytes(blob.SerializeToString())
    workshop.change("scale: 0.00390625", f'scale: 0.00390625 mean_file: "{mean}"')
    refuse(workshop, "mean.binaryproto", "3x28x28", "1x28x28")


def test_net_without_a_score(workshop: Workshop) -> None:
    text = workshop.model.read_text("utf-8")
    workshop.model.write_text(text[: text.index("# The share of digits")], "utf-8")
    refuse(workshop, "no score", "Accuracy", "--score")


def test_a_score_that_is_no_output(workshop: Workshop) -> None:
    refuse(workshop, "no output blob 'accuracy_top5'", "accuracy, loss", score="accuracy_top5")


def test_net_without_data(workshop: Workshop, repo: Path) -> None:
    refuse(workshop, model=repo / "models" / "lenet" / "deploy.prototxt")


def test_output_that_is_an_input(workshop: Workshop) -> None:
    for name in ("model", "weights"):
        target = workshop.model if name == "model" else workshop.weights
        refuse(workshop, "input", "overwritten", model_quantized=target)


def test_output_that_is_an_input_under_another_name(workshop: Workshop) -> None:
    link = workshop.folder / "link.prototxt"
    link.symlink_to(workshop.model)
    refuse(workshop, "input", model_quantized=link)


def test_output_into_a_file_instead_of_a_folder(workshop: Workshop) -> None:
    refuse(workshop, "cannot write", model_quantized=workshop.weights / "q.prototxt")


def test_output_that_is_a_folder(workshop: Workshop) -> None:
    refuse(workshop, "folder", model_quantized=workshop.test)


def test_two_outputs_of_one_name(workshop: Workshop) -> None:
    refuse(workshop, "two outputs", json=workshop.out)


def test_failure_keeps_an_older_output(workshop: Workshop) -> None:
    older = workshop.folder / "older.prototxt"
    older.write_text("precious")
    refuse(workshop, "missing.file", weights=workshop.folder / "missing.file", model_quantized=older)
    assert older.read_text() == "precious"


def test_caffemodel_with_a_huge_length(workshop: Workshop) -> None:
    workshop.weights.write_bytes(b"\xa2\x06" + b"\xff\xff\xff\xff\x07" + struct.pack("<8f", *range(8)))
    refuse(workshop, "lenet.caffemodel")


def test_stochastic_rounding_cannot_be_scored(workshop: Workshop) -> None:
    workshop.change('type: "Convolution"', 'type: "ConvolutionRistretto"')
    text = workshop.model.read_text()
    marker = "  convolution_param {"
    workshop.model.write_text(text.replace(marker, f"  quantization_param {{ rounding_scheme: STOCHASTIC }}\n{marker}"))
    refuse(workshop, "STOCHASTIC", "NEAREST", command="test")
