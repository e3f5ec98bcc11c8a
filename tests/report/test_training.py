"""A training as lines, as data, as a plot, and for TensorBoard: a made-up one."""

from __future__ import annotations

import json
import sys
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from ristretto import __version__
from ristretto.api import Finetuned
from ristretto.errors import OutputError, RistrettoError
from ristretto.execute import Scores
from ristretto.finetune.events import Event, Saved, Scored, Updated
from ristretto.net import Net
from ristretto.report import plot, training
from ristretto.report.tensorboard import tensorboard

EVENTS: tuple[Event, ...] = (
    Scored(0, 0, {"accuracy": 0.5, "loss": 2.25}),
    Scored(0, 1, {"accuracy": 0.25}),
    Updated(1, 2.0, 2.0, 0.125),
    Updated(2, 1.0, 1.5, 0.0625, is_due=True),
    Saved(2, ("n_iter_2.caffemodel", "n_iter_2.solverstate")),
    Scored(2, 0, {"accuracy": 0.75, "loss": 1.125}),
    Scored(2, 1, {"accuracy": 0.625}),
)


def history() -> training.History:
    made = training.History()
    for event in EVENTS:
        made.add(event)
    return made


def finetuned(*, complete: bool) -> Finetuned:
    outputs = {"accuracy": np.asarray(0.75), "loss": np.asarray(1.125)}
    scores = Scores(outputs, companions={"accuracy_argmax": 0.875}, iterations=2)
    return Finetuned("", Net("n", ()), 2, complete, (scores,) if complete else ())


def drawn(monkeypatch: pytest.MonkeyPatch, made: training.History) -> tuple[Any, Any]:
    """Draw a training; give its two panels."""
    figures: list[Any] = []
    written = plot._bytes

    def keep(figure: Any, kind: str) -> bytes:
        figures.append(figure)
        return written(figure, kind)

    monkeypatch.setattr(plot, "_bytes", keep)
    plot.plot_training(made, "svg")
    losses, scores = figures[0].axes
    return losses, scores


def test_a_history_sorts_what_happens() -> None:
    made = history()
    assert made.scores == [EVENTS[index] for index in (0, 1, 5, 6)]
    assert made.updates == [EVENTS[2], EVENTS[3]]
    assert made.snapshots == [EVENTS[4]]


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (Updated(1200, 9.0, 0.123456789, 0.001), "iteration 1200: loss = 0.123457, learning rate = 0.001"),
        (Scored(0, 0, {"accuracy": 0.98, "loss": 1 / 3}), "iteration 0: accuracy = 0.98, loss = 0.333333"),
        (Scored(7, 2, {"accuracy": 0.5}), "iteration 7, test net 2: accuracy = 0.5"),
        (Saved(5, ("a", "b", "c")), "iteration 5: wrote a and b and c"),
    ],
)
def test_an_event_is_a_sentence(event: Event, told: str) -> None:
    assert training.sentence(event) == told


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        (
            Updated(3, 0.1, 0.2, 0.3, is_due=True),
            {"event": "updated", "iteration": 3, "loss": 0.1, "smoothed": 0.2, "rate": 0.3, "is_due": True},
        ),
        (Scored(3, 1, {"loss": 0.1}), {"event": "scored", "iteration": 3, "net": 1, "scores": {"loss": 0.1}}),
        (Saved(3, ("a\nb",)), {"event": "saved", "iteration": 3, "files": ["a\nb"]}),
    ],
)
def test_an_event_is_a_line_of_json(event: Event, fields: dict[str, Any]) -> None:
    line = training.line(event)
    assert "\n" not in line
    assert json.loads(line) == fields


def test_a_log_begins_anew_or_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for goes_on, word in ((False, "a"), (True, "b"), (False, "c"), (True, "d")):
        with training.open_log(str(path), goes_on=goes_on) as file:
            file.write(f"{word}\n")
    assert path.read_text() == "c\nd\n"


def test_half_a_line_of_a_training_that_was_killed_is_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for before, after in (('{"a": 1}\n{"b": ', '{"a": 1}\n'), ('{"a": ', ""), ("", "")):
        path.write_text(before)
        with training.open_log(str(path), goes_on=True) as file:
            file.write("{}\n")
        assert path.read_text() == after + "{}\n"


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*nowhere.*No such file"):
        training.open_log(str(tmp_path / "nowhere" / "log.jsonl"), goes_on=False)


