"""FoldBatchNorm: the same outputs with fewer layers, and what stays is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.caffe.reader import load_weights, read_model
from ristretto.errors import ModelError
from ristretto.execute import FloatExecutor
from ristretto.formats import FixedPoint
from ristretto.layers import BatchNorm, Bias, Convolution, Deconvolution, Eltwise, InnerProduct, Input, ReLU, Scale
from ristretto.layers.coverage import Coverage
from ristretto.net import Layer, LayerQuant, Net, Op, ParamSpec, Phase, Rule
from ristretto.passes import FoldBatchNorm

IN = (2, 4, 5, 5)
TRAIN, TEST = (Rule(phase=phase) for phase in (Phase.TRAIN, Phase.TEST))
CONV = Convolution(6, (3, 3))
BEHIND = "the layer before it stays"
DIFFERENT = "the phases differ in it, or in what stands before it"
NUMBERS = "its numbers are not one for each channel, or they are the batch's"
NOTHING = "the layer before it has no weights that could take it up"


def float32(array: object) -> np.ndarray:
    return np.asarray(array, np.float32)


def weights_of(op: Op, bottom: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Weights that make sense: variances and their weight are positive."""
    blobs = [float32(rng.normal(0, 1, shape)) for shape in op.blob_shapes([bottom])]
    if isinstance(op, BatchNorm):
        blobs[1:] = [np.abs(blobs[1]) + float32(0.1), float32([rng.uniform(0.5, 3)])]
    return tuple(blobs)


def layer(name: str, op: Op, bottom: str, top: str, shape: tuple[int, ...] = (2, 6, 3, 3), **words: object) -> Layer:
    """A layer with weights that its name decides, so that layers of one name have the same."""
    rng = np.random.default_rng(sum(name.encode()))
    return Layer(name, op, (bottom,), (top,), blobs=weights_of(op, shape, rng), **words)


DATA = Layer("data", Input((IN,)), tops=("data",))


def conv(**words: object) -> Layer:
    return layer("conv", words.pop("op", CONV), "data", "conv", IN, **words)


def norm(name: str = "bn", bottom: str = "conv", top: str = "conv", **words: object) -> Layer:
    return layer(name, words.pop("op", BatchNorm()), bottom, top, **words)


def net(*layers: Layer) -> Net:
    return Net("net", (DATA, *layers))


def outputs(of: Net, data: np.ndarray) -> dict[str, np.ndarray]:
    """The output blobs in float64, layer by layer, by each operation's plain forward."""
    blobs = {"data": data}
    for item in of:
        if not item.op.is_data:
            bottoms = [blobs[name].astype(np.float64) for name in item.bottoms]
            tops = item.op.forward(bottoms, [blob.astype(np.float64) for blob in item.blobs])
            blobs.update(zip(item.tops, tops, strict=True))
    return {name: blobs[name] for name in of.outputs}


def check_equal(before: Net, after: Net) -> None:
    data = np.random.default_rng(5).normal(0, 1, IN)
    wanted, got = outputs(before, data), outputs(after, data)
    assert got.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-5, atol=1e-5 * np.abs(value).max())


MACS = st.sampled_from(
    [
        CONV,
        Convolution(6, (3, 2), group=2, bias_term=False),
        Deconvolution(6, (2, 3), stride=(2, 1), group=2),
        Deconvolution(6, (2, 2), bias_term=False),
        InnerProduct(6),
        InnerProduct(6, transpose=True, bias_term=False),
    ]
)
FOLLOWERS = st.sampled_from(
    [
        BatchNorm(),
        BatchNorm(eps=0.5, use_global_stats=True),
        Scale(),
        Scale(bias_term=True),
        Scale(Coverage(axis=0, num_axes=0), bias_term=True),
        Bias(),
    ]
)


