"""LRN against a loop over every neighbour."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ristretto.errors import ModelError
from ristretto.execute import IntegerExecutor, SimulateExecutor
from ristretto.formats import FixedPoint, Format, MiniFloat
from ristretto.layers import LRN, Input, ReLU
from ristretto.net import Layer, LayerQuant, Net, Phase

TEXT = 'type: "LRN" lrn_param {{ {} }}'


def normalized(op: LRN, x: np.ndarray) -> np.ndarray:
    _, channels, height, width = x.shape
    reach = op.local_size // 2
    top = np.empty(x.shape)
    for n, c, h, w in itertools.product(*(range(size) for size in x.shape)):
        if op.within_channel:
            near = itertools.product([c], range(h - reach, h + reach + 1), range(w - reach, w + reach + 1))
            neighbours = op.local_size**2
        else:
            near = itertools.product(range(c - reach, c + reach + 1), [h], [w])
            neighbours = op.local_size
        inside = [(k, y, z) for k, y, z in near if 0 <= k < channels and 0 <= y < height and 0 <= z < width]
        total = sum(float(x[n, k, y, z]) ** 2 for k, y, z in inside)
        top[n, c, h, w] = float(x[n, c, h, w]) * (op.k + op.alpha * total / neighbours) ** -op.beta
    return top


@pytest.mark.parametrize("region", ["ACROSS_CHANNELS", "WITHIN_CHANNEL"])
@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ("", (2, 7, 3, 4)),
        ("local_size: 3 alpha: 5e-05 beta: 0.75", (1, 4, 5, 6)),
        ("local_size: 1 alpha: 2 beta: 0.5", (1, 2, 2, 3)),
        ("local_size: 9 alpha: 0.3 beta: 1.5", (1, 3, 2, 2)),
        ("local_size: 3 k: 2", (1, 2, 3, 3)),
        ("local_size: 7 alpha: 2", (1, 8, 9, 6)),
        ("local_size: 5 alpha: 2", (1, 6, 2, 9)),
    ],
)
def test_every_neighbour_counts(layer, check, rng, region, settings, shape) -> None:
    op = layer(TEXT.format(f"norm_region: {region} {settings}"))
    x = rng.standard_normal(shape).astype(np.float32) * 3
    check(op, [x], [normalized(op, x)])


def test_settings_are_read_as_caffe_does(layer) -> None:
    assert layer('type: "LRN"') == LRN(local_size=5, alpha=1.0, beta=0.75, k=1.0, within_channel=False)
    assert layer(TEXT.format("k: 2 norm_region: WITHIN_CHANNEL")).k == 1


@pytest.mark.parametrize("size", [0, 2, 4])
def test_an_even_neighbourhood_is_named(layer, size) -> None:
    with pytest.raises(ModelError, match=f"local_size {size} is not odd"):
        layer(TEXT.format(f"local_size: {size}"))


def test_a_bottom_of_other_axes_is_named(misfit) -> None:
    misfit(LRN(), [(2, 3)], "its bottom has 2 axes")


@pytest.mark.shared
def test_within_a_channel_every_bit_is_the_forks(shared) -> None:
    blobs = np.load(shared / "golden" / "cifar10_full_dfp.npz")
    op = LRN(local_size=3, alpha=5e-5, beta=0.75, within_channel=True)
    for before, after in (("relu1", "norm1"), ("pool2", "norm2")):
        assert (op.forward([blobs[f"{before}.top0"]], [])[0] == blobs[f"{after}.top0"]).all()


def trimmed_inside(op: LRN, x: np.ndarray, trim) -> np.ndarray:
    """What the fork's GPU code does for one pixel, number by number: a running sum over the channels."""

    def number(value: float) -> np.float32:
        return trim(np.float32([value]))[0]

    top = np.empty_like(x)
    _, channels, _, _ = x.shape
    reach = op.local_size // 2
    for n, h, w in itertools.product(range(x.shape[0]), range(x.shape[2]), range(x.shape[3])):
        column = [number(v) for v in x[n, :, h, w]]
        squares = [number(v * v) for v in column]
        total = np.float32(0)
        for c in range(channels + reach):
            if c < channels:
                total = number(total + squares[c])
            if c >= op.local_size:
                total = number(total - squares[c - op.local_size])
            if c >= reach:
                share = number(total * (np.float32(op.alpha) / np.float32(op.local_size)))
                base = number(np.float32(op.k) + share)
                factor = number(float(base) ** -op.beta)
                top[n, c - reach, h, w] = number(column[c - reach] * factor)
    return top


@pytest.mark.parametrize(
    ("size", "mantissa", "same"), [(3, 3, 1.0), (5, 4, 0.97), (1, 2, 1.0)], ids=["short", "long", "single"]
)
def test_the_quantized_layer_trims_every_number_on_the_way(rng, size: int, mantissa: int, same: float) -> None:
    op, fmt = LRN(local_size=size, alpha=0.5, beta=0.75), MiniFloat(4, mantissa)
    x = rng.standard_normal((2, 7, 3, 2)).astype(np.float32) * 2
    (top,) = op.forward_trimmed([x], fmt.trim)
    wanted = trimmed_inside(op, x, fmt.trim)
    # powf is not always the rounded power: a number beside a half may go the other way, by one step.
    assert (top == wanted).mean() >= same
    np.testing.assert_allclose(top, wanted, rtol=2.0**-mantissa)
    assert (fmt.trim(top) == top).all()


def test_the_quantized_layer_leaves_its_bottom_alone_and_takes_minifloat_only() -> None:
    fmt = MiniFloat(4, 3)
    x = np.float32([1.03, -2.07, 0.3]).reshape(1, 3, 1, 1)

    def net(fmt: Format) -> Net:
        layers = (
            Layer("data", Input((x.shape,)), (), ("data",)),
            Layer("norm", LRN(3), ("data",), ("norm",), quant=LayerQuant(fmt, fmt, fmt)),
            Layer("copy", ReLU(1.0), ("data",), ("copy",)),
        )
        return Net("small", layers).for_phase(Phase.TEST)

    for kind in (SimulateExecutor, IntegerExecutor):
        run = kind(net(fmt), {}).run({"data": x})
        assert run.outputs["copy"].tolist() == x.tolist()
        assert run.outputs["norm"].tolist() == LRN(3).forward_trimmed([x], fmt.trim)[0].tolist()
        with pytest.raises(ModelError, match="LRNRistretto takes minifloat only"):
            kind(net(FixedPoint(8, 4)), {})


def test_the_quantized_layer_works_across_channels_only() -> None:
    with pytest.raises(ModelError, match="within a channel"):
        LRN(3, within_channel=True).forward_trimmed([np.ones((1, 1, 3, 3), np.float32)], MiniFloat(4, 3).trim)
