"""Marks: to the last bit the scores that they are taken from, however they are cut up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.execute import Run, score
from ristretto.search import Marks, Score


class Made:
    """Gives the runs that it is handed."""

    def run(self, batch: Run, /) -> Run:
        return batch


def right_runs(batches: Sequence[Sequence[tuple[bool, bool]]]) -> list[Run]:
    """Give what an Accuracy makes of pictures that are right or wrong, by its rule and by argmax."""
    runs = []
    for pictures in batches:
        strict, lenient = (np.array(column) for column in zip(*pictures, strict=True))
        runs.append(
            Run(
                {"acc": np.asarray(float(strict.mean())), "other": np.zeros(3)},
                {},
                {"acc_argmax": float(lenient.mean())},
                {"acc": {"": strict, "argmax": lenient}},
            )
        )
    return runs


def facts(marks: Marks) -> tuple[object, ...]:
    argmax = None if marks.argmax is None else (marks.argmax.dtype, marks.argmax.tobytes())
    return marks.batches, marks.seen.dtype, marks.seen.tobytes(), argmax


pictures = st.integers(1, 7).flatmap(
    lambda size: st.lists(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=size, max_size=size), min_size=1)
)


@given(pictures, st.data())
def test_accuracies_are_those_of_the_scores(batches: list[list[tuple[bool, bool]]], data: st.DataObject) -> None:
    runs = right_runs(batches)
    scores = score(Made(), runs)
    marks = Marks.of(scores, "acc")
    assert marks.value == scores.outputs["acc"]
    assert marks.argmax_value == scores.companions["acc_argmax"]
    count = data.draw(st.integers(1, len(runs)))
    assert facts(marks.first(count)) == facts(Marks.of(score(Made(), runs[:count]), "acc"))
    if count < len(runs):
        rest = Marks.of(score(Made(), runs[count:]), "acc")
        assert facts(Marks.joined([marks.first(count), rest])) == facts(marks)
    assert facts(Marks.of_arrays(marks.arrays())) == facts(marks)


@given(st.lists(st.floats(width=32), min_size=1), st.sampled_from((np.float32, np.float64)), st.data())
def test_losses_are_those_of_the_scores(values: list[float], dtype: type[np.floating], data: st.DataObject) -> None:
    runs = [Run({"loss": np.array(value, dtype)}, {}, {}) for value in values]
    scores = score(Made(), runs)
    marks = Marks.of(scores, "loss")
    assert np.float64(marks.value).tobytes() == scores.outputs["loss"].tobytes() or np.isnan(marks.value)
    assert marks.argmax_value is None
    count = data.draw(st.integers(1, len(runs)))
    assert facts(marks.first(count)) == facts(Marks.of(score(Made(), runs[:count]), "loss"))
    assert facts(Marks.of_arrays(marks.arrays())) == facts(marks)


def test_a_score_of_many_numbers_is_its_first() -> None:
    runs = [Run({"prob": np.float32([[x, 9], [8, 7]])}, {}, {}) for x in (0.25, 0.5)]
    assert Marks.of(score(Made(), runs), "prob").value == 0.375


@pytest.mark.parametrize("whole", [True, False])
def test_a_score_says_what_its_marks_say(whole: bool) -> None:
    marks = Marks(2, np.array([True, False, True, True]), np.array([True] * 4))
    found = Score.of(marks, whole=whole)
    assert (found.value, found.argmax, found.marks, found.whole) == (0.75, 1.0, marks, whole)
    assert found == Score(0.75, 1.0, whole=whole), "marks are no part of what a score is"
