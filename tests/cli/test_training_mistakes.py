"""``ristretto finetune`` and ``train`` with files and words that do not fit: one line, and nothing is harmed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ristretto import api
from ristretto.caffe.reader import load_weights, read_model
from ristretto.cli.main import main
from ristretto.passes import TrimWeights

LENET = Path("models/lenet")
NAMES = ("train_val.prototxt", "lenet.caffemodel")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a net and its weights: copies, as what is tried here is to write over them."""
    for name in NAMES:
        shutil.copyfile(LENET / name, tmp_path / name)
    return tmp_path


def solver(folder: Path, **settings: str) -> str:
    plain = {
        "net": f'"{folder / NAMES[0]}"',
        "weights": f'"{folder / NAMES[1]}"',
        "base_lr": "0.01",
        "lr_policy": '"fixed"',
        "max_iter": "2",
        "snapshot": "1",
        "snapshot_prefix": f'"{folder}/lenet"',
        "solver_mode": "CPU",
    }
    path = folder / "solver.prototxt"
    path.write_text("\n".join(f"{name}: {value}" for name, value in {**plain, **settings}.items()))
    return str(path)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def mistaken(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command that must fail by one line and leave everything as it was; give the line."""
    before = contents(folder)
    capsys.readouterr()
    assert main(words) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    assert contents(folder) == before
    return lines[0]


@pytest.mark.parametrize("name", [*NAMES, "solver.prototxt"])
@pytest.mark.parametrize("option", ["--weights_out", "--weights_quantized", "--model_quantized", "--json", "--log"])
def test_what_a_solver_names_is_not_written_over(
    name: str, option: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = mistaken(folder, capsys, "finetune", "--solver", solver(folder), option, str(folder / name))
    assert f"{name} is an input and would be overwritten" in told


@pytest.mark.parametrize("ending", ["caffemodel", "solverstate", "radix_points.npz"])
def test_a_snapshot_that_is_read_is_not_written_over(
    ending: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quantized = folder / "q.prototxt"
    model, weights = (str(folder / name) for name in NAMES)
    bits = ["--bits", "4/4/8", "--iterations", "1", "--error_margin", "100", "--no_cache"]
    assert main(["quantize", "--model", model, "--weights", weights, "--model_quantized", str(quantized), *bits]) == 0
    words = ["finetune", "--solver", solver(folder), "--model", str(quantized), "--learn_fl"]
    learned = ["--model_quantized", str(folder / "learned.prototxt")]
    assert main([*words, *learned, "--max_iter", "1"]) == 0
    # Not where this solver has its snapshots: what is called like those is refused at once.
    (folder / "moved").mkdir()
    for path in folder.glob("lenet_iter_1.*"):
        path.rename(folder / "moved" / path.name)
    state, target = (folder / "moved" / f"lenet_iter_1.{each}" for each in ("solverstate", ending))
    told = mistaken(folder, capsys, *words, *learned, "--snapshot", str(state), "--weights_out", str(target))
    assert f"lenet_iter_1.{ending} is an input and would be overwritten" in told


def test_trimmed_weights_are_on_the_grid_that_was_learned(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quantized, learned, grid = folder / "q.prototxt", folder / "learned.prototxt", folder / "grid.caffemodel"
    model, weights = (str(folder / name) for name in NAMES)
    bits = ["--bits", "3/3/8", "--iterations", "1", "--error_margin", "100", "--no_cache"]
    assert main(["quantize", "--model", model, "--weights", weights, "--model_quantized", str(quantized), *bits]) == 0
    settings = {"test_iter": "1", "test_interval": "10", "max_iter": "8", "snapshot": "0"}
    words = ["finetune", "--solver", solver(folder, **settings), "--model", str(quantized), "--learn_fl", "--json", "-"]
    capsys.readouterr()
    assert main([*words, "--model_quantized", str(learned), "--weights_quantized", str(grid)]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"][0]
    net = load_weights(read_model(learned).net, grid)
    assert TrimWeights()(net) is net
    for path in (grid, folder / "lenet_iter_8.caffemodel"):
        found = api.test(learned, path, iterations=1)
        assert {**{blob: float(mean) for blob, mean in found.outputs.items()}, **found.companions} == {
            name: score for name, score in scores.items() if name != "iterations"
        }


HOSTILE = {
    "empty": ("", "base_lr is missing"),
    "garbage": ("\x00\x01\x02\xff" * 50, ""),
    "unclosed": ('net: "a" base_lr: 1 train_state {', ""),
    "itself": ('net: "{folder}/solver.prototxt" base_lr: 1 lr_policy: "fixed" max_iter: 1', ""),
    "folder": ('net: "{folder}" base_lr: 1 lr_policy: "fixed" max_iter: 1', ""),
    "weights": ('net: "{folder}/lenet.caffemodel" base_lr: 1 lr_policy: "fixed" max_iter: 1', ""),
    "deep": ("train_state { " * 5000, ""),
    "number": ('net: "a" base_lr: 1 lr_policy: "fixed" max_iter: 99999999999999999999', ""),
    "negative": ('net: "a" base_lr: 1 lr_policy: "fixed" max_iter: -1', "max_iter is -1"),
    "nul": ('net: "a" base_lr: 1 lr_policy: "fixed" max_iter: 1 snapshot_prefix: "a\\000b"', "holds a NUL"),
    "long": (
        'net: "{folder}/train_val.prototxt" base_lr: 1 lr_policy: "fixed" max_iter: 1 snapshot_prefix: "{long}"',
        "cannot write",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_solver_is_one_error(case: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, told = HOSTILE[case]
    path = folder / "solver.prototxt"
    # Not by format: braces are a prototxt's own.
    path.write_text(text.replace("{folder}", str(folder)).replace("{long}", "a" * 300), encoding="latin-1")
    words = ("finetune", "--solver", str(path), "--weights", str(folder / NAMES[1]))
    assert told in mistaken(folder, capsys, *words, "--weights_out", str(folder / "out.caffemodel"))


def test_a_folder_for_tensorboard_that_is_a_file_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / NAMES[0]
    told = mistaken(folder, capsys, "train", "--solver", solver(folder), "--tensorboard", str(path))
    assert f"cannot write {path}: File exists" in told


def test_a_seed_beyond_all_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = mistaken(folder, capsys, "train", "--solver", solver(folder), "--seed", "9" * 30)
    assert "a seed of 9999" in told


@pytest.mark.parametrize(
    "words",
    [
        ["finetune"],
        ["finetune", "--solver", "s", "--rounding", "up"],
        ["finetune", "--solver", "s", "--activations", "some"],
        ["finetune", "--solver", "s", "--device", "tpu"],
        ["finetune", "--solver", "s", "--distill", "much"],
        ["finetune", "--solver", "s", "--seed", "-1"],
        ["finetune", "--solver", "s", "--max_iter", "0"],
        ["finetune", "--solver", "s", "--plot", "training.gif"],
        ["train", "--solver", "s", "--weights", "w"],
        ["train", "--solver", "s", "--learn_fl"],
    ],
    ids=" ".join,
)
def test_words_that_no_option_takes_are_a_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    told = capsys.readouterr().err.splitlines()
    assert len([line for line in told if line.startswith("ristretto") and "error:" in line]) == 1


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("finetune", ("--weights ", "--learn_fl", "--distill", "--weights_quantized", "--activations", "--rounding")),
        ("train", ("--solver", "--snapshot", "--weights_out", "--log", "--tensorboard", "--plot", "--json", "--seed")),
    ],
)
def test_help_names_the_options(command: str, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    told = capsys.readouterr().out
    assert "examples:" in told
    assert all(option in told for option in options)
