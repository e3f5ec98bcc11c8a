"""``ristretto finetune`` and ``ristretto train``, on the embedded LeNet."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ristretto import api
from ristretto.caffe.reader import load_weights, read_model
from ristretto.cli.main import main
from ristretto.cli.training_watch import TrainingWatcher
from ristretto.errors import RistrettoError
from ristretto.finetune.events import Event, Updated
from ristretto.passes import TrimWeights

MODEL, WEIGHTS = "models/lenet/train_val.prototxt", "models/lenet/lenet.caffemodel"
SETTINGS = {
    "net": f'"{MODEL}"',
    "base_lr": "0.01",
    "lr_policy": '"fixed"',
    "momentum": "0.9",
    "max_iter": "4",
    "display": "2",
    "test_iter": "2",
    "test_interval": "2",
    "snapshot": "2",
    "solver_mode": "CPU",
    "random_seed": "1",
}


def solver(folder: Path, **settings: str) -> str:
    prefix = {"snapshot_prefix": f'"{folder}/lenet"'}
    path = folder / "solver.prototxt"
    path.write_text("\n".join(f"{name}: {value}" for name, value in {**SETTINGS, **prefix, **settings}.items()))
    return str(path)


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("quantized") / "q.prototxt"
    options = ["--bits", "3/3/4", "--iterations", "1", "--error_margin", "100", "--no_cache"]
    assert main(["quantize", "--model", MODEL, "--weights", WEIGHTS, "--model_quantized", str(path), *options]) == 0
    return str(path)


def finetune(folder: Path, quantized: str, *options: str, **settings: str) -> int:
    model = ["--model", quantized, "--weights", WEIGHTS]
    return main(["finetune", "--solver", solver(folder, **settings), *model, *options])


def scores(model: str, weights: Path) -> dict[str, float]:
    found = api.test(model, weights, iterations=2)
    return {**{blob: float(mean) for blob, mean in found.outputs.items()}, **found.companions}


def test_a_quantized_net_is_tuned_and_scored_in_integers(
    tmp_path: Path, quantized: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log, grid, shadow = tmp_path / "log.jsonl", tmp_path / "grid.caffemodel", tmp_path / "shadow.caffemodel"
    capsys.readouterr()
    files = ["--log", str(log), "--weights_quantized", str(grid), "--weights_out", str(shadow), "--json", "-"]
    assert finetune(tmp_path, quantized, *files) == 0
    told = json.loads(capsys.readouterr().out)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    kinds = [event["event"] for event in events]
    # Scored before the first update, as Caffe does it; the last score is the result's.
    assert kinds == ["scored", *["updated"] * 2, "saved", "scored", *["updated"] * 2, "saved", "scored"]
    assert [event["is_due"] for event in events if event["event"] == "updated"] == [False, True] * 2
    snapshots = [tmp_path / f"lenet_iter_{at}.{kind}" for at in (2, 4) for kind in ("caffemodel", "solverstate")]
    assert all(path.is_file() for path in snapshots)
    assert told["snapshots"] == [list(map(str, snapshots[:2])), list(map(str, snapshots[2:]))]
    assert told["complete"] is True
    # The same score by another road: the weights of the snapshot, the shadow weights, and those on the grid.
    for weights in (snapshots[2], shadow, grid):
        found = scores(quantized, weights)
        assert found == {name: told["scores"][0][name] for name in found}
        assert found == events[-1]["scores"]
    net = load_weights(read_model(quantized).net, grid)
    assert TrimWeights()(net) is net
    float_weights = load_weights(read_model(quantized).net, shadow)
    assert TrimWeights()(float_weights) is not float_weights
    assert scores(quantized, Path(WEIGHTS)) == events[0]["scores"]


def test_learned_lengths_are_written(tmp_path: Path, quantized: str) -> None:
    result = tmp_path / "learned.prototxt"
    assert finetune(tmp_path, quantized, "--learn_fl", "--model_quantized", str(result)) == 0
    assert (tmp_path / "lenet_iter_4.radix_points.npz").is_file()
    before, after = (read_model(path).net for path in (quantized, result))
    assert [layer.type for layer in before] == [layer.type for layer in after]
    assert all(
        new.quant is not None and new.quant.params is not None and new.quant.params.bits == 3
        for new in after
        if new.quant or new.name == "conv1"
    )


def test_learned_lengths_need_somewhere_to_go(tmp_path: Path, quantized: str) -> None:
    with pytest.raises(SystemExit) as caught:
        finetune(tmp_path, quantized, "--learn_fl")
    assert caught.value.code == 2


def test_the_same_files_every_time(tmp_path: Path, quantized: str) -> None:
    found = []
    for turn in ("one", "two"):
        folder = tmp_path / turn
        folder.mkdir()
        plot = folder / "plot.svg"
        assert finetune(folder, quantized, "--plot", str(plot), "--rounding", "stochastic", "--distill", "0.5") == 0
        found.append([plot.read_bytes(), (folder / "lenet_iter_4.caffemodel").read_bytes()])
    assert found[0] == found[1]


def test_a_run_goes_on_from_its_snapshot(tmp_path: Path, quantized: str) -> None:
    assert finetune(tmp_path, quantized) == 0
    names = [tmp_path / "lenet_iter_4.caffemodel", tmp_path / "lenet_iter_4.solverstate"]
    whole = [name.read_bytes() for name in names]
    for name in names:
        name.unlink()
    state = str(tmp_path / "lenet_iter_2.solverstate")
    assert main(["finetune", "--solver", solver(tmp_path), "--model", quantized, "--snapshot", state]) == 0
    assert [name.read_bytes() for name in names] == whole


def test_a_snapshot_of_the_end_is_left_as_it_is(
    tmp_path: Path, quantized: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finetune(tmp_path, quantized, max_iter="2") == 0
    first = capsys.readouterr().out
    state = str(tmp_path / "lenet_iter_2.solverstate")
    again = ["finetune", "--solver", solver(tmp_path, max_iter="2"), "--model", quantized, "--snapshot", state]
    assert main(again) == 0
    assert capsys.readouterr().out == first


def test_the_end_shows_what_test_shows(tmp_path: Path, quantized: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert finetune(tmp_path, quantized) == 0
    tuned = capsys.readouterr().out
    weights = str(tmp_path / "lenet_iter_4.caffemodel")
    assert main(["test", "--model", quantized, "--weights", weights, "--iterations", "2"]) == 0
    assert tuned == "trained to the end: 4 updates\n" + capsys.readouterr().out


def interrupt(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Have Ctrl-C pressed in the first update."""
    told = TrainingWatcher.told

    def press(watcher: TrainingWatcher, event: Event) -> None:
        told(watcher, event)
        if isinstance(event, Updated) and event.iteration == 1:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(TrainingWatcher, "told", press)


