"""Equalize: the same numbers from weights whose channels are more alike, and what must be left alone is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.caffe.caffemodel import encode_weights
from ristretto.caffe.reader import load_weights, read_model
from ristretto.errors import ModelError
from ristretto.execute import IntegerExecutor
from ristretto.formats import FixedPoint
from ristretto.layers import (
    LRN,
    Concat,
    Convolution,
    Deconvolution,
    DepthwiseConvolution,
    Dropout,
    Eltwise,
    Flatten,
    InnerProduct,
    Input,
    Pooling,
    PReLU,
    ReLU,
    Reshape,
    Sigmoid,
    Softmax,
    Split,
)
from ristretto.net import Layer, LayerQuant, Net, Op, ParamSpec, Phase, Rule, Shape
from ristretto.passes import Equalize, FoldBatchNorm

IN = (2, 4, 9, 9)
DATA = Layer("data", Input((IN,)), tops=("data",))
TRAIN, TEST = (Rule(phase=phase) for phase in (Phase.TRAIN, Phase.TEST))
EQUALIZE = Equalize({})


def uneven(op: Op, bottoms: Sequence[Shape], rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Weights that span some powers of two along the axes of inputs and outputs."""
    blobs = []
    for shape in op.blob_shapes(bottoms):
        spread = np.ones(shape)
        for axis in range(min(len(shape), 2)):
            lengths = [1] * len(shape)
            lengths[axis] = shape[axis]
            spread = spread * np.exp2(rng.uniform(-5, 5, lengths))
        blobs.append((rng.normal(0, 1, shape) * spread).astype(np.float32))
    return tuple(blobs)


def chain(*ops: Op, seed: int = 0, split: bool = False) -> Net:
    """Layers that each read the one before, from ``data`` on; a Concat reads it twice, a Split makes a second top."""
    rng = np.random.default_rng(seed)
    layers, bottom, shape = [DATA], "data", IN
    for number, op in enumerate(ops):
        count = 2 if isinstance(op, Concat) else 1
        tops = (f"t{number}", f"t{number}b") if isinstance(op, Split) else (f"t{number}",)
        blobs = uneven(op, [shape], rng)
        layers.append(Layer(f"l{number}", op, (bottom,) * count, tops, blobs=blobs))
        bottom, shape = tops[-1], op.infer([shape] * count)[0]
        if len(tops) > 1:
            # Both copies are read.
            layers.append(Layer(f"l{number}a", Pooling(global_pooling=True), tops[:1], (f"t{number}p",)))
            last = InnerProduct(2)
            blobs = uneven(last, [(*shape[:2], 1, 1)], rng)
            layers.append(Layer(f"l{number}i", last, (f"t{number}p",), (f"t{number}o",), blobs=blobs))
    return Net("net", tuple(layers))


def outputs(net: Net) -> dict[str, np.ndarray]:
    batch = {"data": np.random.default_rng(9).normal(0, 1, IN).astype(np.float32)}
    return dict(IntegerExecutor(net, {"data": IN}).run(batch).outputs)


def check_same_numbers(before: Net, after: Net) -> None:
    wanted, got = outputs(before.for_phase(Phase.TEST)), outputs(after.for_phase(Phase.TEST))
    assert got.keys() == wanted.keys()
    assert wanted
    for name, value in wanted.items():
        assert np.isfinite(value).all()
        np.testing.assert_array_equal(got[name], value)


def unevenness(layer: Layer) -> float:
    """How far the greatest weights of the outputs lie apart, in powers of two, bias included."""
    rows = np.abs(layer.blobs[0]).reshape(len(layer.blobs[0]), -1).max(axis=1)
    return float(np.ptp(np.log2(np.maximum(rows, np.abs(layer.blobs[1])))))


BETWEEN = st.lists(
    st.sampled_from(
        [
            ReLU(),
            ReLU(negative_slope=0.125),
            PReLU(),
            Pooling(kernel=(2, 2), stride=(1, 1)),
            Pooling(method="AVE", kernel=(3, 3), stride=(1, 1), pad=(1, 1)),
            Dropout(),
            Split(2),
            Concat(),
            Reshape(dims=(0, 0, 0, -1)),
        ]
    ),
    max_size=3,
    unique_by=type,
)
LAST = [
    Convolution(3, (2, 2)),
    Convolution(4, (1, 2), group=2, bias_term=False),
    Deconvolution(4, (2, 3), stride=(2, 1), group=2),
    InnerProduct(3),
    InnerProduct(3, transpose=True, bias_term=False),
]
FIRST = [
    Convolution(6, (3, 3)),
    Convolution(6, (3, 2), group=2, bias_term=False),
    Deconvolution(6, (2, 2), group=2),
    Convolution(6, (1, 1), bias_term=False),
]