@given(
    mac=MACS,
    chain=st.lists(st.tuples(FOLLOWERS, st.booleans()), min_size=1, max_size=4),
    seed=st.integers(0, 99),
    tail=st.sampled_from(["none", "in place", "reader"]),
)
def test_any_chain_goes_into_the_weights(mac: Op, chain: list[tuple[Op, bool]], seed: int, tail: str) -> None:
    rng = np.random.default_rng(seed)
    shape = mac.infer([IN])[0]
    layers = [DATA, Layer("mac", mac, ("data",), ("t0",), blobs=weights_of(mac, IN, rng))]
    for number, (op, in_place) in enumerate(chain):
        bottom = layers[-1].tops[0]
        top = bottom if in_place else f"t{number + 1}"
        layers.append(Layer(f"a{number}", op, (bottom,), (top,), blobs=weights_of(op, shape, rng)))
    last = layers[-1].tops[0]
    if tail != "none":
        layers.append(Layer("relu", ReLU(), (last,), (last if tail == "in place" else "end",)))
    before = Net("net", tuple(layers))
    after = FoldBatchNorm()(before)
    assert [item.name for item in after] == ["data", "mac", *(["relu"] if tail != "none" else [])]
    assert after["mac"].tops == (last,)
    assert all(blob.dtype == np.float32 and not blob.flags.writeable for blob in after["mac"].blobs)
    check_equal(before, after)
    after.for_phase(Phase.TEST).shapes({})
    assert FoldBatchNorm()(after) is after


def test_weights_are_rounded_once_from_float64() -> None:
    before = net(conv(), norm(), layer("scale", Scale(bias_term=True), "conv", "conv"))
    weights, bias = (blob.astype(np.float64) for blob in before["conv"].blobs)
    means, variances, count = (blob.astype(np.float64) for blob in before["bn"].blobs)
    gamma, beta = (blob.astype(np.float64) for blob in before["scale"].blobs)
    deviation = np.sqrt(variances / count + 1e-5)
    after = FoldBatchNorm()(before)["conv"]
    exact = weights * (gamma / deviation)[:, None, None, None]
    np.testing.assert_array_almost_equal_nulp(after.blobs[0], float32(exact), 1)
    assert np.abs(after.blobs[0] - exact).max() <= np.spacing(np.abs(after.blobs[0]).max()) * 0.51
    np.testing.assert_allclose(after.blobs[1], (bias - means / count) * gamma / deviation + beta, rtol=1e-6)


def test_a_bias_comes_in_only_where_it_is_needed() -> None:
    bare = replace(CONV, bias_term=False)
    with_bias = FoldBatchNorm()(net(conv(op=bare), norm()))["conv"]
    assert (with_bias.op, len(with_bias.blobs), with_bias.blobs[1].shape) == (CONV, 2, (6,))
    without = FoldBatchNorm()(net(conv(op=bare), layer("scale", Scale(), "conv", "conv")))["conv"]
    assert (without.op, len(without.blobs)) == (bare, 1)


def test_a_bias_of_an_old_file_keeps_its_four_axes() -> None:
    old = conv()
    old = replace(old, blobs=(old.blobs[0], old.blobs[1].reshape(1, 1, 1, -1)))
    assert FoldBatchNorm()(net(old, norm()))["conv"].blobs[1].shape == (1, 1, 1, 6)


def eltwise(*bottoms: str) -> Layer:
    return Layer("sum", Eltwise(), bottoms, ("sum",))


HALF = layer("half", Scale(Coverage(axis=1, num_axes=2)), "conv", "conv")
ROWS = Layer(
    "rows",
    InnerProduct(6, axis=2),
    ("data",),
    ("conv",),
    blobs=weights_of(InnerProduct(6), IN, np.random.default_rng(2)),
)
EIGHT = FixedPoint(8, 4)