def test_ctrl_c_writes_a_snapshot_of_its_own(
    tmp_path: Path, quantized: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT)
    interrupt(monkeypatch, 1)
    capsys.readouterr()
    assert finetune(tmp_path, quantized, "--json", "-", snapshot="0") == 130
    assert signal.getsignal(signal.SIGINT) is before
    told = json.loads(capsys.readouterr().out)
    names = [str(tmp_path / f"lenet_iter_1.{kind}") for kind in ("caffemodel", "solverstate")]
    assert (told["complete"], told["iterations"], told["scores"], told["snapshots"]) == (False, 1, [], [names])
    assert all(Path(name).is_file() for name in names)


def test_ctrl_c_once_more_stops_at_once(
    tmp_path: Path, quantized: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt(monkeypatch, 2)
    out = tmp_path / "out.caffemodel"
    assert finetune(tmp_path, quantized, "--weights_out", str(out), snapshot="0") == 130
    assert "nothing was written; earlier snapshots stay" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["solver.prototxt"]


def test_a_snapshot_of_another_net_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.prototxt"
    text = Path(MODEL).read_text()
    assert "num_output: 500" in text
    other.write_text(text.replace("num_output: 500", "num_output: 20"))
    short = {"max_iter": "1", "snapshot_prefix": f'"{tmp_path}/other"'}
    assert main(["train", "--solver", solver(tmp_path, net=f'"{other}"', **short)]) == 0
    state = tmp_path / "other_iter_1.solverstate"
    before = sorted(path.name for path in tmp_path.iterdir())
    assert state.name in before
    capsys.readouterr()
    assert main(["finetune", "--solver", solver(tmp_path), "--snapshot", str(state)]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    assert "ip1" in lines[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_training_starts_from_fillers(tmp_path: Path) -> None:
    found = []
    for turn, seed in enumerate(("1", "1", "2")):
        folder = tmp_path / str(turn)
        folder.mkdir()
        out = folder / "out.caffemodel"
        options = ["--seed", seed, "--weights_out", str(out), "--max_iter", "2"]
        assert main(["train", "--solver", solver(folder), *options]) == 0
        found.append(out.read_bytes())
        assert (folder / "lenet_iter_2.caffemodel").is_file()
    assert found[0] == found[1] != found[2]


BAD: dict[str, tuple[list[str], dict[str, str], str]] = {
    # A quantized net saturates instead: these two are of the float net.
    "rate": ([], {"base_lr": "1e30"}, "at iteration"),
    "policy": ([], {"lr_policy": '"sometimes"'}, "unknown lr_policy 'sometimes'"),
    "rule": ([], {"type": '"Guess"'}, "unknown type 'Guess'"),
    "net": ([], {"net": '"nowhere.prototxt"', "test_iter": "1"}, "nowhere.prototxt does not exist"),
    "share": (["--distill", "2"], {}, "a share of 2 of the loss"),
    "temperature": (["--temperature", "0"], {}, "a temperature of 0"),
    "input": (["--weights_out", WEIGHTS], {}, "is an input and would be overwritten"),
    "solver": (["--solver", "nowhere.prototxt"], {}, "nowhere.prototxt"),
    "log": (["--log", WEIGHTS], {}, "is an input and would be overwritten"),
    "snapshot": (["--snapshot", WEIGHTS], {}, "is no solverstate but a caffemodel"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes_are_one_line(case: str, tmp_path: Path, quantized: str, capsys: pytest.CaptureFixture[str]) -> None:
    options, settings, told = BAD[case]
    # A copy, as some of this is an attempt to write over it.
    mine = tmp_path / "mine.caffemodel"
    shutil.copyfile(WEIGHTS, mine)
    options = [str(mine) if word == WEIGHTS else word for word in options]
    model = [] if case in ("rate", "net") else ["--model", quantized]
    out = tmp_path / "out.caffemodel"
    wanted = [] if "--weights_out" in options else ["--weights_out", str(out)]
    command = ["finetune", "--solver", solver(tmp_path, **settings), *model, "--weights", str(mine), *options, *wanted]
    assert main(command) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    assert told in lines[0]
    assert not out.exists()
    assert not list(tmp_path.glob(".*.part"))
    assert mine.read_bytes() == Path(WEIGHTS).read_bytes()


def test_an_older_log_outlives_a_run_that_cannot_start(tmp_path: Path, quantized: str) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("mine\n")
    assert main(["train", "--solver", str(tmp_path / "nowhere.prototxt"), "--log", str(log)]) == 1
    assert finetune(tmp_path, quantized, "--log", str(log), lr_policy='"sometimes"') == 1
    assert log.read_text() == "mine\n"


@pytest.mark.parametrize("option", ["--weights_out", "--weights_quantized", "--json"])
def test_no_file_is_written_twice(
    option: str, tmp_path: Path, quantized: str, capsys: pytest.CaptureFixture[str]
) -> None:
    same = str(tmp_path / "same")
    assert finetune(tmp_path, quantized, "--log", same, option, same) == 1
    assert "is named for two outputs" in capsys.readouterr().err
    # Snapshots are named by the solver, and would be replaced at the end.
    snapshot = tmp_path / "lenet_iter_4.caffemodel"
    assert finetune(tmp_path, quantized, option, str(snapshot)) == 1
    assert "is called like a snapshot" in capsys.readouterr().err
    assert not list(tmp_path.glob("lenet_iter_*"))


def test_a_net_is_no_solver(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["finetune", "--solver", MODEL, "--weights", WEIGHTS]) == 1
    assert f"{MODEL} is a net, not a solver" in capsys.readouterr().err


def test_without_weights_it_names_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["finetune", "--solver", solver(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "no weights to start from" in told
    assert "ristretto train" in told


def test_without_torch_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("ristretto.finetune.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(RistrettoError, match="training needs torch") as caught:
        api.require_torch()
    assert "ristretto-cnn[finetune]" in caught.value.hint
    assert main(["train", "--solver", solver(tmp_path), "--weights_out", str(tmp_path / "out.caffemodel")]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: training needs torch")
    assert "ristretto-cnn[finetune]" in told
    assert [path.name for path in tmp_path.iterdir()] == ["solver.prototxt"]


def test_tensorboard_reads_what_is_written(tmp_path: Path, quantized: str) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, log = tmp_path / "runs", tmp_path / "log.jsonl"
    assert finetune(tmp_path, quantized, "--tensorboard", str(folder), "--log", str(log), max_iter="2") == 0
    events: Any = EventAccumulator(str(folder))
    events.Reload()
    written = [json.loads(line) for line in log.read_text().splitlines()]
    losses = [event["loss"] for event in written if event["event"] == "updated"]
    assert [event.value for event in events.Scalars("train/loss")] == pytest.approx(losses)
    accuracies = [event["scores"]["accuracy"] for event in written if event["event"] == "scored"]
    assert [event.value for event in events.Scalars("test0/accuracy")] == pytest.approx(accuracies)


@pytest.mark.slow
@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_goes_on_to_the_same_end(kill: signal.Signals, tmp_path: Path, quantized: str) -> None:
    settings = {"max_iter": "40", "test_interval": "1000", "snapshot": "5"}
    ends = []
    for turn in ("whole", "stopped"):
        folder = tmp_path / turn
        folder.mkdir()
        log = folder / "log.jsonl"
        words = ["finetune", "--solver", solver(folder, **settings), "--model", quantized, "--weights", WEIGHTS]
        command = [sys.executable, "-m", "ristretto", *words, "--log", str(log), "--threads", "1"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
        if turn == "stopped":
            until = time.monotonic() + 120
            while time.monotonic() < until and (not log.exists() or '"saved"' not in log.read_text()):
                time.sleep(0.01)
            process.send_signal(kill)
        process.communicate(timeout=300)
        if turn == "stopped":
            assert process.returncode == (130 if kill is signal.SIGINT else -kill)
            states = sorted(folder.glob("lenet_iter_*.solverstate"), key=lambda path: int(path.stem.split("_")[-1]))
            assert states
            assert states[-1].name != "lenet_iter_40.solverstate", "it was stopped on its way"
            again = [*command[:3], *words[:5], "--snapshot", str(states[-1]), "--threads", "1"]
            subprocess.run([sys.executable, "-m", "ristretto", *again[3:]], check=True, timeout=300)
        else:
            assert process.returncode == 0
        ends.append((folder / "lenet_iter_40.caffemodel").read_bytes())
    assert ends[0] == ends[1]
