"""Scores of trials: the same with whatever is kept, and nothing is computed twice that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from ristretto.errors import DataError, ModelError
from ristretto.execute import IntegerExecutor, Run, Scores, score
from ristretto.formats import EMULATIONS, HALF_EVEN, Arithmetic, FixedPoint
from ristretto.formats import EXACT as DEFAULT
from ristretto.layers import Accuracy, Convolution, InnerProduct, Input, ReLU
from ristretto.net import Layer, LayerQuant, Net, Phase, QuantSpec, Shape
from ristretto.net.op import Array
from ristretto.passes import QuantizeLayers
from ristretto.search import TrialScorer

BATCHES = 5
SHAPES: Mapping[str, Shape] = {"data": (4, 2, 3, 3), "label": (4,)}
HANDED_ON = 4 * (4 * 2 * 3 * 3 + 4)
"""Bytes that a batch's blob `a` and its labels have."""


@dataclass
class Numbers:
    """A source of random batches, multiples of `grid` if it is set, which notes those that it is asked for."""

    grid: float = 0.0
    names: tuple[str, ...] = ("numbers",)
    shapes: Mapping[str, Shape] = field(default_factory=lambda: SHAPES)
    period: int | None = None
    read: list[int] = field(default_factory=list)

    def batches(self, count: int, start: int = 0) -> Iterator[Mapping[str, Array]]:
        for number in range(start, start + count):
            self.read.append(number)
            rng = np.random.default_rng(number)
            data = rng.normal(size=SHAPES["data"])
            yield {
                "data": (np.round(data / self.grid) * self.grid if self.grid else data).astype(np.float32),
                "label": rng.integers(0, 3, 4).astype(np.float32),
            }


RUNS: list[str] = []
"""The last layer of each net that was run on a batch."""


class Counting(IntegerExecutor):
    """Notes what is run."""

    def run(self, batch: Mapping[str, Array]) -> Run:
        RUNS.append(f"{self.net.layers[0].name}..{self.net.layers[-1].name}")
        return super().run(batch)


WHOLE, HEAD, TAIL = "data..accuracy", "data..a at the cut", "head..accuracy"


@pytest.fixture(autouse=True)
def _nothing_run() -> None:
    RUNS.clear()


def baseline() -> Net:
    """A convolution and two inner products; the first's output is an output of the net, too."""
    rng = np.random.default_rng(2)

    def blobs(*shape: int) -> tuple[Array, ...]:
        return rng.normal(size=shape).astype(np.float32), rng.normal(size=shape[0]).astype(np.float32)

    return Net(
        "net",
        (
            Layer("data", Input(tuple(SHAPES.values())), (), ("data", "label")),
            Layer("conv", Convolution(2, (1, 1)), ("data",), ("a",), blobs(2, 2, 1, 1)),
            Layer("relu", ReLU(), ("a",), ("a",)),
            Layer("ip1", InnerProduct(5), ("a",), ("b",), blobs(5, 18)),
            Layer("ip2", InnerProduct(3), ("b",), ("c",), blobs(3, 5)),
            Layer("other", InnerProduct(2), ("a",), ("d",), blobs(2, 18)),
            Layer("accuracy", Accuracy(), ("c", "label"), ("accuracy",)),
        ),
    ).for_phase(Phase.TEST)


def condensed(net: Net, bits: int, *layers: str, everything: bool = False) -> Net:
    fmt = FixedPoint(bits, bits - 2)
    quant = LayerQuant(fmt, FixedPoint(bits, bits - 3), fmt) if everything else LayerQuant(None, None, fmt)
    return QuantizeLayers(QuantSpec("", dict.fromkeys(layers, quant)))(net)


def trials(net: Net) -> list[Net]:
    """What a search scores: the float net, then each part alone, then all."""
    inner = ("ip1", "ip2", "other")
    return [
        net,
        *(condensed(net, bits, "conv") for bits in (8, 4)),
        *(condensed(net, bits, *inner) for bits in (8, 4, 2)),
        condensed(net, 4, "conv", *inner, everything=True),
        condensed(net, 3, *inner, everything=True),
        net,
    ]


def facts(scores: Scores) -> tuple[object, ...]:
    """Give all that scores say, to the last bit."""
    outputs = [(blob, value.dtype, value.shape, value.tobytes()) for blob, value in scores.outputs.items()]
    return outputs, dict(scores.companions), scores.iterations


