"""Scores: means over batches, the same for any number of threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ristretto.errors import DataError
from ristretto.execute import EXECUTORS, Executor, FloatExecutor, Run, Scores, default_threads, score
from ristretto.execute.score import in_order
from ristretto.formats import FixedPoint
from ristretto.layers import Accuracy, InnerProduct, Input, Power
from ristretto.net import Layer, LayerQuant, Net, Phase


def scored() -> Net:
    rng = np.random.default_rng(5)
    blobs = (rng.normal(size=(4, 6)).astype(np.float32), rng.normal(size=4).astype(np.float32))
    quant = LayerQuant(FixedPoint(3, 1), FixedPoint(3, 0), FixedPoint(3, 1))
    layers = (
        Layer("data", Input(((8, 6), (8,))), (), ("data", "label")),
        Layer("ip", InnerProduct(4), ("data",), ("ip",), blobs, quant=quant),
        Layer("copy", InnerProduct(4), ("data",), ("raw",), blobs),
        Layer("accuracy", Accuracy(), ("ip", "label"), ("accuracy",)),
    )
    return Net("net", layers).for_phase(Phase.TEST)


def batches(count: int) -> Iterator[dict[str, np.ndarray]]:
    rng = np.random.default_rng(6)
    for _ in range(count):
        yield {"data": rng.normal(size=(8, 6)).astype(np.float32), "label": rng.integers(0, 4, 8)}


def same_bits(one: Scores, other: Scores) -> bool:
    return (
        {blob: value.tobytes() for blob, value in one.outputs.items()}
        == {blob: value.tobytes() for blob, value in other.outputs.items()}
        and one.companions == other.companions
        and one.iterations == other.iterations
        and {name: (seen.dtype, seen.tobytes()) for name, seen in one.observations.items()}
        == {name: (seen.dtype, seen.tobytes()) for name, seen in other.observations.items()}
    )


@pytest.mark.parametrize("kind", EXECUTORS.values(), ids=EXECUTORS)
def test_scores_are_the_means_of_the_outputs(kind: type[Executor]) -> None:
    executor = kind(scored(), {})
    runs = [executor.run(batch) for batch in batches(7)]
    found = score(executor, batches(7))
    assert found.iterations == 7
    assert list(found.outputs) == ["accuracy", "raw"]
    for blob, value in found.outputs.items():
        assert isinstance(value, np.ndarray)
        assert value.dtype == np.float64
        np.testing.assert_allclose(value, np.mean([run.outputs[blob] for run in runs], axis=0, dtype=np.float64))
    assert found.companions["accuracy_argmax"] == pytest.approx(
        np.mean([run.companions["accuracy_argmax"] for run in runs])
    )
    assert (found.companions["accuracy_argmax"] > found.outputs["accuracy"].item()) is (kind is not FloatExecutor)


@pytest.mark.parametrize("kind", EXECUTORS.values(), ids=EXECUTORS)
def test_observations_are_what_the_means_are_made_of(kind: type[Executor]) -> None:
    executor = kind(scored(), {})
    found = score(executor, batches(7))
    assert set(found.observations) == {"accuracy", "accuracy_argmax", "raw"}
    by_name = {"accuracy": found.outputs["accuracy"].item(), "accuracy_argmax": found.companions["accuracy_argmax"]}
    for name, mean in by_name.items():
        seen = found.observations[name]
        assert seen.dtype == bool
        assert seen.shape == (7 * 8,)
        assert seen.mean() == pytest.approx(mean)
    raw = found.observations["raw"]
    assert raw.dtype == np.float64
    assert raw.tolist() == [executor.run(batch).outputs["raw"][0, 0] for batch in batches(7)]


def test_pictures_come_in_the_order_of_the_data() -> None:
    net = scored()
    executor = EXECUTORS["integer"](net, {})
    found = score(executor, batches(5), threads=3)
    right = []
    for batch in batches(5):
        kept = EXECUTORS["integer"](net, {}, keep=["ip.top0"]).run(batch).kept["ip.top0"]
        for scores, label in zip(kept, batch["label"], strict=True):
            right.append(bool((np.delete(scores, label) < scores[label]).all()))
    assert found.observations["accuracy"].tolist() == right
    assert 0 < sum(right) < len(right)


def test_an_output_that_was_changed_in_place_is_observed_by_batches() -> None:
    net = scored()
    halved = Layer("half", Power(scale=0.5), ("accuracy",), ("accuracy",))
    found = score(EXECUTORS["integer"](Net("net", (*net.layers, halved), net.state), {}), batches(3))
    whole = score(EXECUTORS["integer"](net, {}), batches(3))
    assert found.observations["accuracy"].dtype == np.float64
    assert found.observations["accuracy"].mean() == pytest.approx(whole.outputs["accuracy"].item() / 2)


def test_only_an_accuracys_first_top_is_made_of_pictures() -> None:
    net = scored()
    by_class = replace(net["accuracy"], tops=("accuracy", "by_class"))
    found = score(EXECUTORS["integer"](Net("net", (*net.layers[:-1], by_class), net.state), {}), batches(3))
    assert {name: seen.dtype for name, seen in found.observations.items()} == {
        "accuracy": bool,
        "accuracy_argmax": bool,
        "by_class": np.float64,
        "raw": np.float64,
    }


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("stop", [1, 4, 23])
def test_scoring_stops_when_it_is_enough(threads: int, stop: int) -> None:
    executor, ran = EXECUTORS["integer"](scored(), {}), []
    seen: list[Scores] = []

    class Counting:
        def run(self, batch: Any, /) -> Run:
            ran.append(1)
            return executor.run(batch)

    def enough(scores: Scores) -> bool:
        seen.append(scores)
        return scores.iterations == stop

    found = score(Counting(), batches(23), threads=threads, enough=enough)
    assert same_bits(found, score(executor, batches(stop)))
    for count, scores in enumerate(seen, 1):
        assert same_bits(scores, score(executor, batches(count)))
    assert len(seen) == stop
    assert len(ran) <= stop + 2 * threads + 1


@pytest.mark.parametrize("kind", EXECUTORS.values(), ids=EXECUTORS)
def test_threads_change_no_bit(kind: type[Executor]) -> None:
    executor = kind(scored(), {})
    alone = score(executor, batches(23), threads=1)
    for threads in (2, 3, 8):
        assert same_bits(score(executor, batches(23), threads=threads), alone)


@pytest.mark.parametrize("threads", [1, 3])
def test_progress_is_told_of_every_batch(threads: int) -> None:
    told: list[int] = []
    score(EXECUTORS["integer"](scored(), {}), batches(9), threads=threads, progress=lambda: told.append(1))
    assert len(told) == 9


@pytest.mark.parametrize("threads", [1, 2])
def test_nothing_to_score_is_named(threads: int) -> None:
    with pytest.raises(DataError, match="no batch to score"):
        score(EXECUTORS["integer"](scored(), {}), [], threads=threads)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(threads: int) -> None:
    def slowly(item: int) -> int:
        time.sleep(0.002 * (item * 7 % 5))
        return item * item

    assert list(in_order(slowly, range(40), threads)) == [i * i for i in range(40)]


def test_work_is_spread_over_threads() -> None:
    meeting = threading.Barrier(3, timeout=30)
    assert list(in_order(lambda item: meeting.wait() >= 0 and item, range(1, 7), 3)) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("threads", [1, 2])
def test_items_are_taken_only_a_few_ahead(threads: int) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for i in range(1000):
            taken.append(i)
            yield i

    results = in_order(lambda item: item, items(), threads)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert len(taken) <= 3 + 2 * threads + 1
    results.close()
    assert len(taken) <= 3 + 2 * threads + 1


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_the_work_comes_out_in_its_place_and_ends_it(threads: int) -> None:
    done: list[int] = []

    def work(item: int) -> int:
        if item == 5:
            raise DataError("five")
        done.append(item)
        return item

    seen = []
    with pytest.raises(DataError, match="five"):
        for result in in_order(work, range(1000), threads):
            seen.append(result)
    assert seen == [0, 1, 2, 3, 4]
    assert len(done) < 20


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_the_items_comes_out_and_ends_it(threads: int) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise DataError("no more")

    with pytest.raises(DataError, match="no more"):
        list(in_order(lambda item: item, items(), threads))


def test_there_is_at_least_one_thread() -> None:
    assert default_threads() >= 1
