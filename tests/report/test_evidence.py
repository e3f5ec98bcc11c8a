"""What is told of a score's evidence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ristretto.net import Part, QuantSpec
from ristretto.report import evidence
from ristretto.search import Comparison, Interval, Marks, Score, SearchResult, Trial
from ristretto.search.condense import Condensed

CONDENSED = Condensed(QuantSpec("dynamic_fixed_point", {}))
LOW = Interval(-0.0512, -0.0004)


def score(value: float, batches: int = 10, *, whole: bool = True) -> Score:
    return Score(value, marks=Marks(batches, np.full(batches, value)), whole=whole)


def compared(value: float, batches: int = 10, *, holds: bool = True) -> Comparison:
    return Comparison(score(0.9, batches), score(value, batches), holds, LOW)


def trial(batches: int = 10, *, holds: bool = True) -> Trial:
    whole = batches == 10
    return Trial(
        part="fc_params",
        bits={Part.FC_PARAMS: 8},
        widths={},
        condensed=CONDENSED,
        score=score(0.5, batches, whole=whole),
        holds=holds,
        difference=LOW,
    )


def searched(**more: Any) -> SearchResult:
    decided = more.pop("decided", compared(0.89))
    settings: dict[str, Any] = {
        "preset": "accurate",
        "score_blob": "accuracy",
        "higher_is_better": True,
        "decided": decided,
        "reported": decided,
        "error_margin": 1.5,
        "trials": (trial(),),
        "bits": {Part.FC_PARAMS: 8},
        "widths": {},
        "condensed": CONDENSED,
    }
    return SearchResult(**{**settings, **more})


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (trial(), "yes"),
        (trial(holds=False), "no"),
        (trial(9), "yes at 9"),
        (trial(1, holds=False), "no at 1"),
    ],
)
def test_outcomes(found: Trial, told: str) -> None:
    assert evidence.outcome(found) == told


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (-0.0512, -0.0004, "-5.12 .. -0.04"),
        (-0.59891, 0.1, "-59.9 .. +10.0"),
        (-0.09994, 0.099949, "-9.99 .. +9.99"),
        (-0.09995, 0.0999501, "-10.0 .. +10.0"),
        (0.0, 1.0, "+0.00 .. +100.0"),
    ],
)
def test_intervals_have_three_digits(low: float, high: float, told: str) -> None:
    assert evidence.interval(Interval(low, high)) == told


def test_no_interval_is_nothing() -> None:
    assert evidence.interval(None) == ""


def test_the_closing_sentence_says_which_batches_report() -> None:
    assert evidence.closing(searched()) == "\nAt 95 % confidence the change lies between -5.12 and -0.04 points."
    apart = searched(reported=compared(0.88, 1))
    assert evidence.closing(apart) == (
        "\nThat is on 1 batch that no choice has looked at; at 95 % confidence the change lies between -5.12 and -0.04"
        " points."
    )
    missed = searched(reported=compared(0.8, 5, holds=False), higher_is_better=False)
    assert evidence.closing(missed) == (
        "\nThat is on 5 batches that no choice has looked at; on those that were looked at it held; at 95 % confidence"
        " the change lies between -5.12 and -0.04 hundredths."
    )
    unknown = Comparison(score(1), score(1), True)
    assert evidence.closing(searched(decided=unknown)) == ""
    assert evidence.closing(searched(preset="original")) == ""


def test_the_margin_is_told_with_its_confidence() -> None:
    assert evidence.margin(searched()) == "1.5"
    assert evidence.margin(searched(confidence=0.975)) == "1.5, at 97.5 % confidence"


def test_the_legend_explains_what_is_there() -> None:
    assert evidence.legend(searched(preset="original")) == ""
    assert evidence.legend(searched()).count("\n") == 1
    stopped = evidence.legend(searched(trials=(trial(), trial(3))))
    assert "after how many of 10 batches" in stopped
    assert stopped.count("\n") == 2


def test_plain_data() -> None:
    assert evidence.of_trial(trial(3)) == {
        "difference": {"low": -0.0512, "high": -0.0004, "level": 0.95},
        "batches": 3,
        "stopped": True,
    }
    found = evidence.of_search(searched(confidence=0.9))
    assert found["batches"] == {"deciding": 10, "reporting": 0}
    assert found["confidence"] == 0.9
    assert found["decided"] is None
    apart = evidence.of_search(searched(reported=compared(0.88, 5)))
    assert apart["batches"] == {"deciding": 10, "reporting": 5}
    assert apart["decided"]["score"] == 0.89
    assert apart["decided"]["within_margin"] is True
