"""What a score must do; and that an outcome that is called certain is the one that the whole score has."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.search import Goal, Marks, Score
from ristretto.search.evidence import estimate

MARGINS = st.sampled_from((0.0, 0.5, 1.0, 2.0, 10.0, 100 / 3)) | st.floats(0, 100)
ACCURACY, LOSS, UNKNOWN = (0.0, 1.0), (0.0, math.inf), (-math.inf, math.inf)


def outcomes(goal: Goal, trial: Marks, baseline: Marks) -> list[bool | None]:
    """Give what is said after each batch."""
    return [goal.outcome(trial.first(count), Score.of(baseline)) for count in range(1, trial.batches + 1)]


def check_certain(goal: Goal, trial: Marks, baseline: Marks) -> None:
    """See that whatever is certain comes true, and stays certain."""
    holds = goal.holds(Score.of(trial), Score.of(baseline))
    said = outcomes(goal, trial, baseline)
    assert all(outcome in (None, holds) for outcome in said)
    certain = [outcome is not None for outcome in said]
    assert certain == sorted(certain)
    if goal.confidence is None:
        bounded = not math.isinf(goal.bounds[0] if goal.higher_is_better else goal.bounds[1])
        assert said[-1] is holds or not bounded


right = st.lists(st.booleans(), min_size=1, max_size=60)
shares = st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 2**32 - 1))


def pictures(share: float, count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(count) < share


@given(st.integers(1, 40), st.integers(1, 12), shares, MARGINS, st.none() | st.floats(0.5, 0.9999))
@settings(max_examples=400)
def test_accuracies_by_pictures(
    batches: int, size: int, drawn: tuple[float, float, int], margin: float, confidence: float | None
) -> None:
    share, other, seed = drawn
    baseline = pictures(share, batches * size, seed)
    # Most pictures come out alike, as they do in a condensed net.
    trial = np.where(pictures(other, batches * size, seed + 1), baseline, pictures(share, batches * size, seed + 2))
    goal = Goal("accuracy", margin, bounds=ACCURACY, confidence=confidence)
    check_certain(goal, Marks(batches, trial), Marks(batches, baseline))


@given(right, right, MARGINS, st.none() | st.floats(0.5, 0.9999))
def test_accuracies_by_any_pictures(
    one: list[bool], other: list[bool], margin: float, confidence: float | None
) -> None:
    count = min(len(one), len(other))
    goal = Goal("accuracy", margin, bounds=ACCURACY, confidence=confidence)
    check_certain(goal, Marks(count, np.array(one[:count])), Marks(count, np.array(other[:count])))


numbers = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30)


@given(numbers, MARGINS, st.sampled_from((ACCURACY, LOSS, UNKNOWN)), st.booleans(), st.none() | st.floats(0.5, 0.9999))
@settings(max_examples=400)
def test_scores_by_batches(
    pairs: list[tuple[float, float]],
    margin: float,
    bounds: tuple[float, float],
    higher_is_better: bool,
    confidence: float | None,
) -> None:
    trial, baseline = (Marks(len(pairs), np.array(column)) for column in zip(*pairs, strict=True))
    check_certain(Goal("score", margin, higher_is_better, bounds, confidence), trial, baseline)


@given(st.lists(st.floats(0, 1) | st.sampled_from((1e-300, 1 / 3, 1 - 2**-53)), min_size=2, max_size=40), st.data())
@settings(max_examples=300)
def test_to_the_last_bit(values: list[float], data: st.DataObject) -> None:
    """The baseline lies on the score itself or a hair beside it, and the margin is nothing."""
    trial = Marks(len(values), np.array(values))
    hair = data.draw(st.sampled_from((-1, 0, 1)))
    target = trial.value if hair == 0 else math.nextafter(trial.value, hair * math.inf)
    baseline = Marks(len(values), np.full(len(values), target))
    for higher_is_better in (True, False):
        goal = Goal("score", 0.0, higher_is_better, ACCURACY)
        check_certain(goal, trial, baseline)


@given(st.lists(st.floats(0) | st.just(math.nan), min_size=1, max_size=20), st.floats(0, 100), MARGINS)
def test_losses_of_any_size(values: list[float], level: float, margin: float) -> None:
    trial, baseline = Marks(len(values), np.array(values)), Marks(len(values), np.full(len(values), level))
    goal = Goal("loss", margin, higher_is_better=False, bounds=LOSS)
    check_certain(goal, trial, baseline)
    assert True not in outcomes(goal, trial, baseline)[:-1], "a loss may always rise"


@pytest.mark.parametrize("confidence", [None, 0.6, 0.95, 0.9999])
def test_certain_outcomes_by_all_that_may_come(confidence: float | None) -> None:
    """For every margin, beginning and number of pictures that are lost and gained in the rest."""
    rng = np.random.default_rng(4)
    baseline, trial = rng.random(14) < 0.7, rng.random(14) < 0.3
    whole = Score.of(Marks(14, baseline))
    said: set[bool | None] = set()
    for margin in np.linspace(0, 100, 41).tolist():
        goal = Goal("accuracy", margin, bounds=ACCURACY, confidence=confidence)
        for known in (2, 6, 9, 11, 13):
            outcome = goal.outcome(Marks(known, trial[:known]), whole)
            said.add(outcome)
            if outcome is None:
                continue
            right, wrong = (np.flatnonzero(baseline[known:] == kind) + known for kind in (True, False))
            for lost in range(len(right) + 1):
                for gained in range(len(wrong) + 1):
                    came = np.concatenate([trial[:known], baseline[known:]])
                    came[right[:lost]], came[wrong[:gained]] = False, True
                    assert goal.holds(Score.of(Marks(14, came)), whole) is outcome
    assert said == {True, False, None}


def test_infinite_batches_are_no_certainty_either() -> None:
    trial, baseline = Marks(2, np.array([-math.inf, 1.0])), Marks(2, np.array([-math.inf, 0.0]))
    check_certain(Goal("score", 1.0, bounds=UNKNOWN), trial, baseline)


def test_a_hopeless_trial_stops_early() -> None:
    """Once so many pictures are wrong that all the others cannot make up for it."""
    baseline = np.ones(1000, bool)
    baseline[:100] = False
    trial = np.arange(1000) % 10 == 0
    goal = Goal("accuracy", 1.0, bounds=ACCURACY)
    said = outcomes(goal, Marks(100, trial), Marks(100, baseline))
    # Of 1000, more than 110 must be wrong: 9 in each batch, so after 13 batches.
    assert said.index(False) + 1 == 13
    assert goal.outcome(Marks(12, trial[:120]), Score.of(Marks(100, baseline))) is None


def test_a_trial_that_cannot_fail_any_more_stops() -> None:
    baseline = np.ones(1000, bool)
    said = outcomes(Goal("accuracy", 5.0, bounds=ACCURACY), Marks(100, baseline), Marks(100, baseline))
    assert said.index(True) + 1 == 95


def test_a_loss_stops_when_it_has_risen_too_far() -> None:
    said = outcomes(
        Goal("loss", 50.0, higher_is_better=False, bounds=LOSS),
        Marks(10, np.full(10, 3.0)),
        Marks(10, np.full(10, 1.0)),
    )
    # 10 batches of at most 1.5 each are 15 in all.
    assert said == [None] * 5 + [False] * 5


def test_where_nothing_is_known_of_the_batches_none_is_left_out() -> None:
    goal = Goal("score", 0.0, bounds=UNKNOWN)
    said = outcomes(goal, Marks(10, np.zeros(10)), Marks(10, np.ones(10)))
    assert said == [None] * 9 + [False]


def test_confidence_asks_for_the_bound_of_the_loss() -> None:
    baseline = np.ones(400, bool)
    trial = baseline.copy()
    trial[:4] = False
    scores = Score.of(Marks(4, trial)), Score.of(Marks(4, baseline))
    found = estimate(scores[1].marks, scores[0].marks)
    assert found is not None
    bound = 100 * found.loss(0.95, higher_is_better=True)
    assert 1.0 < bound < 2.2
    assert Goal("accuracy", 1.0, bounds=ACCURACY).holds(*scores)
    for margin, holds in ((1.0, False), (bound - 1e-6, False), (bound + 1e-6, True)):
        assert Goal("accuracy", margin, bounds=ACCURACY, confidence=0.95).holds(*scores) is holds
    assert Goal("accuracy", bound, bounds=ACCURACY, confidence=0.9).holds(*scores)


def test_confidence_never_forgives_a_score_beyond_the_margin() -> None:
    """Half a picture in each cell draws small samples towards no difference."""
    baseline, trial = np.ones(2, bool), np.zeros(2, bool)
    scores = Score.of(Marks(1, trial)), Score.of(Marks(1, baseline))
    assert not Goal("accuracy", 75.0, bounds=ACCURACY, confidence=0.5).holds(*scores)


def test_confidence_fails_early_where_the_score_alone_would_not() -> None:
    baseline = np.ones(1000, bool)
    trial = baseline.copy()
    trial[:18] = False
    marks = Marks(100, trial), Marks(100, baseline)
    assert set(outcomes(Goal("accuracy", 2.0, bounds=ACCURACY), *marks)[:-2]) == {None}
    said = outcomes(Goal("accuracy", 2.0, bounds=ACCURACY, confidence=0.99), *marks)
    assert said.index(False) == 1
    check_certain(Goal("accuracy", 2.0, bounds=ACCURACY, confidence=0.99), *marks)


def test_losses_of_one_batch_never_hold_with_confidence() -> None:
    one = Score.of(Marks(1, np.array([1.0])))
    assert Goal("loss", 50.0, higher_is_better=False).holds(one, one)
    assert not Goal("loss", 50.0, higher_is_better=False, confidence=0.9).holds(one, one)


@pytest.mark.parametrize("seen", [1, 3])
def test_the_difference_is_that_of_the_batches_seen(seen: int) -> None:
    baseline = np.array([True, True, False, True, True, True])
    trial = np.array([True, False, True, True, False, False])
    goal = Goal("accuracy", 1.0)
    found = goal.difference(Score.of(Marks(3, trial).first(seen), whole=False), Score.of(Marks(3, baseline)))
    known = estimate(Marks(seen, baseline[: 2 * seen]), Marks(seen, trial[: 2 * seen]))
    assert known is not None
    assert found == known.interval()
    assert goal.difference(Score(0.5), Score.of(Marks(3, baseline))) is None
