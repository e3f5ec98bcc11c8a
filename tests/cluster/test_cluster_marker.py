"""Marks from workers: those of a run on one machine, whatever becomes of the workers."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ristretto.cluster import ClusterMarker, connection, sender
from ristretto.cluster.program import program
from ristretto.cluster.sender import SHARD, Sender, shards
from ristretto.cluster.shard import Load, Parcel, mark_shard, packed
from ristretto.errors import ClusterError, DataError, ModelError, RistrettoError
from ristretto.execute import IntegerExecutor
from ristretto.formats import EXACT, HALF_EVEN, FixedPoint
from ristretto.layers import Accuracy, InnerProduct, Input
from ristretto.net import Layer, LayerQuant, Net, Phase, QuantSpec, Shape
from ristretto.net.op import Array
from ristretto.passes import QuantizeLayers
from ristretto.search import Journal, KeptMarks, Marks, TrialScorer
from ristretto.search.scoring import Certain

SHAPES: Mapping[str, Shape] = {"data": (6, 8), "label": (6,)}
BYTES = 4 * (6 * 8 + 6)
"""Of a batch."""


@dataclass
class Numbers:
    """A source of random batches, multiples of `grid` if it is set; one of them may be damaged, or no numbers."""

    damaged: int = -1
    no_number: int = -1
    grid: float = 0.0
    names: tuple[str, ...] = ("numbers",)
    shapes: Mapping[str, Shape] = field(default_factory=lambda: SHAPES)
    period: int | None = None
    read: list[int] = field(default_factory=list)

    def batches(self, count: int, start: int = 0) -> Iterator[Mapping[str, Array]]:
        for number in range(start, start + count):
            if number == self.damaged:
                raise DataError(f"batch {number} is damaged")
            self.read.append(number)
            rng = np.random.default_rng(number)
            data = np.full(SHAPES["data"], np.nan) if number == self.no_number else rng.normal(size=SHAPES["data"])
            if self.grid:
                data = np.round(data / self.grid) * self.grid
            yield {"data": data.astype(np.float32), "label": rng.integers(0, 3, 6).astype(np.float32)}

    def fingerprint(self, count: int, hashed: object) -> str | None:
        return "numbers"


def net(bits: int = 4) -> Net:
    rng = np.random.default_rng(bits)
    weights = rng.normal(size=(3, 8)).astype(np.float32), rng.normal(size=3).astype(np.float32)
    plain = Net(
        "net",
        (
            Layer("data", Input(tuple(SHAPES.values())), (), ("data", "label")),
            Layer("ip", InnerProduct(3), ("data",), ("c",), weights),
            Layer("accuracy", Accuracy(), ("c", "label"), ("accuracy",)),
        ),
    ).for_phase(Phase.TEST)
    fmt = FixedPoint(bits, bits - 2)
    return QuantizeLayers(QuantSpec("", {"ip": LayerQuant(fmt, FixedPoint(bits + 2, 1), fmt)}))(plain)


def facts(marks: Marks) -> tuple[object, ...]:
    return marks.batches, *((name, a.dtype, a.shape, a.tobytes()) for name, a in sorted(marks.arrays().items()))


def alone(batches: range, certain: Certain | None = None, bits: int = 4) -> Marks:
    return TrialScorer(IntegerExecutor, Numbers(), batches.stop).marks(net(bits), "accuracy", batches, certain=certain)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers of two threads each; in threads of this process, as that is quick to start."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2,
        threads_per_worker=2,
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        memory_limit=0,
    ) as started:
        yield started


@pytest.fixture
def address(cluster: Any) -> str:
    found: str = cluster.scheduler_address
    return found


def marker(address: str, source: Numbers | None = None, max_bytes: int = 1 << 20) -> ClusterMarker:
    return ClusterMarker(address, IntegerExecutor, source or Numbers(), max_bytes=max_bytes)


def test_shards_are_cut_at_the_same_places_and_hold_every_batch() -> None:
    for start in range(6):
        for stop in range(start + 1, 13):
            found = shards(range(start, stop))
            assert [number for shard in found for number in shard] == list(range(start, stop))
            assert all(len(shard) and shard.start // SHARD == (shard.stop - 1) // SHARD for shard in found)
            assert len(found) == (stop - 1) // SHARD - start // SHARD + 1


@pytest.mark.parametrize("batches", [range(1), range(10), range(3, 10), range(4, 6)])
def test_marks_are_those_of_one_machine(address: str, batches: range) -> None:
    count: list[int] = []
    with marker(address) as there:
        found = there.marks(net(), "accuracy", batches, progress=lambda: count.append(1))
    assert facts(found) == facts(alone(batches))
    assert len(count) == len(batches)


@pytest.mark.parametrize("enough", range(1, 8))
def test_it_stops_at_the_batch_at_which_one_machine_stops(address: str, enough: int) -> None:
    asked: list[tuple[object, ...]] = []
    wanted: list[tuple[object, ...]] = []

    def certain(into: list[tuple[object, ...]]) -> Certain:
        return lambda marks: into.append(facts(marks)) or marks.batches == enough

    with marker(address) as there:
        found = there.marks(net(), "accuracy", range(3, 10), certain=certain(asked))
    assert facts(found) == facts(alone(range(3, 10), certain(wanted)))
    assert asked == wanted


def test_the_arithmetic_goes_with_the_net(address: str) -> None:
    # Halves of a step of the format.
    source = Numbers(grid=0.5)
    with ClusterMarker(address, IntegerExecutor, source, HALF_EVEN) as there:
        found = there.marks(net(2), "accuracy", range(40))
    trials = TrialScorer(IntegerExecutor, source, 40, HALF_EVEN)
    assert facts(found) == facts(trials.marks(net(2), "accuracy", range(40)))
    away = TrialScorer(IntegerExecutor, source, 40).marks(net(2), "accuracy", range(40))
    assert facts(found) != facts(away)
    other = packed(IntegerExecutor, net(), SHAPES, EXACT, program())
    assert other.key != packed(IntegerExecutor, net(), SHAPES, HALF_EVEN, program()).key


def test_batches_are_read_once_and_stay_on_the_workers(address: str) -> None:
    source = Numbers()
    with marker(address, source) as there:
        for bits in (4, 3, 2):
            assert facts(there.marks(net(bits), "accuracy", range(3, 10))) == facts(alone(range(3, 10), bits=bits))
        assert sorted(source.read) == list(range(3, 10))
        # The rest of a trial that stopped early begins within a shard.
        assert facts(there.marks(net(), "accuracy", range(7, 10))) == facts(alone(range(7, 10)))
        assert len(source.read) == 7


def test_batches_beyond_the_limit_are_sent_for_every_net(address: str) -> None:
    source = Numbers()
    with marker(address, source, max_bytes=4 * BYTES) as there:
        for bits in (4, 3):
            assert facts(there.marks(net(bits), "accuracy", range(8))) == facts(alone(range(8), bits=bits))
    assert sorted(source.read) == [0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 7, 7]


def test_a_journal_knows_what_workers_found(address: str, tmp_path: Any) -> None:
    journal = Journal(tmp_path)
    with marker(address) as there:
        kept = KeptMarks(there, journal, "conditions")
        short = kept.marks(net(), "accuracy", range(9), certain=lambda marks: marks.batches == 3)
        assert facts(short) == facts(alone(range(3)))
        assert facts(kept.marks(net(), "accuracy", range(9))) == facts(alone(range(9)))
    # Nobody listens there, and nobody needs to.
    with marker("tcp://127.0.0.1:1") as nobody:
        assert facts(KeptMarks(nobody, journal, "conditions").marks(net(), "accuracy", range(9))) == facts(
            alone(range(9))
        )


@pytest.mark.parametrize("source", [Numbers(no_number=5), Numbers(damaged=6)])
def test_what_is_wrong_with_a_batch_is_an_error_only_where_it_is_reached(address: str, source: Numbers) -> None:
    with marker(address, source) as there:
        found = there.marks(net(), "accuracy", range(9), certain=lambda marks: marks.batches == 5)
        assert facts(found) == facts(alone(range(5)))
        with pytest.raises(RistrettoError) as caught:
            there.marks(net(), "accuracy", range(9))
    with pytest.raises(RistrettoError) as wanted:
        TrialScorer(IntegerExecutor, source, 9).marks(net(), "accuracy", range(9))
    assert (type(caught.value), vars(caught.value)) == (type(wanted.value), vars(wanted.value))


def test_a_net_that_cannot_be_run_is_the_same_error(address: str) -> None:
    broken = Net("net", tuple(Layer(e.name, e.op, e.bottoms, e.tops) for e in net()))
    with marker(address) as there, pytest.raises(ModelError, match="layer 'ip': no weights"):
        there.marks(broken, "accuracy", range(3))


def test_a_worker_with_another_program_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "program", lambda: {**program(), "numba": "0.1"})
    with marker(address) as there, pytest.raises(ClusterError, match=r"the worker at tcp://\S+ has numba 0.1 instead"):
        there.marks(net(), "accuracy", range(3))


def test_a_worker_that_came_later_with_another_program_refuses() -> None:
    content = packed(IntegerExecutor, net(), SHAPES, EXACT, program()).content
    foreign = Parcel("foreign", content, {**program(), "ristretto's sources": "0123"})
    found = mark_shard(foreign, "accuracy", Load(tuple(Numbers().batches(2))), slice(0, 2))
    assert found.marks is None and isinstance(found.error, ClusterError)
    assert "ristretto's sources 0123 instead of" in found.error.message


def test_a_scheduler_without_workers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(connection, "PATIENCE", 0.2)
    with LocalCluster(
        n_workers=0, processes=False, protocol="tcp://", host="127.0.0.1", dashboard_address=":0"
    ) as empty:
        where = empty.scheduler_address
        with marker(where) as there, pytest.raises(ClusterError, match=r"no worker for 0\.2 s") as caught:
            there.marks(net(), "accuracy", range(3))
    assert caught.value.hint == f"start one by: dask worker {where}"


def test_a_scheduler_that_goes_away_is_told() -> None:
    from distributed import LocalCluster

    started = LocalCluster(
        n_workers=1, processes=False, protocol="tcp://", host="127.0.0.1", dashboard_address=":0", memory_limit=0
    )
    where = started.scheduler_address
    with marker(where, max_bytes=0) as there, pytest.raises(ClusterError, match=f"the scheduler at {where} is gone"):
        there.marks(net(), "accuracy", range(100), progress=once(started.close))


def once(work: Callable[[], object]) -> Callable[[], None]:
    left = [work]
    return lambda: left and left.pop()() and None


class Losing:
    """Stands for a client whose first tasks are lost, and with them what lay on the worker."""

    status = "running"

    def __init__(self, lost: int) -> None:
        self.lost, self.sent, self.tasks = lost, 0, 0

    def nthreads(self) -> dict[str, int]:
        return {"worker": 1}

    def wait_for_workers(self, count: int, timeout: float) -> None:
        pass

    def scatter(self, thing: object, hash: bool) -> Any:
        self.sent += 1
        return SimpleNamespace(status="finished", thing=thing)

    def submit(self, work: Callable[..., object], *words: Any, pure: bool) -> Any:
        self.tasks += 1
        held = [word for word in words if isinstance(word, SimpleNamespace)]
        lost = self.tasks <= self.lost

        def result(timeout: float) -> object:
            if lost:
                for each in held:
                    each.status = "cancelled"
                raise CancelledError
            assert all(each.status == "finished" for each in held)
            return work(*(getattr(word, "thing", word) for word in words))

        return SimpleNamespace(result=result, release=lambda: None)


@pytest.mark.parametrize("lost", range(5))
def test_what_is_lost_is_sent_anew(lost: int) -> None:
    client = Losing(lost)
    parcel = packed(IntegerExecutor, net(), SHAPES, EXACT, program())
    source = Numbers()
    found = list(Sender(client, "tcp://there:1", source, 1 << 20).in_order(parcel, "accuracy", range(2)))
    assert [facts(marked.marks) for marked in found if marked.marks] == [facts(alone(range(2)))]
    assert (client.tasks, client.sent) == (lost + 1, 2 * lost + 2)
    assert source.read == [0, 1]


def test_what_is_lost_again_and_again_is_given_up() -> None:
    parcel = packed(IntegerExecutor, net(), SHAPES, EXACT, program())
    asking = Sender(Losing(sender.ATTEMPTS), "tcp://there:1", Numbers(), 0).in_order(parcel, "accuracy", range(2))
    with pytest.raises(ClusterError, match="tcp://there:1 loses every worker that runs the net"):
        next(asking)


@pytest.mark.slow
@pytest.mark.parametrize("killed", [1, 2])
def test_workers_that_are_killed_change_nothing(killed: int) -> None:
    """One of two, or both: then the marks wait for those that take their places."""
    batches = range(60)
    source = Numbers()
    with marker("local:2", source) as there:
        there.marks(net(3), "accuracy", batches)

        def kill() -> None:
            assert there._sender is not None
            workers = sorted(there._sender.client.run(os.getpid).values())
            assert len(set(workers)) == 2 and os.getpid() not in workers
            for worker in workers[:killed]:
                os.kill(worker, signal.SIGKILL)

        found = there.marks(net(), "accuracy", batches, progress=once(kill))
        assert facts(found) == facts(alone(batches))
    assert sorted(set(source.read)) == list(batches)


@pytest.mark.slow
def test_a_worker_that_was_never_heard_of_is_not_missed() -> None:
    """Its death may be told before its birth, and the end waits for both."""
    with marker("local:2") as there:
        there.marks(net(), "accuracy", range(3))
        assert there._sender is not None
        cluster = there._sender.client.cluster
        cluster._update_worker_status("remove", "tcp://127.0.0.1:1")


@pytest.mark.slow
def test_nothing_runs_on_when_the_marker_is_left() -> None:
    before = threading.active_count()
    with marker("local:2") as there:
        there.marks(net(), "accuracy", range(3))
        assert there._sender is not None
        workers = list(there._sender.client.run(os.getpid).values())
        assert all(alive(worker) for worker in workers)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (any(map(alive, workers)) or threading.active_count() > before + 2):
        time.sleep(0.05)
    assert not any(map(alive, workers))


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