def plainly(
    nets: Sequence[Net], arithmetic: Arithmetic = DEFAULT, source: Numbers | None = None
) -> list[tuple[object, ...]]:
    """Give what each net scores as a whole."""
    executors = [IntegerExecutor(net, SHAPES, arithmetic=arithmetic) for net in nets]
    return [facts(score(executor, (source or Numbers()).batches(BATCHES))) for executor in executors]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("max_bytes", [0, 2 * HANDED_ON, 1 << 20])
@pytest.mark.parametrize("arithmetic", [DEFAULT, *EMULATIONS.values()])
def test_every_trial_scores_what_it_scores_alone(threads: int, max_bytes: int, arithmetic: Arithmetic) -> None:
    nets = trials(baseline())
    scorer = TrialScorer(IntegerExecutor, Numbers(), BATCHES, arithmetic, threads, max_bytes)
    assert [facts(scorer.score(net)) for net in nets] == plainly(nets, arithmetic)
    assert len({str(fact) for fact in plainly(nets, arithmetic)}) == len(nets) - 1, "the trials differ"


@pytest.mark.parametrize("arithmetic", [DEFAULT, HALF_EVEN])
def test_the_first_net_may_have_formats(arithmetic: Arithmetic) -> None:
    """What is kept is computed by the same arithmetic; inputs that are multiples of one half lie between two codes."""
    source, fmt = Numbers(grid=0.5), FixedPoint(4, 0)
    formats = {"conv": LayerQuant(fmt, FixedPoint(8, 4), FixedPoint(8, 4))}
    nets = [
        QuantizeLayers(QuantSpec("", formats | more))(baseline()) for more in ({}, {"ip1": LayerQuant(None, fmt, fmt)})
    ]
    scorer = TrialScorer(Counting, source, BATCHES, arithmetic, max_bytes=1 << 20)
    assert [facts(scorer.score(net)) for net in nets] == plainly(nets, arithmetic, source)
    assert RUNS.count(HEAD) == BATCHES
    assert plainly(nets, DEFAULT, source) != plainly(nets, HALF_EVEN, source)


