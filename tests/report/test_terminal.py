"""Tables and lines for people."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pytest
from rich.console import Console, RenderableType
from rich.table import Table

from ristretto.execute import Scores
from ristretto.report import plain, terminal

SCORES = Scores(
    {"accuracy": np.array(0.5), "accuracy_top5": np.array(0.75), "loss": np.array([0.125, 2])},
    {"accuracy_argmax": 0.625, "accuracy_top5_argmax": 1.0},
    iterations=4,
)


def printed(thing: RenderableType) -> list[str]:
    out = StringIO()
    Console(file=out, width=160, highlight=False).print(thing)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_each_figure_stands_once_behind_its_own_blob() -> None:
    assert printed(terminal.scores(SCORES)) == [
        "accuracy = 0.5",
        "accuracy_argmax = 0.625",
        "accuracy_top5 = 0.75",
        "accuracy_top5_argmax = 1",
        "loss = 0.125",
        "loss = 2",
    ]


def test_plain_data_has_the_same_figures() -> None:
    assert plain.scores(SCORES) == {
        "accuracy": 0.5,
        "accuracy_top5": 0.75,
        "loss": [0.125, 2.0],
        "accuracy_argmax": 0.625,
        "accuracy_top5_argmax": 1.0,
        "iterations": 4,
    }


def test_json_has_no_number_that_json_lacks() -> None:
    assert '"x": null' in plain.text({"x": float("nan"), "y": [float("inf")]})
    assert plain.text({"b": 1}) == plain.text({"b": 1})


def test_a_line_and_a_path_stay_whole_where_output_is_piped(capsys: pytest.CaptureFixture[str]) -> None:
    line = f"wrote {'/folder' * 40}/q.prototxt; it takes {'/folder' * 40}/net.caffemodel as it is"
    terminal.console(stderr=True).print(line)
    assert capsys.readouterr().err == line + "\n"
    table = Table("layer")
    table.add_row("layer" * 50)
    assert "layer" * 50 in terminal.as_text(table)
