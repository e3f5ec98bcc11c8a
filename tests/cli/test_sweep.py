"""``ristretto sweep`` as a user runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from ristretto.cli.sweep import widths

SMALL = ["--bits", "8,4..3", "--iterations", "2"]


def run(*words: object, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ristretto", "sweep", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env}, timeout=300)


@pytest.fixture(scope="module")
def lenet(repo: Path) -> list[str]:
    folder = repo / "models" / "lenet"
    return ["--model", str(folder / "train_val.prototxt"), "--weights", str(folder / "lenet.caffemodel")]


@pytest.fixture(scope="module")
def swept(lenet: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A sweep of the embedded LeNet, with all that it can write."""
    folder = tmp_path_factory.mktemp("swept")
    files = [folder / name for name in ("plot.png", "plot.svg", "result.json")]
    done = run(*lenet, *SMALL, "--plot", files[0], files[1], "--json", files[2])
    assert done.returncode == 0, done.stderr
    return {"run": done, "png": files[0], "svg": files[1], "json": json.loads(files[2].read_text("utf-8"))}


def test_it_prints_a_table_for_each_mode(swept: dict[str, Any]) -> None:
    lines = [" ".join(line.split()) for line in swept["run"].stdout.splitlines() if re.search(r"\w", line)]
    data = swept["json"]
    scores = {(t["trimming_mode"], t["part"], t["bit_width"]): t["score"] for t in data["trials"]}
    assert lines[1] == f"float net: {data['baseline_score']:.4f}"
    expected = []
    for mode in ("fixed_point", "dynamic_fixed_point"):
        expected += [mode.replace("_", " "), "bits CONV weights FC weights layer outputs all together"]
        for width in (8, 4, 3):
            parts = ("conv_params", "fc_params", "activations", "all")
            expected.append(" ".join([str(width), *(f"{scores[mode, part, width]:.4f}" for part in parts)]))
    assert lines[2:] == expected
    assert "\x1b" not in swept["run"].stdout + swept["run"].stderr
    assert f"wrote {swept['png']} and {swept['svg']}" in swept["run"].stderr


def test_the_json_has_what_a_program_needs(swept: dict[str, Any]) -> None:
    data = swept["json"]
    assert (data["net"], data["preset"], data["score_blob"], data["iterations"]) == ("LeNet", "accurate", "accuracy", 2)
    assert len(data["trials"]) == 2 * 4 * 3
    for trial in data["trials"]:
        assert set(trial) == {"trimming_mode", "part", "bit_width", "score", "score_argmax"}
        assert 0 <= trial["score"] <= trial["score_argmax"] <= 1
    # What the paper's figure shows: where fixed point has long failed, dynamic fixed point still holds.
    four = {t["trimming_mode"]: t["score"] for t in data["trials"] if (t["part"], t["bit_width"]) == ("all", 4)}
    assert four["dynamic_fixed_point"] > data["baseline_score"] - 0.05 > four["fixed_point"]


def test_the_plots_can_be_opened(swept: dict[str, Any]) -> None:
    with Image.open(swept["png"]) as image:
        image.load()
        assert image.format == "PNG"
    assert ElementTree.parse(swept["svg"]).getroot().tag.endswith("}svg")


def test_it_writes_the_same_bytes_again(swept: dict[str, Any], lenet: list[str], tmp_path: Path) -> None:
    again = [tmp_path / name for name in ("plot.png", "plot.svg", "result.json")]
    done = run(*lenet, *SMALL, "--threads", 1, "--plot", again[0], "--plot", again[1], "--json", again[2])
    assert done.returncode == 0, done.stderr
    for file in again:
        assert file.read_bytes() == (swept["png"].parent / file.name).read_bytes()


def test_json_on_standard_output_is_alone_there(lenet: list[str]) -> None:
    done = run(*lenet, "--bits", 4, "--iterations", 1, "--modes=minifloat", "--parts=all,activations", "--json", "-")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert [(t["trimming_mode"], t["part"]) for t in data["trials"]] == [
        ("minifloat", "activations"),
        ("minifloat", "all"),
    ]
    assert "all together" in done.stderr


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("16..13", [16, 15, 14, 13]),
        ("2..4", [4, 3, 2]),
        ("8", [8]),
        ("2,16,8,16", [16, 8, 2]),
        ("16,4..2", [16, 4, 3, 2]),
    ],
)
def test_widths_are_lists_and_ranges(text: str, read: list[int]) -> None:
    assert widths(text) == read


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--bits", "16..0"], "16..0 is no width between 1 and 32 bits"),
        (["--bits", "40"], "40 is no width between 1 and 32 bits"),
        (["--bits", "8..x"], "invalid list of widths, as 16..2 or 16,8,4,2 value: '8..x'"),
        (["--bits", ""], "invalid list of widths"),
        (["--modes", "fixed_point,posit"], "no trimming mode is called 'posit'; there are: dynamic_fixed_point"),
        (["--parts", "conv"], "no part of a net is called 'conv'; there are: conv_params, fc_params, activations, all"),
        (["--plot", "a.png", "b.pdf"], "b.pdf is neither a .png nor a .svg"),
        (["--preset", "best"], "invalid choice: 'best'"),
    ],
)
def test_wrong_usage_exits_with_2(lenet: list[str], words: list[str], says: str, tmp_path: Path) -> None:
    done = run(*lenet, *words)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["--modes", "minifloat"],
            "error: minifloat, conv_params at 3 bits: no minifloat has 3 bits\nhint: ask for 4",
        ),
        (
            ["--modes", "integer_power_of_2_weights", "--bits", "4,8"],
            "error: integer_power_of_2_weights, conv_params at 8 bits: powers of two have 4 bits\nhint: ask for 4-bit",
        ),
        (["--score", "speed"], "error: net 'LeNet' has no output blob 'speed'"),
    ],
)
def test_an_error_is_one_line_and_a_hint(lenet: list[str], words: list[str], says: str, tmp_path: Path) -> None:
    done = run(*lenet, *words, "--plot", tmp_path / "plot.png")
    assert done.returncode == 1
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert not list(tmp_path.iterdir())


def test_no_input_is_written_over(lenet: list[str], tmp_path: Path) -> None:
    weights = tmp_path / "weights.png"
    weights.write_bytes(Path(lenet[3]).read_bytes())
    done = run(*lenet[:2], "--weights", weights, "--plot", weights)
    assert done.returncode == 1
    assert "is an input and would be overwritten" in done.stderr
    assert weights.read_bytes() == Path(lenet[3]).read_bytes()


def test_without_matplotlib_it_says_what_to_install_before_any_work(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "matplotlib.py").write_text("raise ImportError('not here')\n", "utf-8")
    nothing = ["--model", tmp_path / "none.prototxt", "--weights", tmp_path / "none.caffemodel"]
    path = os.pathsep.join([str(hidden), *sys.path])
    done = run(*nothing, "--plot", tmp_path / "plot.png", PYTHONPATH=path)
    assert done.returncode == 1
    assert "error: plots need matplotlib, which cannot be imported: not here" in done.stderr
    assert "hint: install it by: pip install 'ristretto-cnn[plot]'" in done.stderr
    assert not (tmp_path / "plot.png").exists()
