"""``ristretto report`` and ``ristretto quantize --report`` as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from ristretto.cli.main import main
from tests.report.page_data import result, sweep


class Done(NamedTuple):
    """What a command has left behind."""

    returncode: int
    stderr: str


Here = Callable[..., Done]


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    """Runs a command in this process: starting one takes seconds."""

    def run_here(*words: object) -> Done:
        code = main(list(map(str, words)))
        return Done(code, capsys.readouterr().err)

    return run_here


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ristretto", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=300)


@pytest.fixture(scope="module")
def quantized(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a quantization of the embedded LeNet writes: its result, and the page of it."""
    folder, lenet = tmp_path_factory.mktemp("quantized"), repo / "models" / "lenet"
    done = run(
        "quantize", "--model", lenet / "train_val.prototxt", "--weights", lenet / "lenet.caffemodel",
        "--model_quantized", folder / "q.prototxt", "--bits", "4/4/8", "--iterations", 2, "--calibration_batches", 2,
        "--json", folder / "R.json", "--report", folder / "direct.html",
    )  # fmt: skip
    assert done.returncode in (0, 3), done.stderr
    return folder


def test_a_result_becomes_a_page(quantized: Path) -> None:
    out = quantized / "new" / "report.html"
    done = run("report", quantized / "R.json", "-o", out)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr == f"wrote {out}\n"
    text = out.read_text("utf-8")
    assert "<h1>LeNet</h1>" in text
    assert all(f'<a href="#layer-{index}">{name}</a>' in text for index, name in enumerate(("conv1", "conv2", "ip1")))
    assert "4 / 4 / 8" in text


def test_quantize_writes_the_same_page_itself(quantized: Path, tmp_path: Path, here: Here) -> None:
    out = tmp_path / "report.html"
    assert here("report", quantized / "R.json", "-o", out).returncode == 0
    assert out.read_bytes() == (quantized / "direct.html").read_bytes()


def test_the_page_names_no_place_of_this_machine(quantized: Path) -> None:
    """Where calibration data lie is told as the prototxt has it."""
    assert str(quantized) not in (quantized / "direct.html").read_text("utf-8")


def test_files_stand_in_any_order(tmp_path: Path, here: Here) -> None:
    (tmp_path / "R.json").write_text(json.dumps(result()), "utf-8")
    (tmp_path / "s.json").write_text(json.dumps(sweep()), "utf-8")
    pages = []
    for order in (("R.json", "s.json"), ("s.json", "R.json")):
        done = here("report", *(tmp_path / name for name in order), "-o", tmp_path / "p.html")
        assert done.returncode == 0, done.stderr
        pages.append((tmp_path / "p.html").read_bytes())
    assert pages[0] == pages[1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot read"),
        ("{", "is no JSON"),
        ('{"prototxt": 1}', "is no result that a report can show"),
        (json.dumps(result() | {"schema": 9}), "is of schema 9, and this version of ristretto reads 1"),
        (json.dumps(result() | {"layers": 3}), "is damaged: layers is no list"),
    ],
)
def test_bad_input_is_one_clear_line_and_leaves_the_old_page(
    tmp_path: Path, content: str | None, said: str, here: Here
) -> None:
    source, out = tmp_path / "R.json", tmp_path / "report.html"
    if content is not None:
        source.write_text(content, "utf-8")
    out.write_text("old", "utf-8")
    done = here("report", source, "-o", out)
    assert done.returncode == 1
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert said in error
    assert hint.startswith("hint: ")
    assert out.read_text("utf-8") == "old"
    assert {path.name for path in tmp_path.iterdir()} <= {"R.json", "report.html"}


def test_the_input_is_never_overwritten(tmp_path: Path, here: Here) -> None:
    source = tmp_path / "R.json"
    source.write_text(json.dumps(result()), "utf-8")
    done = here("report", source, "-o", source)
    assert done.returncode == 1
    assert "is an input and would be overwritten" in done.stderr
    assert json.loads(source.read_text("utf-8")) == result()
