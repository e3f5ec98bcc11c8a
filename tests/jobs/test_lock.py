"""The lock: read as it was written, refused where it is damaged or newer."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.errors import JobError
from ristretto.jobs import Entry, Job, Lock, Scores
from ristretto.jobs.limits import fell, missed
from ristretto.jobs.lock import read_lock

DIGEST = "0" * 63 + "a"
SCORES = Scores("accuracy", True, 0.99, 0.98, True)
ENTRY = Entry(
    "0.1.0", {"model": DIGEST, "scoring data": None}, {"keep": ["a=1"]}, [], {"out/q.prototxt": DIGEST}, SCORES
)

TEXTS = st.text(max_size=8)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
VALUES = st.one_of(TEXTS, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.lists(TEXTS, max_size=2))
ENTRIES = st.builds(
    Entry,
    TEXTS,
    st.dictionaries(TEXTS, st.none() | DIGESTS, max_size=3),
    st.dictionaries(TEXTS, VALUES, max_size=3),
    st.lists(st.fixed_dictionaries({"format": TEXTS, "out": TEXTS}), max_size=2),
    st.dictionaries(st.text("abc", min_size=1, max_size=5), DIGESTS, max_size=3),
    st.builds(
        Scores, TEXTS, st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.floats(0, 1), st.booleans()
    ),
)


@given(st.dictionaries(TEXTS, ENTRIES, max_size=3))
def test_what_is_written_is_read_whatever_the_order(
    tmp_path_factory: pytest.TempPathFactory, entries: dict[str, Entry]
) -> None:
    path = tmp_path_factory.getbasetemp() / "some.lock"
    path.write_bytes(Lock(entries).encoded())
    assert read_lock(path) == Lock(entries)
    assert Lock(dict(reversed(entries.items()))).encoded() == path.read_bytes()


def test_a_score_that_is_no_number_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "some.lock"
    path.write_bytes(Lock({"a": replace(ENTRY, scores=replace(SCORES, score=math.inf))}).encoded())
    assert math.isnan(read_lock(path).entries["a"].scores.score)
    assert json.loads(path.read_text())["jobs"]["a"]["scores"]["score"] is None


def test_no_lock_is_an_empty_one(tmp_path: Path) -> None:
    assert read_lock(tmp_path / "none.lock") == Lock()


def damaged(*keys: str, value: Any) -> str:
    """Give a lock in which one value is another."""
    content = json.loads(Lock({"job": ENTRY}).encoded())
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it is no JSON"),
        ("[" * 100_000, "it is no JSON"),
        ("[]", "its format is None"),
        ("{}", "its format is None"),
        ('{"format": 1}', "there is no 'jobs'"),
        ('{"format": true, "jobs": {}}', "its format is True"),
        ('{"format": 0, "jobs": {}}', "its format is 0"),
        ('{"format": 1, "jobs": []}', "is damaged"),
        ('{"format": 1, "jobs": {"a": 1}}', "is damaged"),
        ("<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> b\n", "merge conflicts stand in it"),
        (b"\xff\xfe", "it is no text"),
        (damaged("jobs", "job", "inputs", "model", value="abc"), "'abc' is no digest"),
        (damaged("jobs", "job", "inputs", value=[]), "is damaged"),
        (damaged("jobs", "job", "outputs", "../x", value=DIGEST), "'../x' is no path of an output"),
        (damaged("jobs", "job", "outputs", "a/../../x", value=DIGEST), "is no path of an output"),
        (damaged("jobs", "job", "outputs", "/x", value=DIGEST), "'/x' is no path of an output"),
        (damaged("jobs", "job", "scores", "score", value="high"), "is damaged"),
        (damaged("jobs", "job", "scores", "within_margin", value=1), "within_margin is 1"),
        (damaged("jobs", "job", "scores", value={}), "there is no 'blob'"),
        (damaged("jobs", "job", "version", value=1), "is of another kind"),
        (damaged("jobs", "job", "options", value=[]), "is of another kind"),
    ],
)
def test_a_damaged_lock_is_one_clear_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = tmp_path / "ristretto.lock"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(JobError) as caught:
        read_lock(path)
    assert caught.value.message.startswith("ristretto.lock is damaged: ")
    assert message in caught.value.message
    assert "delete it" in caught.value.hint


def test_a_lock_of_a_newer_ristretto_is_not_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "ristretto.lock"
    path.write_text('{"format": 2, "tasks": []}')
    with pytest.raises(JobError, match="written by a newer ristretto") as caught:
        read_lock(path)
    assert caught.value.hint == "update ristretto"


def test_entries_of_jobs_that_are_gone_go() -> None:
    lock = Lock({"gone": ENTRY, "kept": ENTRY}).with_entry("new", ENTRY, ["new", "kept", "not made yet"])
    assert set(lock.entries) == {"new", "kept"}


@pytest.mark.parametrize(
    ("before", "after", "tolerance", "higher", "falls"),
    [
        (0.99, 0.98, 0, True, True),
        (0.99, 0.98, 1, True, False),
        (0.99, 0.9799, 1, True, True),
        (0.98, 0.99, 0, True, False),
        (0.98, 0.99, 0, False, True),
        (0.3, 0.31, 1, False, False),
        (0.5, math.nan, 100, True, True),
        (0.5, math.inf, 100, False, True),
        (math.nan, 0.5, 0, True, False),
        (math.nan, math.nan, 0, True, False),
        (1 / 3, 1 / 3, 0, True, False),
    ],
)
def test_a_score_falls_or_it_does_not(before: float, after: float, tolerance: float, higher: bool, falls: bool) -> None:
    old, new = (Scores("s", higher, 1.0, score, True) for score in (before, after))
    assert bool(fell(old, new, tolerance)) is falls


def test_another_score_blob_is_a_fall() -> None:
    assert fell(SCORES, replace(SCORES, blob="top5"), 100) == "the score was 'accuracy' and is now 'top5'"


def test_limits_hold_at_the_limit_and_never_for_what_is_no_number() -> None:
    job = Job("j", {}, {}, minimum_accuracy=0.98)
    assert missed(job, SCORES) == []
    assert missed(job, replace(SCORES, score=0.979)) == ["accuracy 0.979 is below the limit 0.98"]
    assert missed(job, replace(SCORES, score=math.nan))
    loss = Job("j", {}, {}, max_loss=0.5)
    assert missed(loss, Scores("loss", False, 0.1, 0.5, True)) == []
    assert missed(loss, Scores("loss", False, 0.1, 0.6, True)) == ["loss 0.6 is above the limit 0.5"]
