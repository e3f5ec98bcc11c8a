"""``ristretto init-weights``, run as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ristretto import api
from ristretto.caffe.reader import load_weights, read_model
from ristretto.net import Phase


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ristretto", "init-weights", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture
def model(repo: Path) -> Path:
    return repo / "models" / "cifar10_quick" / "deploy.prototxt"


def test_the_file_fits_both_prototxts(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "net.caffemodel"
    done = run("--model", model, "--weights_out", out)
    assert (done.returncode, done.stdout) == (0, "")
    assert "145,578 parameters, seed 0" in " ".join(done.stderr.split())
    net = load_weights(read_model(model).net, out).for_phase(Phase.TEST)
    net.shapes({})
    assert sum(blob.size for layer in net for blob in layer.blobs) == 145_578
    trained = load_weights(read_model(model.with_name("train_val.prototxt")).net, out)
    assert {layer.name for layer in trained if layer.blobs} == {"conv1", "conv2", "conv3", "ip1", "ip2"}


def test_one_seed_gives_one_file(model: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b", "c")]
    for path, seed in zip(files, ("3", "3", "4"), strict=True):
        assert run("-model", model, f"--weights-out={path}", "--seed", seed).returncode == 0
    a, b, c = (path.read_bytes() for path in files)
    assert a == b
    assert a != c
    assert a == api.init_weights(model, seed=3).encoded()


def test_a_net_without_fillers_is_told_of(repo: Path, tmp_path: Path) -> None:
    done = run("--model", repo / "models" / "lenet" / "deploy.prototxt", "--weights_out", tmp_path / "w")
    assert done.returncode == 0
    noted = " ".join(done.stderr.split())
    assert "the weights of layer 'conv1' and of 3 more layers are all 0: they have no weight_filler" in noted


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--seed", "-1"], 2, "-1 is negative"),
        (["--seed", "x"], 2, "invalid whole number value: 'x'"),
        (["--weights_out", "{model}"], 1, "is an input and would be overwritten"),
        (["--model", "{folder}/none.prototxt"], 1, "none.prototxt"),
        (["--model", "{trained}"], 1, "ilsvrc12_val_lmdb"),
    ],
)
def test_errors(repo: Path, model: Path, tmp_path: Path, words: list[str], code: int, says: str) -> None:
    copy = tmp_path / "deploy.prototxt"
    copy.write_bytes(model.read_bytes())
    trained = tmp_path / "train_val.prototxt"
    trained.write_bytes((repo / "models" / "vgg16" / "train_val.prototxt").read_bytes())
    given = [word.format(model=copy, folder=tmp_path, trained=trained) for word in words]
    done = run("--model", copy, "--weights_out", tmp_path / "w", *given)
    assert done.returncode == code
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deploy.prototxt", "train_val.prototxt"]
    assert copy.read_bytes() == model.read_bytes()