@given(
    first=st.sampled_from(FIRST),
    between=BETWEEN,
    depthwise=st.booleans(),
    again=BETWEEN,
    last=st.sampled_from(LAST),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_any_net_computes_the_same_to_the_last_bit(
    first: Op, between: list[Op], depthwise: bool, again: list[Op], last: Op, seed: int
) -> None:
    wide = 12 if any(isinstance(op, Concat) for op in between) else 6
    middle = [DepthwiseConvolution(wide, (2, 2), group=wide), *again] if depthwise else []
    before = chain(first, *between, *middle, last, seed=seed)
    check_same_numbers(before, EQUALIZE(before))


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("last", LAST)
def test_all_that_multiplies_and_accumulates_is_equalized(first: Op, last: Op) -> None:
    before = chain(first, ReLU(), last)
    after = EQUALIZE(before)
    for name in ("l0", "l2"):
        assert not np.array_equal(after[name].blobs[0], before[name].blobs[0])
        assert all(blob.dtype == np.float32 and not blob.flags.writeable for blob in after[name].blobs)


def test_ranges_become_alike() -> None:
    before = chain(Convolution(6, (3, 3)), ReLU(), Convolution(5, (1, 1)))
    after = EQUALIZE(before)
    assert unevenness(before["l0"]) > 5
    assert unevenness(after["l0"]) <= unevenness(before["l0"]) - 2
    # What is left is seen alike from both sides: a channel is as small in the first layer as in the second.
    first = np.maximum(np.abs(after["l0"].blobs[0]).max(axis=(1, 2, 3)), np.abs(after["l0"].blobs[1]))
    greatest = max(np.abs(blob).max() for blob in after["l2"].blobs)
    second = np.abs(after["l2"].blobs[0]).max(axis=(0, 2, 3)) / greatest
    assert np.abs(np.log2(first / first.max() / second)).max() <= 1 + 1e-6
    assert EQUALIZE(after) is after
    # No layer's range grows, so nothing overflows.
    for name in ("l0", "l2"):
        was, now = (max(np.abs(blob).max() for blob in net[name].blobs) for net in (before, after))
        assert now <= was


def test_a_known_factor_is_found() -> None:
    first, second = Convolution(2, (1, 1)), Convolution(1, (1, 1))
    before = chain(first, ReLU(), second)
    weights = np.zeros((2, 4, 1, 1), np.float32)
    weights[:, 0, 0, 0] = 16, 1
    blobs = {
        "l0": (weights, np.array([1, 1], np.float32)),
        "l2": (np.array([1, 1], np.float32).reshape(1, 2, 1, 1), np.array([0.5], np.float32)),
    }
    before = replace(before, layers=tuple(replace(each, blobs=blobs.get(each.name, ())) for each in before))
    after = EQUALIZE(before)
    # The second channel is a sixteenth of the first: a factor of 4 there, a quarter where it is read.
    np.testing.assert_array_equal(after["l0"].blobs[0][:, 0, 0, 0], [16, 4])
    np.testing.assert_array_equal(after["l0"].blobs[1], [1, 4])
    np.testing.assert_array_equal(after["l2"].blobs[0].reshape(-1), [1, 0.25])
    np.testing.assert_array_equal(after["l2"].blobs[1], [0.5])
    tight = Equalize({}, limit=1)(before)
    np.testing.assert_array_equal(tight["l0"].blobs[0][:, 0, 0, 0], [16, 2])
    assert Equalize({}, rounds=0)(before) is before


def test_a_channel_without_weights_is_left_alone() -> None:
    before = chain(Convolution(6, (3, 3)), ReLU(), Convolution(5, (1, 1)))
    first, second = ([blob.copy() for blob in before[name].blobs] for name in ("l0", "l2"))
    first[0][2], first[1][2] = 0, 0
    second[0][:, 3] = 0
    blobs = {"l0": tuple(first), "l2": tuple(second)}
    before = replace(before, layers=tuple(replace(each, blobs=blobs.get(each.name, ())) for each in before))
    after = EQUALIZE(before)
    np.testing.assert_array_equal(after["l0"].blobs[0][[2, 3]], first[0][[2, 3]])
    np.testing.assert_array_equal(after["l2"].blobs[0][:, [2, 3]], second[0][:, [2, 3]])
    check_same_numbers(before, after)


def test_readers_take_what_they_see_of_joined_channels() -> None:
    rng = np.random.default_rng(5)
    conv, join = Convolution(3, (1, 1)), Concat()
    layers = [
        DATA,
        *(Layer(n, conv, ("data",), (n,), blobs=uneven(conv, [IN], rng)) for n in ("a", "b")),
        Layer("join", join, ("a", "b"), ("ab",)),
        Layer("relu", ReLU(), ("ab",), ("ab",)),
    ]
    for name in ("one", "two"):
        reader = InnerProduct(2)
        layers.append(Layer(name, reader, ("ab",), (name,), blobs=uneven(reader, [(2, 6, 9, 9)], rng)))
    before = Net("net", tuple(layers))
    after = EQUALIZE(before)
    assert all(after[n] is not before[n] for n in ("a", "b", "one", "two"))
    check_same_numbers(before, after)


def with_layer(net: Net, name: str, **words: object) -> Net:
    return replace(net, layers=tuple(replace(each, **words) if each.name == name else each for each in net))  # type: ignore[arg-type]


def plus(net: Net, *layers: Layer) -> Net:
    return replace(net, layers=(*net.layers, *layers))


PLAIN = chain(Convolution(6, (3, 3)), ReLU(), Convolution(6, (1, 1)))
EIGHT = FixedPoint(8, 4)
AUX = InnerProduct(2)
AUX_LAYER = Layer("aux", AUX, ("t1",), ("aux",), blobs=uneven(AUX, [(2, 6, 7, 7)], np.random.default_rng(1)))
BLOCKED = {
    "a function that bends": chain(Convolution(6, (3, 3)), Sigmoid(), Convolution(5, (1, 1))),
    "channels that mix": chain(Convolution(6, (3, 3)), LRN(), Convolution(5, (1, 1))),
    "a net's output": chain(Convolution(6, (3, 3)), ReLU()),
    "an output beside the reader": plus(PLAIN, Layer("more", ReLU(), ("t0",), ("more",))),
    "a softmax beside the reader": plus(PLAIN, Layer("more", Softmax(), ("t1",), ("more",))),
    "a sum": plus(chain(Convolution(6, (3, 3)), ReLU()), Layer("sum", Eltwise(), ("t0", "t1"), ("sum",))),
    "places of maxima": with_layer(
        chain(Convolution(6, (3, 3)), Pooling(kernel=(2, 2), places=True), Convolution(5, (1, 1))),
        "l1",
        tops=("t1", "p"),
    ),
    "a random choice": chain(
        Convolution(6, (3, 3)), Pooling(method="STOCHASTIC", kernel=(2, 2)), Convolution(5, (1, 1))
    ),
    "a maximum of no number": chain(Convolution(6, (3, 3)), Pooling(kernel=(1, 1), stride=(3, 5)), InnerProduct(2)),
    "channels laid out otherwise": chain(Convolution(6, (3, 3)), Flatten(), InnerProduct(2)),
    "rows of another axis": chain(Convolution(6, (3, 3)), ReLU(), InnerProduct(3, axis=2)),
    "another axis joined": chain(Convolution(6, (3, 3)), Concat(axis=2), Convolution(5, (1, 1))),
    "shared weights": plus(
        with_layer(PLAIN, "l0", params=(ParamSpec("w"),)),
        Layer("twin", Convolution(6, (3, 3)), ("data",), ("twin",), blobs=PLAIN["l0"].blobs, params=(ParamSpec("w"),)),
    ),
    "a reader's shared weights": plus(
        with_layer(PLAIN, "l2", params=(ParamSpec("w"),)),
        Layer("twin", Convolution(6, (1, 1)), ("t1",), ("twin",), blobs=PLAIN["l2"].blobs, params=(ParamSpec("w"),)),
    ),
    "a writer with a format": with_layer(PLAIN, "l0", quant=LayerQuant(EIGHT, EIGHT, EIGHT)),
    "a reader with a format": with_layer(PLAIN, "l2", quant=LayerQuant(EIGHT, EIGHT, EIGHT)),
    "a reader that works in place": with_layer(PLAIN, "l2", tops=("t1",)),
    "a reader in training alone": plus(PLAIN, replace(AUX_LAYER, include=(TRAIN,))),
    "a reader at a stage alone": plus(PLAIN, replace(AUX_LAYER, include=(Rule(stages=frozenset({"see"})),))),
    "a function that bends in training": plus(
        with_layer(PLAIN, "l1", include=(TEST,)),
        Layer("l1", Sigmoid(), ("t0",), ("t1",), include=(TRAIN,)),
    ),
    "a reader that reads something else in training": replace(
        PLAIN,
        layers=(
            *(replace(each, include=(TEST,)) if each.name in ("l0", "l1") else each for each in PLAIN.layers[:-1]),
            Layer("other", Reshape(dims=(2, 6, 9, 6)), ("data",), ("t1",), include=(TRAIN,)),
            PLAIN.layers[-1],
        ),
    ),
    "training alone": replace(PLAIN, layers=(DATA, *(replace(e, include=(TRAIN,)) for e in PLAIN.layers[1:]))),
}


@pytest.mark.parametrize("name", BLOCKED)
def test_what_must_not_change_stays_the_very_same(name: str) -> None:
    assert EQUALIZE(BLOCKED[name]) is BLOCKED[name]


def test_the_plain_net_of_these_cases_is_equalized() -> None:
    assert EQUALIZE(PLAIN) is not PLAIN
    assert EQUALIZE(plus(PLAIN, AUX_LAYER)) is not PLAIN


def test_layers_of_one_name_get_the_same_weights_in_every_phase() -> None:
    twice = [replace(each, include=(rule,)) for rule in (TRAIN, TEST) for each in PLAIN.layers[1:]]
    data = [
        Layer("train data", Input(((4, 4, 9, 9),)), tops=("data",), include=(TRAIN,)),
        replace(DATA, include=(TEST,)),
    ]
    after = EQUALIZE(Net("net", (*data, *twice)))
    for each in after:
        for blob, expected in zip(each.blobs, EQUALIZE(PLAIN)[each.name].blobs if each.blobs else (), strict=True):
            np.testing.assert_array_equal(blob, expected)


def test_the_net_of_one_phase_is_taken_as_it_is() -> None:
    before = plus(PLAIN, replace(AUX_LAYER, include=(TRAIN,)))
    test = before.for_phase(Phase.TEST)
    assert EQUALIZE(test) is not test
    check_same_numbers(test, EQUALIZE(test))


def test_flattened_single_pixels_are_followed() -> None:
    before = chain(Convolution(6, (9, 9)), Flatten(), ReLU(), InnerProduct(3))
    after = EQUALIZE(before)
    assert after is not before
    check_same_numbers(before, after)


def test_missing_weights_are_refused() -> None:
    with pytest.raises(ModelError, match="layer 'l2': no weights"):
        EQUALIZE(with_layer(PLAIN, "l2", blobs=()))


@pytest.mark.parametrize("wrong", [np.inf, np.nan])
@pytest.mark.parametrize("name", ["l0", "l2"])
def test_weights_that_are_not_finite_stay_where_they_are(name: str, wrong: float) -> None:
    weights = PLAIN[name].blobs[0].copy()
    weights[0, 0] = wrong
    net = with_layer(PLAIN, name, blobs=(weights, PLAIN[name].blobs[1]))
    assert EQUALIZE(net) is net


@pytest.mark.shared
@pytest.mark.parametrize(
    ("folder", "weights", "inputs", "links"),
    [
        ("resnet20_cifar10", "resnet20.caffemodel", {"Data1": (4, 3, 32, 32), "Data2": (4,)}, 18),
        ("squeezenet_v1.0", "*.caffemodel", {"data": (1, 3, 227, 227), "label": (1,)}, 26),
    ],
)
def test_real_nets_compute_the_same(
    shared: Path, tmp_path: Path, folder: str, weights: str, inputs: dict[str, Shape], links: int
) -> None:
    (file,) = (shared / "data" / "models" / folder).glob(weights)
    read = read_model(file.parent / "train_val.prototxt").net
    before = FoldBatchNorm()(load_weights(read, file))
    after = Equalize(inputs)(before)
    assert len({new.name for new, old in zip(after, before, strict=True) if new is not old}) == links
    path = tmp_path / "equalized.caffemodel"
    path.write_bytes(encode_weights(after))
    again = load_weights(before, path)
    rng = np.random.default_rng(1)
    batch = {
        name: (rng.normal(0, 60, shape) if len(shape) > 1 else np.zeros(shape)).astype(np.float32)
        for name, shape in inputs.items()
    }
    # What the score reads.
    test = before.for_phase(Phase.TEST)
    (score, *_) = (layer for layer in test if layer.op.higher_is_better)
    kept = test.version(score.bottoms[0], before=score)
    wanted, got = (
        IntegerExecutor(net.for_phase(Phase.TEST), inputs, keep=[kept]).run(batch).kept[kept] for net in (before, again)
    )
    np.testing.assert_array_equal(got, wanted)
