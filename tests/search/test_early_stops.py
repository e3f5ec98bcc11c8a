"""Trials that stop as soon as their outcome is certain: the search decides the same, on fewer batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.calibrate import Accumulator, CalibrationStats, LayerStats, Range
from ristretto.formats import FixedPoint
from ristretto.layers import Accuracy, Convolution, InnerProduct, Input
from ristretto.net import Layer, Net, Part, Phase
from ristretto.search import MODES, PRESETS, Goal, Marks, SearchResult, Stretch, Trial, run_search
from ristretto.search.evidence import estimate
from ristretto.search.scoring import Certain

BATCHES, SIZE = 20, 25


def blobs(*shape: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(3)
    return rng.normal(scale=0.2, size=shape).astype(np.float32), rng.normal(size=shape[:1]).astype(np.float32)


CONV = Layer("conv", Convolution(num_output=4, kernel=(3, 3)), ("data",), ("conv",), blobs(4, 2, 3, 3))
FC = Layer("fc", InnerProduct(num_output=5), ("conv",), ("fc",), blobs(5, 144))
DATA = Layer("data", Input(shapes=((1, 2, 8, 8), (1,))), (), ("data", "label"))
SCORED = Layer("accuracy", Accuracy(), ("fc", "label"), ("accuracy",))
NET = Net("small", (DATA, CONV, FC, SCORED)).for_phase(Phase.TEST)


def seen(layer: Layer) -> LayerStats:
    values = Accumulator()
    values.add(np.random.default_rng(0).normal(size=500).astype(np.float32))
    found = values.finish()
    x = np.random.default_rng(5).uniform(0, 1, (2, *((2, 8, 8) if layer is CONV else (144,)))).astype(np.float32)
    y = layer.op.forward([x], layer.blobs)[0]
    return LayerStats(layer, found, found, Range(-3, 3), Range(-3, 3), False, False, x, y)


STATS = CalibrationStats({layer.name: seen(layer) for layer in (CONV, FC)}, 1, "made up")


def widths(net: Net) -> dict[str, int]:
    """Give the widths of a net's places; 99 for float."""
    found = {"conv": 99, "fc": 99, "activations": 99}
    for layer in net:
        if layer.quant and isinstance(layer.quant.params, FixedPoint):
            found[layer.name] = layer.quant.params.bw
        if layer.quant and isinstance(layer.quant.layer_out, FixedPoint):
            found["activations"] = layer.quant.layer_out.bw
    return found


@dataclass
class Made:
    """Gives pictures that are right by chance, with a share that depends on the widths; notes the batches used."""

    share: Callable[[dict[str, int]], float]
    seed: int = 0
    stops: bool = True
    used: list[tuple[dict[str, int], int]] = field(default_factory=list)

    def marks(
        self, net: Net, blob: str, batches: range, *, certain: Certain | None = None, progress: Any = None
    ) -> Marks:
        drawn = np.random.default_rng(self.seed).random(100 * SIZE)
        right = (drawn < self.share(widths(net)))[batches.start * SIZE : batches.stop * SIZE]
        marks = Marks(len(batches), right)
        for count in range(1, len(batches) + 1):
            if certain and self.stops and certain(marks.first(count)):
                break
        self.used.append((widths(net), count))
        return marks.first(count)


def search(
    made: Made,
    preset: str = "accurate",
    goal: Goal | None = None,
    *,
    reported: range | None = None,
    report: Callable[[Trial], None] = lambda trial: None,
) -> SearchResult:
    return run_search(
        NET,
        STATS,
        PRESETS[preset],
        MODES["dynamic_fixed_point"],
        Stretch(made, "accuracy", range(BATCHES)),
        goal or Goal("accuracy", 2.0, bounds=(0.0, 1.0)),
        reporter=None if reported is None else Stretch(made, "accuracy", reported),
        report=report,
    )


def decisions(found: SearchResult) -> object:
    return (
        [(trial.part, dict(trial.bits), trial.holds) for trial in found.trials],
        found.bits,
        found.score,
        found.decided,
        found.spec,
    )


def interacting(w: dict[str, int]) -> float:
    """Narrow parts hold alone and not together; the inner product's bits help most."""
    narrow = {name: w[name] <= 4 for name in w}
    if min(w.values()) <= 2:
        return 0.3
    if sum(narrow.values()) <= 1:
        return 0.9
    return 0.7 + 0.1 * (not narrow["fc"]) + 0.02 * (not narrow["conv"])


