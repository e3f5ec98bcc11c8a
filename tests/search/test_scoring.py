"""Scores on a stretch of the data: the same with a journal and without, whatever it holds already."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.formats import FixedPoint
from ristretto.layers import Accuracy, InnerProduct, Input
from ristretto.layers.data import Data
from ristretto.net import Layer, LayerQuant, Net, Phase
from ristretto.net.phase import NetState
from ristretto.search import Journal, KeptMarks, Marks, Stretch, identity
from ristretto.search.scoring import Certain

SIZE = 3


def net(seed: int = 0) -> Net:
    blobs = (np.random.default_rng(seed).normal(size=(4, 6)).astype(np.float32), np.zeros(4, np.float32))
    return Net(
        "net",
        (
            Layer("data", Input(((SIZE, 6), (SIZE,))), (), ("data", "label")),
            Layer("ip", InnerProduct(4), ("data",), ("ip",), blobs),
            Layer("accuracy", Accuracy(), ("ip", "label"), ("accuracy",)),
        ),
        NetState(Phase.TEST),
    )


@dataclass
class Made:
    """Makes marks up, from the net's weights and the number of each batch, and notes which batches it is asked for."""

    argmax: bool = True
    run: list[int] = field(default_factory=list)

    def marks(
        self,
        net: Net,
        blob: str,
        batches: range,
        *,
        certain: Certain | None = None,
        progress: Callable[[], None] | None = None,
    ) -> Marks:
        seed = int(abs(net["ip"].blobs[0][0, 0]) * 1000)
        parts: list[Marks] = []
        for number in batches:
            self.run.append(number)
            rng = np.random.default_rng([seed, number])
            strict, lenient = rng.random((2, SIZE)) < 0.7
            parts.append(Marks(1, strict, lenient if self.argmax else None))
            if progress:
                progress()
            if certain and certain(Marks.joined(parts)):
                break
        return Marks.joined(parts)


def facts(marks: Marks) -> tuple[object, ...]:
    return marks.batches, marks.seen.tobytes(), None if marks.argmax is None else marks.argmax.tobytes()


def enough(wrong: int) -> Certain:
    """Stop after so many wrong pictures."""
    return lambda marks: int((~marks.seen).sum()) >= wrong


requests = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 4), st.integers(1, 9), st.none() | st.integers(1, 9)),
    min_size=1,
    max_size=8,
)


@given(requests)
@settings(max_examples=150)
def test_a_journal_changes_no_bit(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[int, int, int, int | None]]
) -> None:
    """Whatever was asked before: of the same net or another, on more batches or fewer, until sooner or later."""
    kept = KeptMarks(Made(), Journal(tmp_path_factory.mktemp("journal")), "data")
    for seed, start, count, wrong in asked:
        batches, certain = range(start, start + count), None if wrong is None else enough(wrong)
        found = kept.marks(net(seed), "accuracy", batches, certain=certain)
        assert facts(found) == facts(Made().marks(net(seed), "accuracy", batches, certain=certain))
        if certain:
            assert found.batches == count or certain(found)


def test_only_what_is_not_known_is_run(tmp_path: Path) -> None:
    made = Made()
    kept = KeptMarks(made, Journal(tmp_path), "data")

    def run(batches: range, certain: Certain | None = None) -> list[int]:
        made.run.clear()
        # As another process would.
        KeptMarks(made, Journal(tmp_path), "data").marks(net(), "accuracy", batches, certain=certain)
        return made.run.copy()

    assert run(range(10), lambda marks: marks.batches == 3) == [0, 1, 2]
    assert run(range(10), lambda marks: marks.batches == 2) == []
    assert run(range(6)) == [3, 4, 5]
    assert run(range(10), lambda marks: marks.batches == 8) == [6, 7]
    assert run(range(8)) == []
    assert run(range(3, 5)) == [3, 4], "marks from another batch on are others'"
    assert kept.finished == 0