LEFT: dict[str, tuple[Sequence[Layer], dict[str, tuple[str, ...]]]] = {
    "before a convolution": (
        [norm(op=BatchNorm(), bottom="data", top="bn", shape=IN), layer("conv", CONV, "bn", "conv", IN)],
        {NOTHING: ("bn",)},
    ),
    "behind a ReLU": ([conv(), Layer("relu", ReLU(), ("conv",), ("conv",)), norm()], {NOTHING: ("bn",)}),
    "another reader": ([conv(), norm(top="bn"), eltwise("conv", "bn")], {"other layers read the same blob": ("bn",)}),
    "another reader before it works in place": (
        [conv(), Layer("relu", ReLU(), ("conv",), ("relu",)), norm(), eltwise("conv", "relu")],
        {"other layers read the same blob": ("bn",)},
    ),
    "the batch's own statistics": (
        [conv(), norm(op=BatchNorm(use_global_stats=False)), layer("scale", Scale(), "conv", "conv")],
        {NUMBERS: ("bn",), BEHIND: ("scale",)},
    ),
    "a factor for each row": ([conv(), HALF], {NUMBERS: ("half",)}),
    "factors from a blob": (
        [conv(), Layer("scale", Scale(), ("conv", "data"), ("scale",))],
        {"it reads several blobs": ("scale",)},
    ),
    "an inner product over another axis": ([ROWS, norm()], {NOTHING: ("bn",)}),
    "quantized": (
        [conv(quant=LayerQuant(EIGHT, EIGHT, EIGHT)), norm()],
        {"the layer before it is quantized": ("bn",)},
    ),
    "shared weights": (
        [
            conv(params=(ParamSpec("w"),)),
            norm(),
            replace(conv(params=(ParamSpec("w"),)), name="twin", tops=("twin",)),
        ],
        {"the layer before it shares its weights": ("bn",)},
    ),
    "training alone": (
        [conv(include=(TRAIN,)), norm(include=(TRAIN,))],
        {"it takes part in training alone": ("bn",)},
    ),
    "a layer of its name elsewhere": (
        [conv(include=(TEST,)), norm(include=(TEST,)), norm(bottom="data", top="bn", shape=IN, include=(TRAIN,))],
        {DIFFERENT: ("bn",)},
    ),
    "in one phase only": ([conv(), norm(include=(TEST,))], {DIFFERENT: ("bn",)}),
    "in place in one phase only": (
        [
            conv(),
            norm(include=(TEST,)),
            norm(top="bn", include=(TRAIN,)),
            Layer("relu", ReLU(), ("bn",), ("end",), include=(TRAIN,)),
        ],
        {DIFFERENT: ("bn",)},
    ),
    "another reader at a stage": (
        [conv(), norm(top="bn"), Layer("r", ReLU(), ("conv",), ("r",), include=(Rule(stages=frozenset({"see"})),))],
        {DIFFERENT: ("bn",)},
    ),
    "a data layer of its name": (
        [
            Layer("conv", Input(((2, 6, 3, 3),)), tops=("conv",), include=(TEST,)),
            replace(conv(), include=(TRAIN,)),
            norm(),
        ],
        {DIFFERENT: ("bn",)},
    ),
    "convolutions that differ": (
        [conv(include=(TEST,)), conv(op=replace(CONV, num_output=5), include=(TRAIN,)), norm()],
        {DIFFERENT: ("bn",)},
    ),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_cannot_be_folded_stays_and_is_told(name: str) -> None:
    layers, left = LEFT[name]
    before = net(*layers)
    assert FoldBatchNorm()(before) is before
    plan = FoldBatchNorm().plan(before)
    assert plan.left == left
    assert not plan.folds


def test_a_chain_is_folded_as_far_as_it_goes() -> None:
    before = net(conv(), norm(top="bn"), replace(HALF, bottoms=("bn",), tops=("half",)))
    after = FoldBatchNorm()(before)
    assert [item.name for item in after] == ["data", "conv", "half"]
    check_equal(before, after)
    assert FoldBatchNorm().plan(before).left == {NUMBERS: ("half",)}


def test_a_layer_with_a_form_for_each_phase_goes_as_a_whole() -> None:
    forms = [
        norm(op=BatchNorm(use_global_stats=False), include=(TRAIN,)),
        norm(op=BatchNorm(use_global_stats=True), include=(TEST,)),
    ]
    before = net(conv(include=(TEST,)), conv(include=(TRAIN,)), *forms, layer("scale", Scale(), "conv", "conv"))
    after = FoldBatchNorm()(before)
    assert [item.name for item in after] == ["data", "conv", "conv"]
    np.testing.assert_array_equal(after.layers[1].blobs[0], after.layers[2].blobs[0])
    check_equal(before.for_phase(Phase.TEST), after.for_phase(Phase.TEST))
    after.for_phase(Phase.TRAIN)


def test_layers_of_one_phase_leave_the_other_alone() -> None:
    before = net(conv(), norm(), Layer("relu", ReLU(), ("conv",), ("end",), include=(TRAIN,)))
    assert [item.name for item in FoldBatchNorm()(before)] == ["data", "conv", "relu"]


def test_the_net_of_one_phase_is_folded_by_what_it_does_there() -> None:
    before = net(conv(), norm())
    assert len(FoldBatchNorm()(before.for_phase(Phase.TEST)).layers) == 2
    train = before.for_phase(Phase.TRAIN)
    assert FoldBatchNorm()(train) is train
    fixed = net(conv(), norm(op=BatchNorm(use_global_stats=True))).for_phase(Phase.TRAIN)
    assert len(FoldBatchNorm()(fixed).layers) == 2


def test_plans_are_put_in_words() -> None:
    plan = FoldBatchNorm().plan(net(conv(), norm(), layer("scale", Scale(), "conv", "conv")))
    assert plan.summary == "2 BatchNorm and Scale layers"
    assert plan.remarks == ()
    relu = Layer("relu", ReLU(), ("conv",), ("conv",))
    many = FoldBatchNorm().plan(net(conv(), relu, *(norm(f"bn{number}") for number in range(5))))
    assert many.remarks == (
        f"layer 'bn0' not folded: {NOTHING}",
        f"layer 'bn1', 'bn2', 'bn3' and 1 more not folded: {BEHIND}",
    )


@pytest.mark.parametrize(
    ("layers", "fault"),
    [
        ([replace(conv(), blobs=()), norm()], "layer 'conv': no weights"),
        ([conv(), replace(norm(), blobs=())], "layer 'bn': no weights"),
        ([replace(conv(), blobs=conv().blobs[:1]), norm()], "layer 'conv': 1 weight blobs where 2 are needed"),
        (
            [replace(conv(), blobs=(float32(np.ones((5, 4, 3, 3))), float32(np.ones(5)))), norm()],
            "layer 'conv': weights of shapes (5, 4, 3, 3), (5,) for 6 outputs",
        ),
        (
            [replace(conv(), op=replace(CONV, num_output=1 << 40)), norm()],
            f"layer 'conv': weights of shape (6, 4, 3, 3) for {1 << 40} outputs",
        ),
        (
            [conv(), replace(norm(), blobs=(*norm().blobs[:1], float32([-1] * 6), float32([1])))],
            "layer 'conv': its weights are not finite with 'bn' folded in",
        ),
        (
            [conv(), replace(layer("scale", Scale(), "conv", "conv"), blobs=(float32([3e38] * 6),)), norm()],
            "layer 'conv': its weights are not finite with 'scale', 'bn' folded in",
        ),
    ],
)
def test_weights_that_cannot_be_are_refused(layers: list[Layer], fault: str) -> None:
    with pytest.raises(ModelError) as caught:
        FoldBatchNorm()(net(*layers))
    assert str(caught.value) == fault


@pytest.mark.shared
def test_resnet_is_folded_whole_and_computes_the_same(shared: Path) -> None:
    folder = shared / "data" / "models" / "resnet20_cifar10"
    whole = load_weights(read_model(folder / "train_val.prototxt").net, folder / "resnet20.caffemodel")
    folded = FoldBatchNorm()(whole)
    assert len(whole.layers) - len(folded.layers) == 42
    assert not FoldBatchNorm().plan(whole).left
    rng = np.random.default_rng(1)
    batch = {"Data1": float32(rng.normal(0, 60, (8, 3, 32, 32))), "Data2": float32(np.zeros(8))}
    shapes = {name: array.shape for name, array in batch.items()}
    before, after = (
        FloatExecutor(each.for_phase(Phase.TEST), shapes, keep=["InnerProduct1.top0"]).run(batch).kept
        for each in (whole, folded)
    )
    scores = before["InnerProduct1.top0"]
    assert np.abs(after["InnerProduct1.top0"] - scores).max() < 1e-4 * np.abs(scores).max()
