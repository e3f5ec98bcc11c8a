"""A net in two halves gives the bits of the whole, wherever it is cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.caffe.reader import read_model
from ristretto.execute import Executor, IntegerExecutor, Run, SimulateExecutor
from ristretto.execute.prefix import begins_alike, cut, place_of_last_part, spelled_out
from ristretto.formats import EMULATIONS, EXACT, Arithmetic, FixedPoint
from ristretto.layers import (
    Accuracy,
    Convolution,
    Eltwise,
    Flatten,
    InnerProduct,
    Input,
    Power,
    ReLU,
    Softmax,
    Split,
)
from ristretto.net import Layer, LayerQuant, Net, Phase, QuantSpec
from ristretto.net.op import Array, Shape
from ristretto.passes import InitWeights, QuantizeLayers
from tests.execute.nets import nets, other_quants, partial_quants, values

EXECUTORS = (IntegerExecutor, SimulateExecutor)
RNG = np.random.default_rng(11)
FOUR = LayerQuant(FixedPoint(4, 1), FixedPoint(4, 0), FixedPoint(4, 2))
EIGHT = LayerQuant(FixedPoint(8, 2), FixedPoint(8, 3), FixedPoint(8, 5))
X = {"data": RNG.normal(0, 2, (2, 2, 4, 4)).astype(np.float32), "label": np.float32([1, 0])}
Batch = Mapping[str, Array]


def pictures(run: Run) -> dict[str, dict[str, list[bool]]]:
    """Give what each picture adds to which output."""
    return {blob: {name: seen.tolist() for name, seen in by.items()} for blob, by in run.pictures.items()}


def in_halves(
    kind: type[Executor], net: Net, place: int, batch: Batch, inputs: Mapping[str, Shape], arithmetic: Arithmetic
) -> Run:
    """Run the halves of a net one after the other, keeping every value in each."""
    halves = cut(net, place, inputs)
    known = set(values(net))
    both = []
    for half, fed in ((halves.head, inputs), (halves.tail, {})):
        both.append(kind(half, fed, keep=known.intersection(values(half)), arithmetic=arithmetic))
    head = both[0].run(batch)
    tail = both[1].run(halves.handed(head))
    assert not head.kept.keys() & tail.kept.keys()
    return replace(halves.joined(head, tail), kept={**head.kept, **tail.kept})


def check_same(
    net: Net,
    batch: Batch,
    places: Sequence[int] | None = None,
    *,
    inputs: Mapping[str, Shape] | None = None,
    arithmetic: Arithmetic = EXACT,
    kinds: Sequence[type[Executor]] = EXECUTORS,
) -> None:
    """Compare all values, outputs and companions of a net with those of its halves; by default of all that it has."""
    inputs = inputs or {}
    net = spelled_out(net, inputs, arithmetic)
    for kind in kinds:
        whole = kind(net, inputs, keep=values(net), arithmetic=arithmetic).run(batch)
        for place in range(len(net.layers) + 1) if places is None else places:
            found = in_halves(kind, net, place, batch, inputs, arithmetic)
            assert list(found.outputs) == list(whole.outputs)
            assert found.companions == whole.companions
            assert pictures(found) == pictures(whole)
            for mine, other in ((found.outputs, whole.outputs), (found.kept, whole.kept)):
                assert mine.keys() == other.keys()
                for name, value in mine.items():
                    assert value.dtype == other[name].dtype
                    assert value.tobytes() == other[name].tobytes(), (kind.name, place, name)


def conv(name: str, bottom: str, quant: LayerQuant | None = FOUR) -> Layer:
    blobs = (RNG.normal(size=(2, 2, 1, 1)).astype(np.float32), RNG.normal(size=2).astype(np.float32))
    return Layer(name, Convolution(2, (1, 1)), (bottom,), (name,), blobs, quant=quant)


def ip(name: str, bottom: str, quant: LayerQuant | None = FOUR, inputs: int = 32) -> Layer:
    blobs = (RNG.normal(size=(3, inputs)).astype(np.float32), RNG.normal(size=3).astype(np.float32))
    return Layer(name, InnerProduct(3), (bottom,), (name,), blobs, quant=quant)


def accuracy(bottom: str, name: str = "accuracy") -> Layer:
    return Layer(name, Accuracy(), (bottom, "label"), (name,))


DATA = Layer("data", Input((X["data"].shape, X["label"].shape)), (), ("data", "label"))
WIRED: dict[str, tuple[Layer, ...]] = {
    "a trim of what is read again": (conv("a", "data"), conv("b", "a"), ip("c", "a"), ip("d", "data")),
    "a residual": (
        conv("a", "data"),
        Layer("relu", ReLU(), ("a",), ("a",)),
        conv("b", "a", EIGHT),
        Layer("sum", Eltwise("SUM"), ("a", "b"), ("sum",)),
        Layer("rectified", ReLU(), ("sum",), ("sum",)),
        ip("c", "sum"),
        accuracy("c"),
    ),
    "two trims of one blob": (conv("a", "data", EIGHT), conv("b", "a"), conv("c", "a", EIGHT), ip("d", "a")),
    "shared memory, trimmed": (
        Layer("split", Split(3), ("data",), ("one", "two", "three")),
        conv("a", "two"),
        conv("b", "three", EIGHT),
        Layer("late", Power(scale=2.0), ("one",), ("late",)),
        Layer("later", Power(scale=0.5), ("data",), ("later",)),
    ),
    "shared memory, changed in place": (
        conv("a", "data"),
        Layer("split", Split(2), ("a",), ("one", "two")),
        Layer("once", Power(scale=-3.0), ("two",), ("once",)),
        Layer("relu", ReLU(), ("one",), ("one",)),
        Layer("twice", Power(scale=2.0), ("two",), ("twice",)),
        Layer("thrice", Power(scale=3.0), ("a",), ("thrice",)),
    ),
    "shared memory that is an output": (
        Layer("split", Split(2), ("data",), ("one", "two")),
        Layer("relu", ReLU(), ("data",), ("data",)),
    ),
    "another shape in place": (
        conv("a", "data"),
        Layer("flat", Flatten(), ("a",), ("a",)),
        Layer("relu", ReLU(), ("a",), ("a",)),
        ip("b", "a"),
    ),
    "scores on both sides": (
        conv("a", "data"),
        ip("early", "a"),
        accuracy("early", "accuracy1"),
        conv("b", "a", EIGHT),
        ip("late", "b"),
        Layer("prob", Softmax(), ("late",), ("prob",)),
        accuracy("late", "accuracy2"),
    ),
    "a score that is changed in place": (
        ip("a", "data"),
        accuracy("a"),
        Layer("shifted", Power(shift=1.0), ("accuracy",), ("accuracy",)),
        conv("b", "data"),
        ip("c", "b"),
        accuracy("c", "kept"),
    ),
    "names that the halves would like to have": (
        replace(conv("head", "data"), tops=("a at the cut",)),
        replace(conv("a", "a at the cut"), tops=("a",)),
        conv("b", "a"),
        ip("c", "a"),
        ip("d", "a at the cut"),
    ),
    "data layers behind others": (
        conv("a", "data"),
        Layer("more", Input(((2, 3),)), (), ("more",)),
        ip("c", "a"),
        Layer("sum", Eltwise("SUM"), ("c", "more"), ("sum",)),
    ),
}


@pytest.mark.parametrize("arithmetic", [EXACT, *EMULATIONS.values()])
@pytest.mark.parametrize("name", WIRED)
def test_halves_of_every_wiring(name: str, arithmetic: Arithmetic) -> None:
    batch = X | {"more": np.float32([[1, -2, 3], [0.5, 0, 9]])}
    check_same(Net(name, (DATA, *WIRED[name])).for_phase(Phase.TEST), batch, arithmetic=arithmetic)


@given(nets(), st.sampled_from((EXACT, *EMULATIONS.values())))
@settings(max_examples=40)
def test_halves_of_random_nets(job, arithmetic: Arithmetic) -> None:
    check_same(*job, arithmetic=arithmetic)


@given(nets(quants=other_quants()))
@settings(max_examples=30)
def test_halves_with_other_formats(job) -> None:
    check_same(*job)


@given(nets(quants=partial_quants(32), longest=8))
@settings(max_examples=60)
def test_halves_with_places_left_in_float(job) -> None:
    check_same(*job)


ZOO = {
    "lenet": (1, 28),
    "cifar10_full": (3, 32),
    "cifar10_quick": (3, 32),
    "googlenet": (3, 224),
    "resnet50": (3, 224),
    "squeezenet_v1.1": (3, 227),
}
"""Channels and side of the pictures. AlexNet and VGG have the wiring of these and many times the weights."""


def filled(repo: Path, name: str) -> tuple[Net, dict[str, np.ndarray]]:
    """Give a net of the zoo, its weights from its fillers, and a batch of two pictures."""
    channels, side = ZOO[name]
    net = read_model(repo / "models" / name / "train_val.prototxt").net.for_phase(Phase.TEST)
    batch = {
        "data": np.random.default_rng(3).normal(0, 40, (2, channels, side, side)).astype(np.float32),
        "label": np.float32([3, 7]),
    }
    return InitWeights(inputs={blob: value.shape for blob, value in batch.items()})(net), batch


def with_formats(net: Net, quant: LayerQuant, types: Sequence[str] = ("Convolution", "InnerProduct")) -> Net:
    return QuantizeLayers(QuantSpec("", {layer.name: quant for layer in net if layer.op.type in types}))(net)


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_halves_of_real_nets(repo: Path, name: str) -> None:
    """In float, with only the inner products' weights condensed, and altogether; at three places and the last part."""
    net, batch = filled(repo, name)
    inputs = {blob: value.shape for blob, value in batch.items()}
    places = {place_of_last_part(net), *np.random.default_rng(1).choice(np.arange(1, len(net.layers)), 3).tolist()}
    quants = (
        with_formats(net, LayerQuant(None, None, FixedPoint(4, 5)), ["InnerProduct"]),
        with_formats(net, LayerQuant(FixedPoint(8, 0), FixedPoint(8, -1), FixedPoint(8, 8))),
    )
    for condensed in (net, *quants):
        check_same(condensed, batch, sorted(places - {0}), inputs=inputs, kinds=[IntegerExecutor])


