"""Plots: what is in them, and that the same numbers give the same bytes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from io import BytesIO
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from ristretto.api import Swept
from ristretto.calibrate import CalibrationStats
from ristretto.errors import OutputError, RistrettoError
from ristretto.net import Net
from ristretto.report import plot
from ristretto.search import MODES, Score
from ristretto.search.sweep import SWEPT_PARTS, Point, Sweep

COSTS, HEIGHTS = [300, 100, 110, 105, 800], [78.0, 60.0, 71.0, 70.5, 79.0]
LABELS = ["4/4/8", "2/2/8", "3/2/8", "2/3/8", "8/8/8"]


def swept(
    modes: tuple[str, ...] = ("fixed_point", "dynamic_fixed_point"),
    parts: tuple[str, ...] = SWEPT_PARTS,
    widths: tuple[int, ...] = (16, 8, 4, 2),
    *,
    higher_is_better: bool = True,
) -> Swept:
    scores = {
        Point(mode, part, width): Score(0.9 - (1 + modes.index(mode) + parts.index(part)) / width / 10)
        for mode in modes
        for part in parts
        for width in widths
    }
    result = Sweep("accurate", "accuracy", higher_is_better, Score(0.91), scores)
    return Swept(Net("LeNet", ()), CalibrationStats({}, 1, "made up"), 1, result)


def front(kind: str, **options: Any) -> bytes:
    names = {"cost_name": "weight bits", "score_name": "accuracy, %"}
    return plot.plot_front(COSTS, HEIGHTS, LABELS, kind, **names, **options)


def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Give the list to which figures go as they are written."""
    figures: list[Any] = []
    written = plot._bytes

    def keep(figure: Any, kind: str) -> bytes:
        figures.append(figure)
        return written(figure, kind)

    monkeypatch.setattr(plot, "_bytes", keep)
    return figures


DRAW = """
import sys
from tests_plot import everything
sys.stdout.buffer.write(everything())
"""


def everything() -> bytes:
    """Give plots of both kinds, one behind the other."""
    return b"".join(draw for kind in plot.NO_MARKS for draw in (plot.plot_sweep(swept(), kind), front(kind)))


def test_any_process_at_any_time_writes_the_same_bytes(tmp_path: Path) -> None:
    here = everything()
    assert here == everything()
    (tmp_path / "tests_plot.py").write_bytes(Path(__file__).read_bytes())
    # What another user may have set up.
    (tmp_path / "matplotlibrc").write_text("font.size: 20\nlines.linewidth: 9\nsvg.fonttype: none\n")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
        "PYTHONHASHSEED": "3",
        "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"),
        "SOURCE_DATE_EPOCH": "0",
    }
    done = subprocess.run([sys.executable, "-c", DRAW], env=environment, capture_output=True, check=True)
    assert done.stdout == here


def test_png_is_a_picture_that_says_nothing_of_who_made_it_when() -> None:
    for data in (plot.plot_sweep(swept(), "png"), front("png")):
        with Image.open(BytesIO(data)) as image:
            image.load()
            assert image.format == "PNG"
            assert min(image.size) > 400
            assert set(image.info) <= {"dpi"}
            assert len(image.convert("RGB").getcolors(1 << 20) or []) > 10


def test_svg_is_well_formed_and_says_nothing_of_who_made_it_when() -> None:
    for data in (plot.plot_sweep(swept(), "svg"), front("svg")):
        assert ElementTree.fromstring(data).tag == "{http://www.w3.org/2000/svg}svg"
        assert not re.search(rb"(?i)matplotlib v|<dc:|\b20\d\d-\d\d-\d\d", data)


def test_each_part_has_a_panel_and_each_mode_a_curve_beside_the_float_net_s_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    figures, given = drawn(monkeypatch), swept()
    plot.plot_sweep(given, "svg")
    (figure,) = figures
    assert [axes.get_title() for axes in figure.axes] == ["CONV weights", "FC weights", "layer outputs", "all together"]
    for part, axes in zip(SWEPT_PARTS, figure.axes, strict=True):
        *curves, baseline = axes.get_lines()
        assert [line.get_label() for line in curves] == ["fixed point", "dynamic fixed point"]
        assert [line.get_color() for line in curves] == ["#0072B2", "#D55E00"]
        for mode, line in zip(given.result.modes, curves, strict=True):
            assert list(line.get_xdata()) == [16, 8, 4, 2]
            expected = [100 * given.result.scores[Point(mode, part, width)].value for width in (16, 8, 4, 2)]
            assert list(line.get_ydata()) == expected
        assert (baseline.get_label(), baseline.get_linestyle()) == ("float", "--")
        assert set(baseline.get_ydata()) == {91.0}
    assert figure.axes[0].get_ylabel() == "accuracy, %"
    assert figure.axes[-1].get_xlabel() == "bits"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["fixed point", "dynamic fixed point", "float"]
    assert "LeNet" in figure.get_suptitle()