@pytest.mark.parametrize("threads", [1, 3])
def test_what_trials_have_in_common_is_run_once(threads: int) -> None:
    source = Numbers()
    scorer = TrialScorer(Counting, source, BATCHES, threads=threads, max_bytes=1 << 20)
    counted = []
    for net in trials(baseline()):
        scorer.score(net)
        counted.append({name: RUNS.count(name) // BATCHES for name in dict.fromkeys(RUNS)} | {"read": len(source.read)})
        RUNS.clear()
        source.read.clear()
    begun, alike, alone = {HEAD: 1, TAIL: 1, "read": 5}, {TAIL: 1, "read": 0}, {WHOLE: 1, "read": 5}
    assert counted == [begun, alone, alone, alike, alike, alike, alone, alike, alike]


@pytest.mark.parametrize(
    ("max_bytes", "kept"),
    [(0, 0), (HANDED_ON - 1, 0), (HANDED_ON, 1), (3 * HANDED_ON + 5, 3), (5 * HANDED_ON, 5), (9 * HANDED_ON, 5)],
)
@pytest.mark.parametrize("threads", [1, 3])
def test_only_so_many_bytes_are_kept(max_bytes: int, kept: int, threads: int) -> None:
    """The first batches' results, however the threads take turns; the rest is read and run again."""
    source, net = Numbers(), baseline()
    scorer = TrialScorer(Counting, source, BATCHES, threads=threads, max_bytes=max_bytes)
    scorer.score(net)
    for bits in (8, 4):
        RUNS.clear()
        source.read.clear()
        scorer.score(condensed(net, bits, "ip1"))
        assert RUNS.count(HEAD) == BATCHES - kept
        assert RUNS.count(TAIL) == BATCHES
        assert source.read == list(range(kept, BATCHES))


def test_a_net_of_one_part_has_nothing_in_common() -> None:
    data, conv, relu, *_ = baseline().layers
    last = Layer(
        "conv2", Convolution(3, (3, 3)), ("a",), ("c",), (np.ones((3, 2, 3, 3), np.float32), np.zeros(3, np.float32))
    )
    net = Net("net", (data, conv, relu, last, Layer("accuracy", Accuracy(), ("c", "label"), ("accuracy",))))
    nets = [net, condensed(net, 3, "conv", "conv2"), condensed(net, 2, "conv2")]
    scorer = TrialScorer(Counting, Numbers(), BATCHES, max_bytes=1 << 20)
    assert [facts(scorer.score(each)) for each in nets] == plainly(nets)
    assert set(RUNS) == {"data..data", TAIL}


@pytest.mark.parametrize("threads", [1, 3])
def test_progress_is_told_of_every_batch_of_every_trial(threads: int) -> None:
    scorer = TrialScorer(IntegerExecutor, Numbers(), BATCHES, threads=threads, max_bytes=2 * HANDED_ON)
    told: list[int] = []
    for done, net in enumerate(trials(baseline()), 1):
        scorer.score(net, lambda: told.append(1))
        assert len(told) == BATCHES * done


def test_what_is_kept_cannot_be_changed() -> None:
    class Careless(IntegerExecutor):
        """Spoils its input."""

        def run(self, batch: Mapping[str, Array]) -> Run:
            if self.net.layers[0].name == "head":
                batch["a"][:] = 0
            return super().run(batch)

    with pytest.raises(ValueError, match="read-only"):
        TrialScorer(Careless, Numbers(), BATCHES, max_bytes=1 << 20).score(baseline())


def test_errors_are_those_of_the_whole_net() -> None:
    net = baseline()
    bare = Net(
        net.name, tuple(Layer(x.name, x.op, x.bottoms, x.tops) if x.name == "ip2" else x for x in net), net.state
    )
    with pytest.raises(ModelError, match="layer 'ip2': no weights"):
        TrialScorer(IntegerExecutor, Numbers(), BATCHES).score(bare)
    with pytest.raises(DataError, match="blob 'data' needs shape"):
        TrialScorer(IntegerExecutor, Numbers(shapes={"data": (4, 2, 1, 9), "label": (4,)}), BATCHES).score(net)
    with pytest.raises(DataError, match="no batch to score"):
        TrialScorer(IntegerExecutor, Numbers(), 0).score(net)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("max_bytes", [0, 3 * HANDED_ON, 1 << 20])
def test_any_stretch_scores_what_its_batches_score(threads: int, max_bytes: int) -> None:
    scorer = TrialScorer(IntegerExecutor, Numbers(), BATCHES, threads=threads, max_bytes=max_bytes)
    for batches in (range(2, 4), range(5), range(3, 5), range(1), range(2, 9)):
        for net in trials(baseline()):
            executor = IntegerExecutor(net, SHAPES)
            plain = score(executor, Numbers().batches(len(batches), batches.start))
            assert facts(scorer.score(net, batches=batches)) == facts(plain)


@pytest.mark.parametrize("threads", [1, 3])
def test_marks_are_those_of_the_scores(threads: int) -> None:
    scorer = TrialScorer(IntegerExecutor, Numbers(), BATCHES, threads=threads, max_bytes=1 << 20)
    told: list[int] = []
    for net in trials(baseline()):
        whole = score(IntegerExecutor(net, SHAPES), Numbers().batches(BATCHES))
        marks = scorer.marks(net, "accuracy", range(BATCHES), progress=lambda: told.append(1))
        assert marks.value == whole.outputs["accuracy"]
        assert marks.argmax_value == whole.companions["accuracy_argmax"]
        assert scorer.marks(net, "d", range(BATCHES)).value == whole.outputs["d"][0, 0]
        stopped = scorer.marks(net, "accuracy", range(1, BATCHES), certain=lambda marks: marks.batches == 2)
        assert stopped.batches == 2
        assert stopped.seen.tolist() == marks.seen[4:12].tolist()
    assert len(told) == BATCHES * len(trials(baseline()))


def test_the_base_need_not_be_scored_first() -> None:
    """As where the journal knows its score already."""
    net = baseline()
    scorer = TrialScorer(Counting, Numbers(), BATCHES, max_bytes=1 << 20, base=net)
    for bits in (8, 4):
        scorer.score(condensed(net, bits, "conv"))
    assert set(RUNS) == {WHOLE}
    RUNS.clear()
    for bits in (8, 4):
        scorer.score(condensed(net, bits, "ip1", "ip2"))
    assert [RUNS.count(name) for name in (WHOLE, HEAD, TAIL)] == [0, BATCHES, 2 * BATCHES]


def test_conditions_are_the_data_the_arithmetic_and_the_executor() -> None:
    def scorer(kind: type[IntegerExecutor] = IntegerExecutor, arithmetic: Arithmetic = DEFAULT) -> TrialScorer:
        return TrialScorer(kind, Numbers(), BATCHES, arithmetic)

    class Other(IntegerExecutor):
        name = "other"

    found = {scorer().conditions("a"), scorer().conditions("b"), scorer(arithmetic=HALF_EVEN).conditions("a")}
    assert len({*found, scorer(Other).conditions("a")}) == 4
    assert TrialScorer(IntegerExecutor, Numbers(), 9, threads=7, max_bytes=3).conditions("a") in found
