"""Evaluation against the simulating executor, which is the truth about quantized nets: bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto import api
from ristretto.execute import SimulateExecutor
from ristretto.execute.lower import trimmed_blobs
from ristretto.finetune.evaluation import Evaluation, TorchStep, has_exact_sums
from ristretto.formats import EXACT, HALF_EVEN, Arithmetic, FixedPoint, MiniFloat, PowerOfTwo
from ristretto.layers import Convolution, Deconvolution, InnerProduct, Input
from ristretto.net import Layer, LayerQuant, Net, Op, Phase
from tests.execute.nets import nets, other_quants, partial_quants, values, whole_quants


def check_same(net: Net, batch: dict[str, np.ndarray], arithmetic: Arithmetic = EXACT) -> Evaluation:
    shapes = {blob: array.shape for blob, array in batch.items()}
    runs = []
    for kind in (SimulateExecutor, Evaluation):
        executor = kind(net, shapes, keep=values(net), arithmetic=arithmetic)
        runs.append(executor.run(batch))
    wanted, got = runs
    for name, value in [*wanted.kept.items(), *wanted.outputs.items()]:
        found = got.kept.get(name, got.outputs.get(name))
        assert found.dtype == value.dtype
        assert found.tobytes() == value.tobytes(), name
    assert got.companions == wanted.companions
    return executor


QUANTS = {"whole": whole_quants(16), "partial": partial_quants(16), "other": other_quants()}


@pytest.mark.parametrize("quants", QUANTS)
def test_random_nets_give_the_same_bits(quants: str) -> None:
    @given(nets(quants=QUANTS[quants]), st.sampled_from((EXACT, HALF_EVEN)))
    @settings(max_examples=40)
    def check(job: tuple[Net, dict[str, np.ndarray]], arithmetic: Arithmetic) -> None:
        check_same(*job, arithmetic)

    check()


OPS: tuple[Op, ...] = (
    Convolution(5, (3, 2), (2, 1), (1, 1)),
    Convolution(4, (2, 2), group=2, dilation=(2, 1)),
    Deconvolution(4, (3, 3), (2, 2), (1, 0)),
    InnerProduct(5),
    InnerProduct(5, axis=2, transpose=True),
)


@pytest.mark.parametrize("params", [FixedPoint(16, 15), PowerOfTwo(-8, 2)], ids=["fixed", "powers"])
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.type)
def test_exact_sums_are_added_up_in_torch(op: Op, params: FixedPoint | PowerOfTwo) -> None:
    """The sums are those of `Op.forward` to the last bit of float64."""
    rng = np.random.default_rng(3)
    shape = (2, 4, 5, 6)
    # A bias so small that float64 rounds every sum it is in: it must come in last.
    sizes = (0.5, 1e-9)
    shapes = op.blob_shapes([shape])
    blobs = tuple(rng.normal(0, size, s).astype(np.float32) for size, s in zip(sizes, shapes, strict=False))
    quant = LayerQuant(FixedPoint(16, 12), FixedPoint(32, 24), params)
    layers = (Layer("data", Input((shape,)), (), ("data",)), Layer("it", op, ("data",), ("it",), blobs, quant=quant))
    net = Net("net", layers).for_phase(Phase.TEST)
    data = rng.normal(size=shape).astype(np.float32)
    (step,) = check_same(net, {"data": data}).steps
    assert isinstance(step, TorchStep)
    x = quant.layer_in.trim(data).astype(np.float64)
    (wanted,) = op.forward([x], [blob.astype(np.float64) for blob in trimmed_blobs(layers[1], EXACT)])
    assert step.sums(torch.from_numpy(x)).numpy().tobytes() == wanted.tobytes()


def quantized(layer_in: FixedPoint | MiniFloat, params: FixedPoint | MiniFloat | PowerOfTwo) -> Layer:
    return Layer("it", InnerProduct(1), ("data",), ("it",), quant=LayerQuant(layer_in, layer_in, params))


@pytest.mark.parametrize(
    ("layer_in", "params", "terms", "exact"),
    [
        (FixedPoint(16, 3), FixedPoint(16, 30), 1 << 22, True),
        # Both ends are powers of two: 2**31 * 2**19 * 8 is 2**53.
        (FixedPoint(32, 0), FixedPoint(20, 0), 7, True),
        (FixedPoint(32, 0), FixedPoint(20, 0), 8, False),
        (FixedPoint(8, 7), PowerOfTwo(-8, -1), 1000, True),
        (FixedPoint(8, 7), PowerOfTwo(-40, 5), 4, False),
        (MiniFloat(2, 1), MiniFloat(2, 1), 1, False),
    ],
)
def test_sums_are_exact_below_two_to_the_53rd(layer_in, params, terms: int, exact: bool) -> None:
    assert has_exact_sums(quantized(layer_in, params), (1, terms)) is exact


GOLDEN = {"lenet_dfp": "lenet", "lenet_pow2": "lenet", "cifar10_full_dfp": "cifar10_full"}


@pytest.mark.shared
@pytest.mark.parametrize(("name", "weights"), GOLDEN.items())
def test_real_nets_give_the_same_bits(shared: Path, name: str, weights: str) -> None:
    golden = dict(np.load(shared / "golden" / f"{name}.npz"))
    model = shared / "data" / "models" / weights / f"{weights}.caffemodel"
    net = api.load(shared / "golden" / f"{name}.prototxt", model)[1].for_phase(Phase.TEST)
    executor = check_same(net, {net.data_layers[0].tops[0]: golden.pop("input")})
    assert sum(isinstance(step, TorchStep) for step in executor.steps) == sum(layer.quant is not None for layer in net)


@pytest.mark.shared
def test_it_gives_the_forks_bits(shared: Path) -> None:
    golden = dict(np.load(shared / "golden" / "cifar10_full_dfp.npz"))
    batch = golden.pop("input")
    model = shared / "data" / "models" / "cifar10_full" / "cifar10_full.caffemodel"
    net = api.load(shared / "golden" / "cifar10_full_dfp.prototxt", model)[1].for_phase(Phase.TEST)
    (blob,) = net.data_layers[0].tops
    run = Evaluation(net, {blob: batch.shape}, keep=golden).run({blob: batch})
    assert {key: int((run.kept[key] != value).sum()) for key, value in golden.items()} == dict.fromkeys(golden, 0)