def test_the_last_part_to_begin() -> None:
    def place(*layers: Layer) -> int:
        return place_of_last_part(Net("net", (DATA, *layers)))

    assert place(conv("a", "data"), conv("b", "a"), ip("c", "b"), ip("d", "c", inputs=3)) == 3
    assert place(conv("a", "data"), ip("b", "a"), conv("c", "a"), ip("d", "c")) == 2
    assert place(ip("a", "data"), conv("b", "data")) == 2
    assert place(conv("a", "data"), conv("b", "a")) == 0, "nothing to multiply before it"
    assert place(Layer("relu", ReLU(), ("data",), ("data",))) == 0


def test_halves_know_their_names() -> None:
    """A blob that the head reads, too, leaves it under a name that is free; the others keep theirs."""
    net = Net("net", (DATA, *WIRED["names that the halves would like to have"])).for_phase(Phase.TEST)
    halves = cut(net, 4, {})
    assert dict(halves.handed_on) == {"a": "a at the cut'", "a at the cut": "a at the cut at the cut"}
    assert halves.finished == ("b", "label")
    assert [layer.name for layer in halves.tail] == ["head'", "c", "d"]
    assert halves.tail.layers[0].tops == ("a", "a at the cut")


ALIKE = Net("net", (DATA, conv("a", "data", None), ip("b", "a", None)))


@pytest.mark.parametrize(
    ("change", "alike"),
    [
        ({}, True),
        ({"blobs": ALIKE["a"].blobs}, True),
        ({"blobs": tuple(blob.copy() for blob in ALIKE["a"].blobs)}, False),
        ({"blobs": ALIKE["a"].blobs[:1]}, False),
        ({"op": Convolution(2, (1, 1), (1, 1))}, True),
        ({"op": Convolution(2, (1, 1), (2, 2))}, False),
        ({"quant": FOUR}, False),
        ({"tops": ("c",)}, False),
        ({"bottoms": ("label",)}, False),
        ({"name": "c"}, False),
    ],
)
def test_nets_that_begin_alike(change: dict[str, object], alike: bool) -> None:
    data, a, b = ALIKE.layers
    other = Net("net", (replace(data), replace(a, **change), replace(b, quant=FOUR)))  # type: ignore[arg-type]
    assert begins_alike(ALIKE, other, 2) is begins_alike(other, ALIKE, 2) is alike
    assert begins_alike(ALIKE, other, 1)
    assert not begins_alike(ALIKE, other, 3)
    assert not begins_alike(ALIKE, Net("net", (data,)), 2)