@given(
    st.dictionaries(st.tuples(*[st.sampled_from((99, 16, 8, 4, 2, 1))] * 3), st.floats(0.1, 0.9), max_size=40),
    st.integers(0, 9),
    st.sampled_from((0.0, 0.5, 2.0, 5.0)),
    st.none() | st.sampled_from((0.8, 0.99)),
)
@settings(max_examples=60)
def test_the_same_is_decided(
    losses: dict[tuple[int, ...], float], seed: int, margin: float, confidence: float | None
) -> None:
    goal = Goal("accuracy", margin, bounds=(0.0, 1.0), confidence=confidence)

    def share(w: dict[str, int]) -> float:
        return 0.95 - losses.get(tuple(w.values()), 0.0) * (min(w.values()) < 99)

    early, whole = Made(share, seed), Made(share, seed, stops=False)
    assert decisions(search(early, goal=goal)) == decisions(search(whole, goal=goal))
    assert sum(count for _, count in early.used) <= sum(count for _, count in whole.used) + BATCHES


def test_hopeless_trials_cost_few_batches() -> None:
    made = Made(interacting)
    found = search(made)
    assert found.within_margin
    hopeless = [trial for trial in found.trials if min(trial.bits.values()) <= 2]
    assert hopeless
    for trial in hopeless:
        assert not trial.holds
        assert not trial.score.whole
        assert trial.score.marks is not None
        # 12 % of all pictures may be wrong, and 70 % are.
        assert trial.score.marks.batches <= 5


def test_scores_that_are_compared_are_whole() -> None:
    made = Made(interacting)
    found = search(made)
    together = [trial for trial in found.trials if trial.part == "all"]
    assert len(together) > 2
    # The first was only asked whether it holds; the others were chosen among.
    assert [trial.score.whole for trial in together] == [False] + [True] * (len(together) - 1)
    assert found.score.whole
    first_round = max(together[1:4], key=lambda trial: trial.score.value)
    assert first_round.bits[Part.FC_PARAMS] == 8, "the inner product's bits help most"


def test_the_last_word_is_a_whole_score() -> None:
    """Where the first net that stands together holds, it had stopped as soon as that was certain."""
    told: list[Trial] = []
    found = search(Made(lambda w: 0.9), report=told.append, goal=Goal("accuracy", 60.0, bounds=(0.0, 1.0)))
    assert found.score.whole
    assert found.trials[-1].score is found.score
    last = [trial for trial in told if trial.part == "all"]
    assert [trial.score.whole for trial in last] == [False, True]


def test_the_original_scores_everything_and_weighs_nothing() -> None:
    made = Made(interacting)
    found = search(made, "original")
    assert {count for _, count in made.used} == {BATCHES}
    assert all(trial.score.whole and trial.difference is None for trial in found.trials)
    assert found.decided.difference is None
    assert found.reported is found.decided


def test_differences_come_with_their_intervals() -> None:
    found = search(Made(interacting))
    assert found.decided.baseline.marks is not None
    for trial in found.trials:
        assert trial.score.marks is not None
        known = estimate(found.decided.baseline.marks.first(trial.score.marks.batches), trial.score.marks)
        assert known is not None
        assert trial.difference == known.interval()


def test_other_batches_report() -> None:
    made = Made(interacting)
    found = search(made, reported=range(BATCHES, 3 * BATCHES))
    alone = Made(interacting)
    assert decisions(search(alone))[:2] == decisions(found)[:2], "they decide nothing"
    whole = Made(interacting, stops=False)
    for score, net in ((found.baseline, NET), (found.score, found.condensed.apply(NET))):
        marks = whole.marks(net, "accuracy", range(BATCHES, 3 * BATCHES))
        assert score.marks is not None
        assert score.marks.seen.tolist() == marks.seen.tolist()
        assert score.value == marks.value
    assert found.within_margin is (found.score.value + 0.02 >= found.baseline.value)
    assert found.decided.score.value != found.score.value
    assert found.reported.difference is not None


@pytest.mark.parametrize("lucky", [True, False])
def test_the_verdict_is_that_of_the_batches_that_report(lucky: bool) -> None:
    class Drifting(Made):
        """Right on the batches that decide, and on the others only if lucky."""

        def marks(self, net: Net, blob: str, batches: range, **how: Any) -> Marks:
            condensed = min(widths(net).values()) < 99
            return Marks(len(batches), np.full(len(batches) * SIZE, not condensed or batches.start == 0 or lucky))

    found = search(Drifting(lambda w: 1.0), reported=range(BATCHES, BATCHES + 4))
    assert found.decided.holds
    assert found.within_margin is lucky


def test_confidence_takes_wider_words() -> None:
    """Two points lost of a margin of two hold by the score alone."""

    def share(w: dict[str, int]) -> float:
        return 0.95 if min(w.values()) > 8 else 0.935

    plain = search(Made(share))
    sure = search(Made(share), goal=Goal("accuracy", 2.0, bounds=(0.0, 1.0), confidence=0.99))
    assert max(plain.bits.values()) <= 8
    assert set(sure.bits.values()) == {16}
    assert sure.confidence == 0.99
    assert sure.within_margin
