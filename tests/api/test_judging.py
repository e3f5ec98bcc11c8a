"""On which batches a search decides and reports, and what it says of that."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ristretto.api.judging import (
    check_evidence,
    is_one_set,
    kept_formats,
    kept_marks,
    open_journal,
    split_batches,
    telling_what_is_kept,
)
from ristretto.errors import SearchError
from ristretto.execute import IntegerExecutor
from ristretto.net import Net
from ristretto.search import PRESETS, Journal, KeptMarks, TrialScorer
from tests.listener import Listener

ACCURATE, ORIGINAL = PRESETS["accurate"], PRESETS["original"]


@pytest.mark.parametrize(
    ("iterations", "share", "deciding", "reporting"),
    [
        (50, None, 25, 25),
        (5, None, 2, 3),
        (2, None, 1, 1),
        (10, 0.3, 7, 3),
        (10, 0.01, 9, 1),
        (10, 0.99, 1, 9),
        (3, 0.5, 1, 2),
        (10, 0.0, 10, 0),
    ],
)
def test_batches_are_divided_in_order(iterations: int, share: float | None, deciding: int, reporting: int) -> None:
    listener = Listener()
    decide, report = split_batches(range(iterations), share, ACCURATE, listener, one_set=False)
    assert decide == range(deciding)
    assert report == (range(deciding, iterations) if reporting else None)
    assert listener.notes == []


def test_one_set_is_not_divided_and_that_is_said() -> None:
    listener = Listener()
    assert split_batches(range(10), None, ACCURATE, listener, one_set=True) == (range(10), None)
    assert len(listener.notes) == 1
    assert "--calibration_data" in listener.notes[0]


def test_one_set_is_divided_when_it_is_asked_for() -> None:
    listener = Listener()
    assert split_batches(range(10), 0.2, ACCURATE, listener, one_set=True) == (range(8), range(8, 10))
    assert split_batches(range(10), 0.0, ACCURATE, listener, one_set=True) == (range(10), None)
    assert listener.notes == []


@pytest.mark.parametrize("share", [None, 0.5])
def test_one_batch_cannot_be_divided_and_that_is_said(share: float | None) -> None:
    listener = Listener()
    assert split_batches(range(1), share, ACCURATE, listener, one_set=False) == (range(1), None)
    assert "one batch" in listener.notes[0]


def test_widths_that_nobody_searched_are_scored_on_everything() -> None:
    listener = Listener()
    assert split_batches(range(10), None, ACCURATE, listener, one_set=True, searched=False) == (range(10), None)
    assert split_batches(range(10), 0.5, ACCURATE, listener, one_set=True, searched=False) == (range(5), range(5, 10))
    assert listener.notes == []


def test_the_original_decides_and_reports_by_everything() -> None:
    for one_set in (True, False):
        listener = Listener()
        assert split_batches(range(10), None, ORIGINAL, listener, one_set=one_set) == (range(10), None)
        assert split_batches(range(1), 0.0, ORIGINAL, listener, one_set=one_set) == (range(1), None)
        assert listener.notes == []


@pytest.mark.parametrize(
    ("preset", "share", "confidence", "fault"),
    [
        (ACCURATE, 1.0, None, "a report_split of 1"),
        (ACCURATE, -0.1, None, "a report_split of -0.1"),
        (ACCURATE, None, 0.4, "a confidence of 0.4"),
        (ACCURATE, None, 1.0, "a confidence of 1"),
        (ACCURATE, None, 0.0, "a confidence of 0"),
        (ORIGINAL, 0.5, None, "the original preset"),
        (ORIGINAL, None, 0.9, "the original preset"),
    ],
)
def test_what_makes_no_sense_is_refused(preset: Any, share: float | None, confidence: float | None, fault: str) -> None:
    with pytest.raises(SearchError, match=fault) as caught:
        check_evidence(preset, share, confidence)
    assert caught.value.hint


def test_what_makes_sense_is_not() -> None:
    check_evidence(ACCURATE, 0.25, 0.95)
    check_evidence(ACCURATE, None, 0.5)
    check_evidence(ORIGINAL, 0.0, None)


def test_one_set_is_told_by_the_names_of_the_sources() -> None:
    one, same, other = (SimpleNamespace(names=names) for names in (("a", "b"), ("b",), ("c",)))
    assert is_one_set(one, one)  # type: ignore[arg-type]
    assert is_one_set(one, same)  # type: ignore[arg-type]
    assert not is_one_set(one, other)  # type: ignore[arg-type]


def test_the_environment_decides_whether_there_is_a_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISTRETTO_CACHE_DIR", "")
    assert open_journal(Listener()) is None
    monkeypatch.setenv("RISTRETTO_CACHE_DIR", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    listener = Listener()
    found = open_journal(listener)
    assert found is not None
    found.write("key", {})
    assert "cannot be kept" in listener.notes[0]


class Source:
    """Data that may know what they are."""

    names, shapes, period = ("made up",), {}, None

    def __init__(self, known: bool) -> None:
        self.known = known
        self.asked: list[int] = []

    def fingerprint(self, count: int, hashed: object) -> str | None:
        self.asked.append(count)
        return "print" if self.known else None


@pytest.mark.parametrize("known", [True, False])
def test_what_does_not_know_itself_is_not_kept(tmp_path: Path, known: bool) -> None:
    source: Any = Source(known)
    trials = TrialScorer(IntegerExecutor, source, iterations=7)
    journal = Journal(tmp_path)
    assert isinstance(kept_marks(trials, journal), KeptMarks) is known
    assert (kept_formats(Net("net", ()), source, journal, 10) is not None) is known
    assert source.asked == [7, 10]
    assert kept_marks(trials, None) is trials
    assert kept_formats(Net("net", ()), source, None, 10) is None


@pytest.mark.parametrize(("finished", "told"), [(0, ()), (3, ("finished trials are kept",))])
def test_an_interruption_tells_what_is_kept(tmp_path: Path, finished: int, told: tuple[str, ...]) -> None:
    source: Any = Source(known=True)
    trials = TrialScorer(IntegerExecutor, source, iterations=1)
    kept = kept_marks(trials, Journal(tmp_path))
    assert isinstance(kept, KeptMarks)
    kept.finished = finished
    for marker in (kept, trials):
        with pytest.raises(KeyboardInterrupt) as caught, telling_what_is_kept(marker):
            raise KeyboardInterrupt
        said = " ".join(map(str, caught.value.args))
        assert all(word in said for word in told) if marker is kept else said == ""
        assert bool(said) is (marker is kept and finished > 0)