def test_every_finished_net_counts(tmp_path: Path) -> None:
    kept = KeptMarks(Made(), Journal(tmp_path), "data")
    for seed in (0, 1, 1):
        kept.marks(net(seed), "accuracy", range(3))
    assert kept.finished == 2
    (tmp_path / "file").write_text("")
    full = KeptMarks(Made(), Journal(tmp_path / "file"), "data")
    full.marks(net(), "accuracy", range(3))
    assert full.finished == 0


@pytest.mark.parametrize("known", [0, 2, 6])
def test_progress_is_told_of_every_batch(tmp_path: Path, known: int) -> None:
    kept = KeptMarks(Made(), Journal(tmp_path), "data")
    if known:
        kept.marks(net(), "accuracy", range(known))
    told: list[int] = []
    kept.marks(net(), "accuracy", range(6), progress=lambda: told.append(1))
    assert len(told) == 6


@pytest.mark.parametrize("change", ["net", "blob", "conditions", "start"])
def test_other_nets_blobs_and_conditions_have_marks_of_their_own(tmp_path: Path, change: str) -> None:
    made = Made()
    journal = Journal(tmp_path)
    KeptMarks(made, journal, "data").marks(net(), "accuracy", range(2))
    made.run.clear()
    other = KeptMarks(made, journal, "other" if change == "conditions" else "data")
    start = int(change == "start")
    other.marks(net(int(change == "net")), "top5" if change == "blob" else "accuracy", range(start, start + 2))
    assert made.run == [start, start + 1]


def test_a_stretch_gives_scores() -> None:
    stages: list[int] = []
    told: list[int] = []

    def stage(batches: int) -> AbstractContextManager[Callable[[], None]]:
        stages.append(batches)
        return nullcontext(lambda: told.append(1))

    scorer = Stretch(Made(), "accuracy", range(4, 10), stage)
    whole = scorer(net())
    marks = Made().marks(net(), "accuracy", range(4, 10))
    assert (whole.value, whole.argmax, whole.whole) == (marks.value, marks.argmax_value, True)
    assert (stages, len(told)) == ([6], 6)
    part = scorer(net(), lambda marks: marks.batches == 2)
    assert part.marks is not None
    assert facts(part.marks) == facts(marks.first(2))
    assert not part.whole
    assert scorer(net(), lambda marks: marks.batches == 6).whole


def test_a_net_is_told_by_all_that_its_numbers_depend_on() -> None:
    base = net()
    data, ip, accuracy = base.layers
    fmt = FixedPoint(4, 2)
    changed = [
        replace(ip, blobs=(ip.blobs[0] + 1, ip.blobs[1])),
        replace(ip, blobs=ip.blobs[::-1]),
        replace(ip, op=InnerProduct(4, bias_term=False)),
        replace(ip, tops=("other",)),
        replace(ip, bottoms=("label",)),
        replace(ip, quant=LayerQuant(fmt, None, None)),
        replace(ip, quant=LayerQuant(None, fmt, None)),
        replace(ip, quant=LayerQuant(None, None, FixedPoint(4, 3))),
    ]
    nets = [Net("net", (data, each, accuracy), base.state) for each in changed]
    nets.append(Net("net", (data, ip, replace(accuracy, op=Accuracy(top_k=2))), base.state))
    nets.append(Net("net", (data, ip), base.state))
    assert len({identity(each) for each in [base, *nets]}) == len(nets) + 1


def test_where_data_lie_and_where_a_prototxt_stands_are_no_part_of_a_net() -> None:
    base = net()
    data, ip, accuracy = base.layers
    moved = replace(data, op=Data("elsewhere", 7, "LMDB"), source=3)
    copied = replace(ip, blobs=tuple(blob.copy() for blob in ip.blobs), source=4)
    assert identity(Net("another name", (moved, copied, accuracy), base.state)) == identity(base)
