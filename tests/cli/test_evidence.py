"""``quantize`` on honest terms: batches set aside, intervals, early stops, and the journal of finished trials."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ristretto.api import opening
from ristretto.cli.main import main
from ristretto.execute import Scores
from ristretto.search import PRESETS, TrialScorer

ITERATIONS = 20


@pytest.fixture
def net(repo: Path) -> list[str]:
    folder = repo / "models" / "lenet"
    return ["--model", str(folder / "train_val.prototxt"), "--weights", str(folder / "lenet.caffemodel")]


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the journal, empty."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("RISTRETTO_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many batches each net was scored on, when any was."""
    batches: list[int] = []
    plain = TrialScorer.score

    def noting(self: TrialScorer, *words: Any, **more: Any) -> Scores:
        found = plain(self, *words, **more)
        batches.append(found.iterations)
        return found

    monkeypatch.setattr(TrialScorer, "score", noting)
    return batches


class Run:
    """One quantization, and what it wrote."""

    def __init__(self, folder: Path, net: Sequence[str], *more: object) -> None:
        folder.mkdir(exist_ok=True)
        self.model, self.record = folder / "q.prototxt", folder / "q.json"
        self.words = [
            *("quantize", *net, "--model_quantized", self.model, "--json", self.record),
            *("--iterations", ITERATIONS, "--error_margin", 1, *more),
        ]
        self.code = -1

    def here(self) -> Run:
        self.code = main([str(word) for word in self.words])
        return self

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.record.read_text("utf-8"))
        return found

    @property
    def bytes(self) -> tuple[bytes, bytes]:
        return self.model.read_bytes(), self.record.read_bytes()

    def process(self, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "ristretto", *map(str, self.words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
            # Where the tests themselves run in the background, the shell has made them deaf to SIGINT.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


def kept_marks(journal: Path) -> list[Path]:
    """Give the files that hold what a net scored."""
    files = [path for path in journal.rglob("*") if path.is_file()]
    return [path for path in files if not path.name.startswith(".") and b"bits seen" in path.read_bytes()[:4096]]


def wait_for(process: subprocess.Popen[str], journal: Path, trials: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None and len(kept_marks(journal)) < trials:
        time.sleep(0.02)
    assert process.poll() is None, "it was still at work"


def test_a_run_that_is_repeated_scores_nothing_and_writes_the_same_bytes(
    net: list[str],
    journal: Path,
    scored: list[int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor are ranges measured or formats chosen."""
    first = Run(tmp_path / "first", net).here()
    table = capsys.readouterr().out
    assert scored
    scored.clear()
    monkeypatch.setattr(opening, "calibrate", None)
    monkeypatch.setattr(type(PRESETS["accurate"]), "formats", None)
    again = Run(tmp_path / "again", net).here()
    assert scored == []
    assert again.bytes == first.bytes
    assert capsys.readouterr().out == table
    assert again.code == first.code


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["original", "accurate"])
def test_a_journal_changes_no_byte(net: list[str], journal: Path, tmp_path: Path, preset: str) -> None:
    with_journal = Run(tmp_path / "one", net, "--preset", preset).here()
    assert kept_marks(journal)
    before = sorted(path.name for path in journal.rglob("*"))
    without = Run(tmp_path / "two", net, "--preset", preset, "--no-cache").here()
    assert without.bytes == with_journal.bytes
    assert sorted(path.name for path in journal.rglob("*")) == before


def test_without_a_cache_nothing_is_kept(net: list[str], journal: Path, scored: list[int], tmp_path: Path) -> None:
    Run(tmp_path / "one", net, "--no_cache").here()
    count = len(scored)
    Run(tmp_path / "two", net, "--no_cache").here()
    assert len(scored) == 2 * count
    assert not journal.exists()


def test_another_margin_uses_what_is_known(net: list[str], journal: Path, scored: list[int], tmp_path: Path) -> None:
    """Trials that stopped go on where they stopped, if the new margin needs that."""
    Run(tmp_path / "one", net).here()
    scored.clear()
    wider = Run(tmp_path / "two", net, "--error_margin", 3).here()
    used = sum(scored)
    scored.clear()
    fresh = Run(tmp_path / "three", net, "--error_margin", 3, "--no-cache").here()
    assert wider.bytes == fresh.bytes
    assert used < sum(scored) / 2


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_where_it_was(
    net: list[str], journal: Path, scored: list[int], tmp_path: Path
) -> None:
    reference = Run(tmp_path / "reference", net, "--no-cache").here()
    whole = len(scored)
    scored.clear()
    killed = Run(tmp_path / "killed", net, "--threads", 1)
    process = killed.process()
    try:
        wait_for(process, journal, trials=4)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    finally:
        process.kill()
    finished = len(kept_marks(journal))
    assert 4 <= finished < whole
    assert not killed.model.exists()
    resumed = Run(tmp_path / "resumed", net).here()
    assert resumed.bytes == reference.bytes
    assert len(scored) == whole - finished


def test_an_interrupt_says_in_one_line_that_finished_trials_are_kept(
    net: list[str], journal: Path, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run", net, "--iterations", 400)
    process = run.process()
    try:
        wait_for(process, journal, trials=2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert out == ""
    lines = [line for line in err.splitlines() if "compil" not in line]
    assert len(lines) == 1
    assert all(word in lines[0] for word in ("interrupted", "nothing was written", "finished trials are kept"))
    assert list((tmp_path / "run").iterdir()) == []
    assert not list(journal.rglob("*.part"))


def test_a_damaged_journal_is_said_once_and_mended(
    net: list[str], journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = Run(tmp_path / "first", net).here()
    for path in journal.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-7])
    capsys.readouterr()
    again = Run(tmp_path / "again", net).here()
    assert capsys.readouterr().err.count("note: a damaged file") == 1
    assert again.bytes == first.bytes
    Run(tmp_path / "third", net).here()
    assert "a damaged file" not in capsys.readouterr().err


def test_data_that_changed_are_scored_anew(net: list[str], journal: Path, scored: list[int], tmp_path: Path) -> None:
    """By what they hold: neither their name nor their time counts."""
    import numpy as np

    rng = np.random.default_rng(0)
    pictures, labels = rng.integers(0, 256, (60, 1, 28, 28)).astype(np.uint8), rng.integers(0, 10, 60)
    words = ["--data", tmp_path / "x.npz", "--batch_size", 20, "--iterations", 2, "--preset", "original"]

    def run() -> int:
        scored.clear()
        np.savez(tmp_path / "x.npz", data=pictures, label=labels)
        stamp = 1_600_000_000
        os.utime(tmp_path / "x.npz", (stamp, stamp))
        Run(tmp_path / "run", net, *words).here()
        return len(scored)

    assert run() > 0
    assert run() == 0
    labels[3] = (labels[3] + 1) % 10
    assert run() > 0


def test_other_batches_report_than_those_that_decide(
    net: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path / "run", net, "--report_split", 0.3).here()
    data = run.data
    assert data["batches"] == {"deciding": 14, "reporting": 6}
    assert {trial["batches"] for trial in data["trials"] if not trial["stopped"]} == {14}
    assert data["decided"]["score"] in [trial["score"] for trial in data["trials"] if not trial["stopped"]]
    # What `test` finds on all batches lies between the two parts, in their proportion.
    capsys.readouterr()
    main(["test", "--model", str(run.model), *net[2:], "--iterations", str(ITERATIONS), "--json", "-"])
    whole = json.loads(capsys.readouterr().out)["accuracy"]
    assert (14 * data["decided"]["score"] + 6 * data["score"]) / 20 == pytest.approx(whole)
    assert run.code == (0 if data["within_margin"] else 3)
    assert data["within_margin"] is (data["score"] + 0.01 >= data["baseline_score"])


def test_intervals_and_stopped_trials_are_told(
    net: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path / "run", net).here()
    table = capsys.readouterr().out
    data = run.data
    stopped = [trial for trial in data["trials"] if trial["stopped"]]
    assert stopped
    assert all(trial["batches"] < data["batches"]["deciding"] for trial in stopped)
    assert "after how many of 10 batches that was certain" in table
    assert f"no at {stopped[0]['batches']}" in table
    for found in (data, data["decided"], *data["trials"]):
        difference = found["difference"]
        assert difference["level"] == 0.95
        assert difference["low"] < difference["high"]
    change = data["score"] - data["baseline_score"]
    assert data["difference"]["low"] <= change <= data["difference"]["high"]
    low, high = (f"{100 * data['difference'][end]:+.2f}" for end in ("low", "high"))
    assert f"at 95 % confidence the change lies between {low} and {high} points" in table
    assert "on 10 batches that no choice has looked at" in table


def test_the_original_tells_no_evidence(net: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(tmp_path / "run", net, "--preset", "original").here()
    table = capsys.readouterr().out
    assert "95 %" not in table
    assert "batches" not in table
    assert "within margin" in table
    data = run.data
    assert not {"difference", "decided", "batches", "confidence"} & set(data)
    assert not {"difference", "batches", "stopped"} & set(data["trials"][0])


def test_confidence_is_told_and_costs_bits(net: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*net, "--report_split", "0"]
    plain = Run(tmp_path / "plain", words, "--error_margin", 0.5).here().data
    capsys.readouterr()
    sure = Run(tmp_path / "sure", words, "--error_margin", 0.5, "--confidence", 0.99).here().data
    assert "(0.5, at 99 % confidence)" in capsys.readouterr().out
    assert sure["confidence"] == 0.99
    assert plain["confidence"] is None
    assert sum(sure["bits"].values()) > sum(plain["bits"].values())


def test_one_set_of_data_is_not_divided_and_that_is_said(
    repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = repo / "models" / "lenet"
    deploy = ["--model", str(folder / "deploy.prototxt"), "--weights", str(folder / "lenet.caffemodel")]
    words = [*deploy, "--data", str(folder / "digits_test_lmdb"), "--scale", "0.00390625", "--batch_size", "50"]
    run = Run(tmp_path / "run", words, "--iterations", 4).here()
    assert "ranges, choices and the score come from the same data" in capsys.readouterr().err
    assert run.data["batches"] == {"deciding": 4, "reporting": 0}
    assert run.data["decided"] is None


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--preset", "original", "--report_split", "0.5"], "original preset"),
        (["--preset", "original", "--confidence", "0.9"], "original preset"),
        (["--confidence", "0.3"], "confidence of 0.3"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    net: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], fault: str
) -> None:
    run = Run(tmp_path / "run", net, *words).here()
    assert run.code == 1
    assert fault in capsys.readouterr().err
    assert not run.model.exists()


@pytest.mark.parametrize("words", [["--report_split", "1"], ["--report_split", "x"], ["--confidence", "1"]])
def test_what_is_no_share_is_wrong_usage(net: list[str], tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        Run(tmp_path / "run", net, *words).here()
    assert caught.value.code == 2
