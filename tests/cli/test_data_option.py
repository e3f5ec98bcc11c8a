"""``--data`` and ``--calibration_data``: the same digits in every form give the same figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from ristretto.caffe.datum import read_datum
from ristretto.data.lmdb_reader import LmdbRecords
from ristretto.data.picture import planes

BATCHES = 4
DEPLOYED = ["--batch_size", "100", "--scale", "0.00390625"]


def run(command: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ristretto", command, *map(str, words)], capture_output=True, text=True, timeout=300
    )


def figures(*words: object) -> dict[str, Any]:
    done = run("test", *words, "--iterations", BATCHES, "--json", "-")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def lenet(repo: Path) -> Path:
    return repo / "models" / "lenet"


@pytest.fixture(scope="module")
def net(lenet: Path) -> list[object]:
    return ["--model", lenet / "train_val.prototxt", "--weights", lenet / "lenet.caffemodel"]


@pytest.fixture(scope="module")
def deploy(lenet: Path) -> list[object]:
    return ["--model", lenet / "deploy.prototxt", "--weights", lenet / "lenet.caffemodel"]


@pytest.fixture(scope="module")
def digits(lenet: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The first 400 digits of the TEST database, each way; a folder of classes holds the same in another order."""
    folder = tmp_path_factory.mktemp("digits")
    records = LmdbRecords(lenet / "digits_test_lmdb")
    datums = [read_datum(records.read(number)[1]) for number in range(100 * BATCHES)]
    pictures = np.stack([planes(datum) for datum in datums])
    labels = np.array([datum.label for datum in datums])
    for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        (folder / "classes" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture[0]).save(folder / "classes" / str(label) / f"{number}.png")
    files = sorted((folder / "classes").rglob("*.png"), key=lambda file: int(file.stem))
    listed = [f"{file.relative_to(folder)} {file.parent.name}\n" for file in files]
    (folder / "list.txt").write_text("".join(listed))
    np.savez(folder / "digits.npz", data=pictures, label=labels)
    np.save(folder / "digits.npy", pictures)
    with h5py.File(folder / "digits.h5", "w") as file:
        file["data"], file["label"] = pictures, labels
    names = {"folder": "classes", "list": "list.txt", "npz": "digits.npz", "h5": "digits.h5", "npy": "digits.npy"}
    return {"lmdb": lenet / "digits_test_lmdb"} | {key: folder / name for key, name in names.items()}


@pytest.fixture(scope="module")
def own(net: list[object]) -> dict[str, Any]:
    """What the prototxt's own data give."""
    return figures(*net)


@pytest.mark.parametrize("form", ["lmdb", "list", "npz", "h5", "folder"])
def test_every_form_gives_the_accuracy_of_the_prototxts_own(
    net: list[object], deploy: list[object], digits: dict[str, Path], own: dict[str, Any], form: str
) -> None:
    fed = figures(*net, "--data", digits[form])
    assert fed["accuracy"] == pytest.approx(own["accuracy"], abs=1e-12)
    if form != "folder":
        # In another order the batches, and with them the roundings of their mean losses, are others.
        assert fed == own
    deployed = figures(*deploy, *DEPLOYED, "--data", digits[form])
    assert deployed["accuracy"] == pytest.approx(own["accuracy"], abs=1e-12)
    assert deployed["accuracy_argmax"] == pytest.approx(own["accuracy_argmax"], abs=1e-12)


def test_a_deploy_net_says_what_it_is_scored_on(deploy: list[object], digits: dict[str, Path]) -> None:
    done = run("test", *deploy, *DEPLOYED, "--data", digits["npz"], "--iterations", 1)
    assert "note: the net has no score: the accuracy of 'prob' by the labels of" in done.stderr.replace("\n", " ")
    bare = run("test", *deploy, *DEPLOYED, "--data", digits["npy"], "--iterations", 1)
    assert bare.returncode == 0, bare.stderr
    assert "prob" in bare.stdout
    assert "accuracy" not in bare.stdout