def test_a_loss_is_drawn_as_it_is_with_a_gap_where_it_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    figures, given = drawn(monkeypatch), swept(("minifloat",), ("all",), (16, 8), higher_is_better=False)
    scores = {Point("minifloat", "all", 16): Score(0.25), Point("minifloat", "all", 8): Score(float("inf"))}
    plot.plot_sweep(Swept(given.net, given.stats, 1, Sweep("accurate", "loss", False, Score(0.2), scores)), "png")
    (axes,) = figures[0].axes
    np.testing.assert_array_equal(axes.get_lines()[0].get_ydata(), [0.25, np.nan])
    assert axes.get_ylabel() == "loss"


@pytest.mark.parametrize("count", range(1, len(SWEPT_PARTS) + 1))
def test_any_number_of_parts_and_modes_fits(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = drawn(monkeypatch)
    plot.plot_sweep(swept(tuple(MODES), SWEPT_PARTS[:count]), "png")
    assert len(figures[0].axes) == count
    assert [len(axes.get_lines()) for axes in figures[0].axes] == [len(MODES) + 1] * count


def test_every_mode_has_a_curve_of_its_own() -> None:
    assert len(plot.CURVES) >= len(MODES)
    for key in ("color", "marker"):
        assert len({line[key] for line in plot.CURVES}) == len(plot.CURVES)


@pytest.mark.parametrize("rising", [True, False])
def test_a_front_has_its_points_in_order_and_a_label_at_each(rising: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = drawn(monkeypatch)
    heights = HEIGHTS if rising else [-height for height in HEIGHTS]
    names = {"cost_name": "weight bits", "score_name": "accuracy, %"}
    plot.plot_front(COSTS, heights, LABELS, "png", **names, title="a front", baseline=heights[-1])
    (axes,) = figures[0].axes
    line, baseline = axes.get_lines()
    assert list(line.get_xdata()) == sorted(COSTS)
    assert list(line.get_ydata()) == sorted(heights, reverse=not rising)
    assert set(baseline.get_ydata()) == {heights[-1]}
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("weight bits", "accuracy, %", "a front")
    assert {text.xy: text.get_text() for text in axes.texts} == dict(
        zip(zip(COSTS, heights, strict=True), LABELS, strict=True)
    )
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_a_front_of_one_net_or_none_can_be_drawn() -> None:
    for count in (0, 1):
        data = plot.plot_front(
            COSTS[:count], HEIGHTS[:count], LABELS[:count], "png", cost_name="energy, J", score_name="accuracy, %"
        )
        Image.open(BytesIO(data)).verify()


@pytest.mark.parametrize(("name", "kind"), [("a.png", "png"), ("b/c.SVG", "svg"), (Path("x.y.png"), "png")])
def test_the_suffix_says_what_kind_a_plot_is(name: str | Path, kind: str) -> None:
    assert plot.plot_kind(name) == kind


@pytest.mark.parametrize("name", ["plot", "plot.pdf", "png", "plot.png.txt"])
def test_another_suffix_is_refused(name: str) -> None:
    with pytest.raises(OutputError, match=rf"{re.escape(name)} is neither a \.png nor a \.svg"):
        plot.plot_kind(name)


def test_without_matplotlib_an_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for draw in (plot.require_matplotlib, lambda: plot.plot_sweep(swept(), "png"), lambda: front("svg")):
        with pytest.raises(RistrettoError, match="plots need matplotlib") as caught:
            draw()
        assert "ristretto-cnn[plot]" in caught.value.hint


def test_neither_the_package_nor_a_plot_loads_pyplot() -> None:
    program = "import sys, ristretto.cli.commands; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
    before = "matplotlib.pyplot" in sys.modules
    front("png")
    assert ("matplotlib.pyplot" in sys.modules) is before
