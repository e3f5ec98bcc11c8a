"""A sweep on a terminal and as plain data."""

from __future__ import annotations

import re
from io import StringIO

from rich.console import Console

from ristretto.api import Swept
from ristretto.calibrate import CalibrationStats
from ristretto.net import Net
from ristretto.report import sweep as report
from ristretto.search import Score
from ristretto.search.sweep import Point, Sweep

SCORES = {
    Point(mode, part, width): Score(base + width / 100, base + width / 50)
    for mode, base in (("fixed_point", 0.5), ("dynamic_fixed_point", 0.7))
    for part in ("conv_params", "all")
    for width in (8, 2)
}
SWEPT = Swept(
    Net("LeNet", ()),
    CalibrationStats({}, 10, "digits_train_lmdb"),
    40,
    Sweep("accurate", "accuracy", True, Score(0.9945, 0.9946), SCORES, ("layer 'conv9' is dead",)),
)


def lines() -> list[str]:
    out = StringIO()
    Console(file=out, width=160, highlight=False).print(report.shown(SWEPT))
    return [" ".join(line.split()) for line in out.getvalue().splitlines() if re.search(r"\w", line)]


def test_each_mode_has_a_table_below_the_float_net_s_score() -> None:
    head, baseline, *tables = lines()
    assert head.startswith("LeNet: accuracy with one part condensed")
    assert baseline == "float net: 0.9945"
    assert tables == [
        "fixed point",
        "bits CONV weights all together",
        "8 0.5800 0.5800",
        "2 0.5200 0.5200",
        "dynamic fixed point",
        "bits CONV weights all together",
        "8 0.7800 0.7800",
        "2 0.7200 0.7200",
    ]


def test_plain_data_has_every_trial_with_both_scores() -> None:
    data = report.plain(SWEPT)
    assert (data["net"], data["preset"], data["score_blob"], data["iterations"]) == (
        "LeNet",
        "accurate",
        "accuracy",
        40,
    )
    assert (data["baseline_score"], data["baseline_score_argmax"]) == (0.9945, 0.9946)
    assert len(data["trials"]) == 8
    assert data["trials"][-1] == {
        "trimming_mode": "dynamic_fixed_point",
        "part": "all",
        "bit_width": 2,
        "score": 0.7 + 2 / 100,
        "score_argmax": 0.7 + 2 / 50,
    }
    assert data["calibration"] == {"source": "digits_train_lmdb", "batches": 10}
    assert data["notes"] == ["layer 'conv9' is dead"]
