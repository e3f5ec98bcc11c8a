"""A training on a terminal."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from ristretto.cli.training_watch import TrainingWatcher
from ristretto.finetune.events import Saved, Scored, Updated


def shown(*, terminal: bool) -> str:
    out = StringIO()
    watcher = TrainingWatcher(Console(file=out, force_terminal=terminal, width=120, color_system=None))
    with watcher.stage("training", 2) as advance:
        watcher.told(Scored(0, 0, {"accuracy": 0.75, "loss": 1.5}))
        watcher.told(Scored(0, 1, {"accuracy": 0.25}))
        watcher.told(Updated(1, 2.5, 2.25, 0.125))
        advance()
        with watcher.stage("scoring", 9):
            pass
        watcher.told(Updated(2, 1.5, 2.0, 0.125, is_due=True))
        watcher.told(Saved(2, ("a.caffemodel", "a.solverstate")))
        advance()
    return out.getvalue()


def test_a_terminal_shows_loss_and_score_beside_the_bar() -> None:
    told = shown(terminal=True)
    assert "loss 2, accuracy 0.7500" in told
    assert "2/2" in told
    assert "scoring" not in told


def test_without_a_terminal_there_are_lines_alone() -> None:
    assert shown(terminal=False).splitlines() == [
        "iteration 0: accuracy = 0.75, loss = 1.5",
        "iteration 0, test net 1: accuracy = 0.25",
        "iteration 2: loss = 2, learning rate = 0.125",
        "iteration 2: wrote a.caffemodel and a.solverstate",
    ]
