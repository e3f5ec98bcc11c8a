"""``--json``: every file says what it is, so that a program can tell one from another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ristretto import __version__
from ristretto.cli.main import main
from ristretto.report.kinds import SCHEMA

NET = ["--model", "models/lenet/train_val.prototxt", "--weights", "models/lenet/lenet.caffemodel"]


@pytest.fixture(scope="module")
def quantized(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("quantized") / "q.prototxt"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repo)
        assert main(["quantize", *NET, "--bits", "8/8/8", "--iterations", "2", "--model_quantized", str(out)]) == 0
    return out


@pytest.mark.parametrize("kind", ["difference", "hardware", "export"])
def test_a_file_says_its_kind_first(
    kind: str, quantized: Path, repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repo)
    net, found = ["--model", str(quantized), *NET[2:]], tmp_path / "found.json"
    words = {
        "difference": ["diff", NET[1], str(quantized)],
        "hardware": ["hardware", *net, "--iterations", "1"],
        "export": ["export", *net, "--format", "integers", str(tmp_path / "out")],
    }
    assert main([*words[kind], "--json", str(found)]) in (0, 4)
    head = list(json.loads(found.read_text("utf-8")).items())[:3]
    assert head == [("kind", kind), ("schema", SCHEMA), ("ristretto_version", __version__)]


@pytest.mark.parametrize("kind", ["build", "check"])
def test_so_do_those_of_jobs(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = '[[job]]\nname = "a"\nmodel = "n.prototxt"\nweights = "w"\nmodel_quantized = "q.prototxt"\n'
    (tmp_path / "ristretto.toml").write_text(text)
    main([kind, "--json", "found.json"])
    assert json.loads((tmp_path / "found.json").read_text("utf-8"))["kind"] == kind
