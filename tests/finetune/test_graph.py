"""Whole nets in torch: what training computes, and where its gradients go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from ristretto.errors import DataError, ModelError
from ristretto.execute import SimulateExecutor
from ristretto.execute.lower import trimmed_blobs
from ristretto.finetune.graph import Activations, Forward, Graph
from ristretto.finetune.shadow import Shadow
from ristretto.finetune.trimming import LearnedRadixPoint
from ristretto.formats import EXACT, FixedPoint, MiniFloat, PowerOfTwo
from ristretto.layers import (
    LRN,
    Accuracy,
    ArgMax,
    BatchNorm,
    Dropout,
    Embed,
    EuclideanLoss,
    InnerProduct,
    Input,
    Pooling,
    ReLU,
    Silence,
    SoftmaxWithLoss,
    Split,
    Threshold,
)
from ristretto.net import Layer, LayerQuant, Net, Op, ParamSpec, Phase, Scheme
from ristretto.net.quant import LAYER_IN, LAYER_OUT, PARAMS
from tests.execute.nets import EXACT as EXACT_KINDS
from tests.execute.nets import nets, partial_quants, whole_quants

SHAPE = (4, 3)
DATA = Layer("data", Input((SHAPE, (4,))), (), ("data", "label"))
RNG = np.random.default_rng(11)
BATCH = {"data": RNG.normal(size=SHAPE).astype(np.float32), "label": np.float32([0, 2, 1, 2])}
FORMAT = FixedPoint(4, 2)
QUANT = LayerQuant(FORMAT, FORMAT, FORMAT)
STOCHASTIC = replace(QUANT, scheme=Scheme.STOCHASTIC)


def ip(name: str, bottom: str, **rest: object) -> Layer:
    rng = np.random.default_rng(len(name))
    blobs = (rng.normal(size=(3, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32))
    return Layer(name, InnerProduct(3), (bottom,), (name,), blobs, **rest)


def loss(bottom: str, **rest: object) -> Layer:
    return Layer("loss", SoftmaxWithLoss(), (bottom, "label"), ("loss",), **rest)


def net_of(*layers: Layer, phase: Phase = Phase.TRAIN) -> Net:
    return Net("net", (DATA, *layers)).for_phase(phase)


def run(net: Net, iteration: int = 0, batch: Mapping[str, np.ndarray] = BATCH, **how: object) -> tuple[Forward, Shadow]:
    """Run a net forward and back in float64."""
    shadow = Shadow(net, dtype=torch.float64)
    found = Graph(net, {}, dtype=torch.float64, **how)(shadow, batch, iteration)
    if found.loss.requires_grad:
        found.loss.backward()
    return found, shadow


def slopes(shadow: Shadow) -> dict[tuple[str, int], list[float]]:
    return {k: t.grad.reshape(-1).tolist() if t.grad is not None else [] for k, t in shadow.tensors.items()}


def check_as_simulated(net: Net, batch: dict[str, np.ndarray]) -> None:
    """Every sum is exact, so nothing is left but where trims stand, and what they and in-place layers change."""
    wanted = SimulateExecutor(net, {}).run(batch).outputs
    found, _ = run(net, batch=batch)
    for blob, value in wanted.items():
        np.testing.assert_array_equal(found.blobs[blob].detach().numpy(), value, err_msg=blob)


@given(nets(kinds=(*EXACT_KINDS, "split", "flatten"), quants=whole_quants(8), longest=5))
@settings(max_examples=60)
def test_quantized_nets_compute_as_they_are_simulated(job: tuple[Net, dict[str, np.ndarray]]) -> None:
    check_as_simulated(*job)


@given(nets(kinds=(*EXACT_KINDS, "split", "flatten"), quants=partial_quants(8), longest=3, coarse=True))
@settings(max_examples=60)
def test_places_left_in_float_are_left_alone(job: tuple[Net, dict[str, np.ndarray]]) -> None:
    net, batch = job
    wanted = SimulateExecutor(net, {}).run(batch).outputs
    found, _ = run(net, batch=batch)
    for blob, value in wanted.items():
        # The simulation rounds a sum to float32 where this has float64: a code more or less where it lay half-way.
        np.testing.assert_allclose(found.blobs[blob].detach().numpy(), value, rtol=1e-5, err_msg=blob)


def test_a_trimmed_input_is_trimmed_for_every_later_reader() -> None:
    wide = FixedPoint(16, 8)
    one = (np.ones((1, 1), np.float32), np.zeros(1, np.float32))
    layers = (
        Layer("data", Input(((1, 1),)), (), ("data",)),
        Layer("before", ReLU(), ("data",), ("before",)),
        Layer("fine", InnerProduct(1), ("data",), ("fine",), one, quant=LayerQuant(FixedPoint(8, 4), wide, wide)),
        Layer("between", ReLU(), ("data",), ("between",)),
        Layer("coarse", InnerProduct(1), ("data",), ("coarse",), one, quant=LayerQuant(FixedPoint(8, 0), wide, wide)),
        Layer("after", ReLU(), ("data",), ("after",)),
    )
    net = Net("net", layers).for_phase(Phase.TRAIN)
    batch = {"data": np.float32([[1.46875]])}
    blobs = {name: value.item() for name, value in run(net, batch=batch)[0].blobs.items()}
    assert blobs == {"data": 2, "before": 1.46875, "fine": 1.5, "between": 1.5, "coarse": 2, "after": 2}
    blobs = {
        name: value.item() for name, value in run(net, batch=batch, activations=Activations.FLOAT)[0].blobs.items()
    }
    assert blobs == dict.fromkeys(blobs, 1.46875)


@pytest.mark.parametrize("params", [FORMAT, MiniFloat(3, 1), PowerOfTwo(-3, 0)], ids=str)
def test_gradients_are_those_at_the_trimmed_weights(params) -> None:
    """Without trimmed activations, the whole step is that of a float net with the trimmed weights."""
    quant = LayerQuant(FORMAT, FORMAT, params)
    quantized = net_of(ip("one", "data", quant=quant), ip("three", "one", quant=quant), loss("three"))
    layers = [replace(layer, blobs=trimmed_blobs(layer, EXACT), quant=None) for layer in quantized]
    plain, shadow = run(Net("plain", tuple(layers)).for_phase(Phase.TRAIN))
    found, trained = run(quantized, activations=Activations.FLOAT)
    assert found.loss.item() == pytest.approx(plain.loss.item())
    for key, slope in slopes(shadow).items():
        assert slopes(trained)[key] == pytest.approx(slope)
    np.testing.assert_array_equal(trained["one", 0].detach().numpy(), quantized["one"].blobs[0])


def test_gradients_stop_where_activations_saturate() -> None:
    """The output's format ends at 1.75: what lies beyond has no part in the weights' gradient."""
    blobs = (np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
    layer = replace(ip("one", "data", quant=LayerQuant(FixedPoint(16, 8), FORMAT, FixedPoint(16, 8))), blobs=blobs)
    net = net_of(layer, Layer("sum", EuclideanLoss(), ("one", "data"), ("sum",)))
    x = np.float32([[1, 3, -1], [0.5, 1.7, -3], [1.8, 0.25, 0], [-2, 1, 1]])
    found, shadow = run(net, batch={**BATCH, "data": x})
    y = FORMAT.trim(x)
    np.testing.assert_array_equal(found.blobs["one"].detach().numpy(), y)
    within = (x >= -2) & (x <= 1.75)
    distance = (y - FixedPoint(16, 8).trim(x)) / len(x)
    np.testing.assert_allclose(slopes(shadow)["one", 1], (distance * within).sum(axis=0))


def test_weights_are_rounded_by_chance_of_seed_and_iteration() -> None:
    net = net_of(ip("one", "data", quant=STOCHASTIC), ip("three", "one", quant=STOCHASTIC), loss("three"))

    def losses(**how: object) -> list[float]:
        return [run(net, iteration, activations=Activations.FLOAT, **how)[0].loss.item() for iteration in range(8)]

    first = losses()
    assert losses() == first
    assert len(set(first)) == 8
    assert set(losses(seed=1)).isdisjoint(first)
    assert len(set(losses(rounding=Scheme.NEAREST))) == 1


def test_a_later_iteration_does_not_depend_on_those_before() -> None:
    """As after a resumed snapshot: one graph runs all iterations, another one only the last."""
    net = net_of(ip("one", "data", quant=STOCHASTIC), Layer("drop", Dropout(), ("one",), ("one",)), loss("one"))
    shadow, graph = Shadow(net), Graph(net, {})
    whole = [graph(shadow, BATCH, iteration).loss.item() for iteration in range(5)]
    assert Graph(net, {})(shadow, BATCH, 4).loss.item() == whole[4]
    assert len(set(whole)) == 5


def test_noise_rounds_weights_to_one_of_two_neighbours() -> None:
    """The pictures are unit vectors, and zero: the top has the weights, and the bias alone."""
    net = net_of(ip("one", "data", quant=STOCHASTIC), loss("one"))
    batch = {**BATCH, "data": np.eye(4, 3, dtype=np.float32)}
    seen = []
    for iteration in range(40):
        found, _ = run(net, iteration, batch=batch, activations=Activations.FLOAT)
        top = found.blobs["one"].detach().numpy()
        seen.append((top[:3] - top[3]).T)
    codes = np.array(seen) * 4
    scaled = np.clip(net["one"].blobs[0] * 4, -8, 7)
    np.testing.assert_array_equal(codes.min(axis=0), np.floor(scaled))
    np.testing.assert_array_equal(codes.max(axis=0), np.ceil(scaled))


def test_batch_norm_changes_the_shadow_in_every_forward() -> None:
    sums = tuple(np.full(shape, value, np.float32) for shape, value in (((1, 1, 1, 3), 0.5), ((3,), 2.0), ((1,), 4.0)))
    net = net_of(
        ip("one", "data"), Layer("bn", BatchNorm(moving_average_fraction=0.5), ("one",), ("bn",), sums), loss("bn")
    )
    found, shadow = run(net)
    x = found.blobs["one"].detach().numpy()
    np.testing.assert_allclose(shadow["bn", 0].reshape(-1), 0.25 + x.mean(axis=0))
    np.testing.assert_allclose(shadow["bn", 1], 1 + x.var(axis=0, ddof=1))
    assert shadow["bn", 2].tolist() == [3]
    assert shadow["bn", 0].shape == (1, 1, 1, 3)
    assert not shadow["bn", 0].requires_grad
    np.testing.assert_allclose(found.blobs["bn"].detach().numpy().mean(axis=0), 0, atol=1e-9)


def test_the_loss_is_the_weighted_sum_of_tops() -> None:
    other = Layer("far", EuclideanLoss(), ("one", "data"), ("far",), loss_weights=(0.25,))
    half = Layer("half", ReLU(), ("one",), ("half",), loss_weights=(2.0,))
    net = net_of(ip("one", "data"), other, half, loss("one"))
    found, _ = run(net)
    parts = {name: found.blobs[name].sum().item() for name in ("loss", "far", "half")}
    assert found.loss.item() == pytest.approx(parts["loss"] + 0.25 * parts["far"] + 2 * parts["half"])


def test_a_loss_without_a_top_counts() -> None:
    with_top, named = run(net_of(ip("one", "data"), loss("one")))
    without, unnamed = run(net_of(ip("one", "data"), replace(loss("one"), tops=())))
    assert without.loss.item() == with_top.loss.item() > 0
    assert slopes(unnamed) == slopes(named)


def test_shared_weights_add_up_their_gradients() -> None:
    spec = (ParamSpec("w"), ParamSpec("b"))
    net = net_of(ip("one", "data", params=spec), ip("two", "one", params=spec), loss("two"))
    apart = net_of(ip("one", "data"), ip("two", "one"), loss("two"))
    assert (apart["one"].blobs[0] == apart["two"].blobs[0]).all()
    _, shadow = run(net)
    _, parts = run(apart)
    both = np.add(slopes(parts)["one", 0], slopes(parts)["two", 0])
    np.testing.assert_allclose(slopes(shadow)["two", 0], both)


def test_layers_without_gradients_run_beside_the_loss() -> None:
    net = net_of(
        ip("one", "data"),
        Layer("accuracy", Accuracy(), ("one", "label"), ("accuracy",)),
        Layer("best", ArgMax(), ("one",), ("best",)),
        Layer("silence", Silence(), ("best",)),
        loss("one"),
    )
    found, _ = run(net)
    scores = found.blobs["one"].detach().numpy()
    assert found.blobs["accuracy"].item() == (scores.argmax(axis=1) == BATCH["label"]).mean()
    assert found.blobs["best"].reshape(-1).tolist() == scores.argmax(axis=1).tolist()


BLOCKING: dict[str, tuple[Op, tuple[str, ...]]] = {
    "Threshold": (Threshold(), ("one",)),
    "ArgMax": (ArgMax(axis=1), ("one",)),
    "Embed": (Embed(3, 9), ("one",)),
}


@pytest.mark.parametrize("name", BLOCKING)
def test_a_layer_that_a_gradient_cannot_pass_is_named(name: str) -> None:
    op, bottoms = BLOCKING[name]
    blobs = tuple(np.ones(shape, np.float32) for shape in op.blob_shapes([SHAPE]))
    block = Layer("block", op, bottoms, ("block",), blobs)
    end = Layer("end", EuclideanLoss(), ("block", "block"), ("end",))
    with pytest.raises(ModelError, match=f"layer 'block': {name} lets no gradient through to its bottom 'one'"):
        Graph(net_of(ip("one", "data"), block, end), {})
    frozen = (ParamSpec(lr_mult=0), ParamSpec(lr_mult=0))
    Graph(net_of(ip("one", "data", params=frozen), block, end), {})
    Graph(net_of(ip("one", "data"), replace(block, propagate_down=(False,)), end), {})
    Graph(net_of(ip("one", "data"), block, replace(end, loss_weights=(0.0,))), {})


def test_labels_that_the_net_computes_are_named() -> None:
    blobs = (np.ones((1, 3), np.float32), np.ones(1, np.float32))
    guess = Layer("guess", InnerProduct(1), ("one",), ("guess",), blobs)
    bad = replace(loss("one"), bottoms=("one", "guess"))
    reason = "layer 'loss': SoftmaxWithLoss lets no gradient through to its bottom 'guess'"
    with pytest.raises(ModelError, match=reason):
        Graph(net_of(ip("one", "data"), guess, bad), {})


def test_propagate_down_holds_a_gradient_back() -> None:
    net = net_of(ip("one", "data"), ip("two", "one", propagate_down=(False,)), loss("two"))
    _, shadow = run(net)
    assert slopes(shadow)["one", 0] == []
    assert any(slopes(shadow)["two", 0])


def test_an_lrn_that_trims_inside_has_the_float_layers_gradient() -> None:
    fmt = MiniFloat(5, 3)
    shape = (2, 5, 3, 3)
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    layers = (
        Layer("data", Input((shape,)), (), ("data",)),
        Layer("scale", Split(1), ("data",), ("scale",)),
        Layer("norm", LRN(alpha=0.5), ("scale",), ("norm",), quant=LayerQuant(fmt, fmt, fmt), loss_weights=(1.0,)),
    )
    net = Net("net", layers).for_phase(Phase.TRAIN)
    plain = replace(net, layers=tuple(replace(layer, quant=None) for layer in net))
    results = []
    for one, how in ((net, Activations.TRIM), (net, Activations.FLOAT), (plain, Activations.TRIM)):
        bottom = torch.tensor(x, requires_grad=True)
        found = Graph(one, {}, activations=how)(Shadow(one), {"data": bottom})
        found.loss.backward()
        results.append((found.blobs["norm"].detach().numpy(), bottom.grad.numpy()))
    (trimmed, slope), (floating, _), (wanted, wanted_slope) = results
    np.testing.assert_array_equal(trimmed, layers[2].op.forward_trimmed([x], fmt.trim)[0])
    np.testing.assert_array_equal(floating, wanted)
    assert not np.array_equal(trimmed, wanted)
    np.testing.assert_array_equal(slope, wanted_slope)


def test_learned_radix_points_take_the_formats_places() -> None:
    net = net_of(ip("one", "data", quant=QUANT), loss("one"))
    points = {
        ("one", place): LearnedRadixPoint(FixedPoint(4, fl), everywhere=place == PARAMS).double()
        for place, fl in ((LAYER_IN, 1), (PARAMS, 0), (LAYER_OUT, -1))
    }
    found, shadow = run(net, learned=points)
    formats = LayerQuant(FixedPoint(4, 1), FixedPoint(4, -1), FixedPoint(4, 0))
    wanted, _ = run(net_of(ip("one", "data", quant=formats), loss("one")))
    for blob, value in wanted.blobs.items():
        np.testing.assert_array_equal(found.blobs[blob].detach().numpy(), value.detach().numpy())
    assert any(slopes(shadow)["one", 0])
    assert all(point.log2_threshold.grad for point in points.values())


def test_descent_lowers_the_loss_of_a_quantized_net() -> None:
    quant = LayerQuant(FixedPoint(8, 5), FixedPoint(8, 4), FixedPoint(4, 2))
    net = net_of(
        ip("one", "data", quant=quant), Layer("relu", ReLU(), ("one",), ("one",)), ip("three", "one"), loss("three")
    )
    shadow, graph = Shadow(net), Graph(net, {})
    optimizer = torch.optim.SGD([tensor for _, tensor in shadow.distinct()], lr=0.1)
    losses = []
    for iteration in range(60):
        optimizer.zero_grad()
        found = graph(shadow, BATCH, iteration)
        found.loss.backward()
        optimizer.step()
        losses.append(found.loss.item())
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize("batch", [{"data": BATCH["data"]}, {**BATCH, "data": np.zeros((4, 4), np.float32)}])
def test_a_batch_that_does_not_fit_is_named(batch: dict[str, np.ndarray]) -> None:
    net = net_of(ip("one", "data"), loss("one"))
    with pytest.raises(DataError, match=r"blob '(data|label)' needs shape"):
        Graph(net, {})(Shadow(net), batch)


def test_faults_name_their_layer() -> None:
    net = net_of(ip("one", "data"), loss("one"))
    with pytest.raises(ModelError, match="layer 'loss': label 7 where the net has 3 classes"):
        Graph(net, {})(Shadow(net), {**BATCH, "label": np.full(4, 7, np.float32)})
    with pytest.raises(ModelError, match="layer 'one': no weights"):
        Graph(net, {})(Shadow(net_of()), BATCH)
    with pytest.raises(ModelError, match="layer 'one': no weights"):
        Graph(net_of(replace(ip("one", "data"), blobs=()), loss("one")), {})
    fixed = Layer("norm", LRN(), ("data",), ("norm",), quant=QUANT)
    pictures = Layer("data", Input(((1, 2, 3, 3),)), (), ("data",))
    with pytest.raises(ModelError, match="layer 'norm': LRNRistretto takes minifloat only"):
        Graph(Net("net", (pictures, fixed)).for_phase(Phase.TRAIN), {})
    pool = Layer("pool", Pooling("STOCHASTIC", (2, 2)), ("data",), ("pool",))
    with pytest.raises(ModelError, match="layer 'pool': STOCHASTIC pooling cannot be trained"):
        Graph(Net("net", (pictures, pool)).for_phase(Phase.TRAIN), {})