def test_the_batch_of_a_deploy_net_is_its_own_by_default(deploy: list[object], digits: dict[str, Path]) -> None:
    done = run("test", *deploy, "--scale", "0.00390625", "--data", digits["npz"], "--iterations", 3, "--json", "-")
    assert json.loads(done.stdout)["accuracy"] in (0, 1 / 3, 2 / 3, 1)


def test_the_transform_counts(deploy: list[object], digits: dict[str, Path], own: dict[str, Any]) -> None:
    spoilt = figures(*deploy, "--batch_size", 100, "--mean_value=300", "--data", digits["npz"])
    assert spoilt["accuracy"] < own["accuracy"] - 0.25


def quantize(out: Path, *words: object) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    record = out.with_suffix(".json")
    done = run("quantize", *words, "--model_quantized", out, "--iterations", 2, "--error_margin", 1, "--json", record)
    assert done.returncode in (0, 3), done.stderr
    return done, json.loads(record.read_text("utf-8"))


@pytest.mark.slow
def test_quantize_takes_other_data(
    net: list[object], deploy: list[object], lenet: Path, digits: dict[str, Path], tmp_path: Path
) -> None:
    # By ranges: by their effect, formats depend on what reads the last output, which is a softmax in the deploy net.
    net, deploy = ([*words, "--preset", "original"] for words in (net, deploy))
    _, own = quantize(tmp_path / "own.prototxt", *net)
    training = ["--calibration_data", lenet / "digits_train_lmdb"]
    _, fed = quantize(tmp_path / "fed.prototxt", *net, *training, "--data", digits["npz"])
    assert (tmp_path / "fed.prototxt").read_bytes() == (tmp_path / "own.prototxt").read_bytes()
    assert fed["score"] == own["score"]
    done, bare = quantize(tmp_path / "bare.prototxt", *deploy, *DEPLOYED, *training, "--data", digits["npz"])
    assert bare["bits"] == own["bits"]
    assert bare["score"] == own["score"]
    assert "ranges are measured on TEST data" not in done.stderr
    text = (tmp_path / "bare.prototxt").read_text("utf-8")
    assert "Accuracy" not in text
    assert text.count("quantization_param") == 4
    done, _ = quantize(tmp_path / "alone.prototxt", *deploy, *DEPLOYED, "--data", digits["npz"])
    assert "note: the net has no TRAIN data: ranges are measured on TEST data" in done.stderr


def refused(*words: object) -> str:
    done = run(*map(str, words))
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error: ") == 1
    return done.stderr


def test_what_cannot_be_fed_is_told(
    net: list[object], deploy: list[object], digits: dict[str, Path], tmp_path: Path
) -> None:
    assert "--data" in refused("test", *deploy)
    assert "not which ones" in refused("test", *net, "--scale", 2)
    assert "does not exist" in refused("test", *net, "--data", tmp_path / "gone")
    assert "has no labels" not in refused("test", *net, "--data", tmp_path)
    assert "holds no array for the blob 'label'" in refused("test", *net, "--data", digits["npy"])
    flat = digits["folder"] / "0"
    assert "has no labels, and the net reads the blob 'label'" in refused("test", *net, "--data", flat)
    assert "the net asks for (1, 1, 28, 28)" in refused("test", *deploy, "--data", flat, "--crop_size", 20)
    picture = tmp_path / "pictures" / "a.png"
    picture.parent.mkdir()
    picture.write_text("no picture")
    assert "its picture does not decode" in refused("test", *deploy, "--data", picture.parent)


def test_data_are_never_written_to(net: list[object], digits: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "digits.npz"
    copy.write_bytes(digits["npz"].read_bytes())
    refused("test", *net, "--data", copy, "--json", copy)
    assert copy.read_bytes() == digits["npz"].read_bytes()


@pytest.mark.parametrize(
    "words", [["--mean_value", "1,x"], ["--scale", "nan"], ["--scale", "1,2"], ["--batch_size", "0"]]
)
def test_wrong_numbers_are_wrong_usage(net: list[object], words: list[str]) -> None:
    assert run("test", *net, *words).returncode == 2