@pytest.mark.parametrize(("complete", "how"), [(True, "trained to the end: 2 updates"), (False, "stopped: 2 updates")])
def test_the_table_says_how_it_ended_and_the_scores(complete: bool, how: str) -> None:
    out = StringIO()
    Console(file=out, width=80).print(training.table(finetuned(complete=complete)))
    lines = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert lines[0] == how
    assert any("accuracy" in line and "0.75" in line for line in lines) == complete
    assert any("loss" in line and "1.125" in line for line in lines) == complete


def test_the_data_have_all_that_happened() -> None:
    assert training.data(finetuned(complete=True), history()) == {
        "kind": "training",
        "schema": 1,
        "ristretto_version": __version__,
        "iterations": 2,
        "complete": True,
        "scores": [{"accuracy": 0.75, "loss": 1.125, "accuracy_argmax": 0.875, "iterations": 2}],
        "snapshots": [["n_iter_2.caffemodel", "n_iter_2.solverstate"]],
        "tests": [
            {"iteration": 0, "net": 0, "scores": {"accuracy": 0.5, "loss": 2.25}},
            {"iteration": 0, "net": 1, "scores": {"accuracy": 0.25}},
            {"iteration": 2, "net": 0, "scores": {"accuracy": 0.75, "loss": 1.125}},
            {"iteration": 2, "net": 1, "scores": {"accuracy": 0.625}},
        ],
        "losses": [[1, 2.0], [2, 1.0]],
    }


def test_one_history_gives_the_same_bytes_and_another_gives_others() -> None:
    other = history()
    other.add(Updated(3, 0.5, 1.25, 0.125))
    for kind in ("png", "svg"):
        assert plot.plot_training(history(), kind) == plot.plot_training(history(), kind)
        assert plot.plot_training(history(), kind) != plot.plot_training(other, kind)


def test_plots_can_be_opened() -> None:
    with Image.open(BytesIO(plot.plot_training(history(), "png"))) as image:
        image.load()
        assert image.format == "PNG"
    assert ElementTree.fromstring(plot.plot_training(history(), "svg")).tag.endswith("}svg")


def test_losses_are_above_and_accuracies_below(monkeypatch: pytest.MonkeyPatch) -> None:
    panels = drawn(monkeypatch, history())
    above, below = ([tuple(map(tuple, line.get_xydata())) for line in axes.get_lines()] for axes in panels)
    assert above == [((1, 2), (2, 1)), ((1, 2), (2, 1.5)), ((0, 2.25), (2, 1.125))]
    assert below == [((0, 0.5), (2, 0.75)), ((0, 0.25), (2, 0.625))]
    told = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in panels]
    assert told == [["training loss", "loss"], ["accuracy", "accuracy, test net 1"]]


def test_a_training_without_test_nets_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    made = training.History()
    made.add(Updated(1, 2.0, 2.0, 0.125))
    losses, scores = drawn(monkeypatch, made)
    assert len(losses.get_lines()) == 2
    assert not scores.get_lines()
    assert scores.get_legend() is None


def test_tensorboard_reads_what_was_told(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with tensorboard(str(tmp_path)) as add:
        for event in EVENTS:
            add(event)
    read: Any = EventAccumulator(str(tmp_path))
    read.Reload()
    found = {tag: [(event.step, event.value) for event in read.Scalars(tag)] for tag in read.Tags()["scalars"]}
    assert found == {
        "train/loss": [(1, 2.0), (2, 1.0)],
        "train/learning_rate": [(1, 0.125), (2, 0.0625)],
        "test0/accuracy": [(0, 0.5), (2, 0.75)],
        "test0/loss": [(0, 2.25), (2, 1.125)],
        "test1/accuracy": [(0, 0.25), (2, 0.625)],
    }


def test_without_tensorboard_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with (
        pytest.raises(RistrettoError, match="--tensorboard needs tensorboard") as caught,
        tensorboard(str(tmp_path / "runs")),
    ):
        pass
    assert "ristretto-cnn[tensorboard]" in caught.value.hint
    assert not (tmp_path / "runs").exists()


def test_a_line_is_json_whatever_a_score_is() -> None:
    told = training.line(Scored(1, 0, {"loss": float("inf"), "accuracy": 0.5}))
    assert json.loads(told, parse_constant=lambda name: pytest.fail(name))["scores"] == {"loss": None, "accuracy": 0.5}
