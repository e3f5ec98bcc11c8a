"""The worst case of an accumulator, against every product of every window in Python's integers."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ristretto.formats import EXACT, FixedPoint, PowerOfTwo
from ristretto.hardware import Grid, MacPath, trace
from ristretto.layers import Clip, Convolution, Deconvolution, InnerProduct, Input
from ristretto.net import Layer, LayerQuant, Net, Op, Phase
from tests.execute.exact import summed
from tests.execute.nets import formats, nets


def totals_of_ends(path: MacPath, shape: tuple[int, ...]) -> tuple[int, int]:
    """Give the least and the greatest total: each input stands at the end that its weight calls for.

    One sum after the other: a picture that is one number, with zeros elsewhere, tells what that number's weights are.
    """
    pictures = np.zeros((int(np.prod(shape[1:])), *shape[1:]), np.int64)
    for index, picture in enumerate(pictures):
        picture.reshape(-1)[index] = 1
    # For each input number its weight in each of the sums.
    weights = summed(path.layer.op, pictures, path.weights).reshape(len(pictures), -1)
    outputs = path.walk.out_shape[0]
    biases = [0] * outputs if path.bias is None else [b << path.bias_shift for b in path.bias]
    starts = np.repeat(np.array(biases, object), weights.shape[1] // outputs)
    low, high = min(path.input.low, 0), max(path.input.high, 0)
    lows, highs = [], []
    for column, start in zip(weights.T, starts, strict=True):
        ends = [sorted((int(w) * low, int(w) * high)) for w in column]
        lows.append(start + (sum(end[0] for end in ends) << path.lift))
        highs.append(start + (sum(end[1] for end in ends) << path.lift))
    return min(lows), max(highs)


@settings(deadline=None, max_examples=60)
@given(nets(kinds=("conv", "depthwise", "deconv", "ip", "relu", "max", "clip")))
def test_bounds_are_those_of_the_worst_input(made: tuple[Net, dict[str, np.ndarray]]) -> None:
    net, batch = made
    datapath = trace(net, {blob: x.shape for blob, x in batch.items()})
    for stage in datapath.stages:
        if stage.mac:
            # Sixteen bits of weight and input, summed a few hundred times: within reach of a brute force.
            assume(np.prod(stage.shapes[0][1:]) * np.prod(stage.mac.walk.out_shape) < 200_000)
            assert (stage.mac.low, stage.mac.high) == totals_of_ends(stage.mac, stage.shapes[0])


def net_of(op: Op, shape: tuple[int, ...], quant: LayerQuant, blobs: tuple[np.ndarray, ...], *before: Layer) -> Net:
    layers = [Layer("data", Input((shape,)), (), ("data",)), *before]
    reads = layers[-1].tops[0]
    return Net("one", (*layers, Layer("mac", op, (reads,), ("mac",), blobs, quant=quant))).for_phase(Phase.TEST)


def path_of(op: Op, shape: tuple[int, ...], quant: LayerQuant, *blobs: np.ndarray) -> MacPath:
    path = trace(net_of(op, shape, quant, blobs), {})["mac"].mac
    assert path is not None
    return path


@given(st.lists(st.integers(-8, 7), min_size=1, max_size=3), st.integers(2, 3))
def test_every_pair_of_input_words_stays_within_the_bounds_and_some_reach_them(weights: list[int], bw: int) -> None:
    fmt = FixedPoint(bw, 0)
    quant = LayerQuant(fmt, FixedPoint(8, 0), FixedPoint(4, 0))
    path = path_of(InnerProduct(1, bias_term=False), (1, len(weights)), quant, np.array([weights], np.float32))
    words = range(fmt.low_code, fmt.high_code + 1)
    totals = [
        sum(w * x for w, x in zip(weights, xs, strict=True)) for xs in itertools.product(words, repeat=len(weights))
    ]
    assert (path.low, path.high) == (min(totals), max(totals))


def test_a_kernel_that_never_lies_within_the_picture_counts_only_what_it_meets() -> None:
    quant = LayerQuant(FixedPoint(4, 0), FixedPoint(8, 0), FixedPoint(4, 0))
    weights = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3) - 4
    # One pixel, one window: only the kernel's middle, which is zero, meets it.
    path = path_of(Convolution(1, (3, 3), pad=(1, 1), bias_term=False), (1, 1, 1, 1), quant, weights)
    assert (path.low, path.high) == (0, 0)


def test_a_deconvolution_counts_the_weights_of_each_place() -> None:
    quant = LayerQuant(FixedPoint(4, 0), FixedPoint(8, 0), FixedPoint(4, 0))
    weights = np.full((1, 1, 4, 4), 7, np.float32)
    path = path_of(Deconvolution(1, (4, 4), (2, 2), bias_term=False), (1, 1, 5, 5), quant, weights)
    # Four pixels at most are under one place, not sixteen.
    assert (path.low, path.high) == (4 * 7 * -8, 4 * 7 * 7)


def test_a_clamp_before_it_narrows_the_bounds() -> None:
    quant = LayerQuant(FixedPoint(8, 4), FixedPoint(8, 0), FixedPoint(8, 4))
    weights = np.array([[1.0, -2.0]], np.float32)
    clip = Layer("clip", Clip(0.0, 1.0), ("first",), ("first",))
    first = Layer(
        "first", InnerProduct(2, bias_term=False), ("data",), ("first",), (np.eye(2, dtype=np.float32),), quant=quant
    )
    wide = replace_out(first, FixedPoint(8, 4))
    net = net_of(InnerProduct(1, bias_term=False), (1, 2), quant, (weights,), wide, clip)
    path = trace(net, {})["mac"].mac
    assert path is not None
    assert path.input == Grid(4, 0, 16)
    assert (path.low, path.high) == (-32 * 16, 16 * 16)


def replace_out(layer: Layer, fmt: FixedPoint) -> Layer:
    assert layer.quant is not None
    quant = LayerQuant(layer.quant.layer_in, fmt, layer.quant.params)
    return Layer(layer.name, layer.op, layer.bottoms, layer.tops, layer.blobs, quant=quant)


@given(formats(8), formats(8), formats(8), st.lists(st.floats(-4, 4, width=32), min_size=3, max_size=3))
def test_shifts_bring_bias_and_output_to_their_grids(
    layer_in: FixedPoint, params: FixedPoint, layer_out: FixedPoint, numbers: list[float]
) -> None:
    weights, bias = np.array([numbers[:2]], np.float32), np.array(numbers[2:], np.float32)
    path = path_of(InnerProduct(1), (1, 2), LayerQuant(layer_in, layer_out, params), weights, bias)
    assert path.out_shift == path.fl - layer_out.fl
    assert path.bias_shift >= 0
    assert path.lift >= 0
    if params.encode(bias).any():
        assert path.fl == params.fl + max(layer_in.fl, 0)
        assert path.bias == (int(params.encode(bias)[0]),)
        assert path.bias_shift == path.fl - params.fl
    else:
        assert (path.bias, path.lift, path.bias_shift) == (None, 0, 0)
    assert path.product_bits == layer_in.bw + params.bw


def test_powers_of_two_are_shifts_whose_bias_must_lie_on_the_grid_of_the_sums() -> None:
    powers = PowerOfTwo(-8, -1)
    quant = LayerQuant(FixedPoint(8, 4), FixedPoint(8, 4), powers)
    weights = np.array([[0.25, -0.5]], np.float32)
    path = path_of(InnerProduct(1), (1, 2), quant, weights, np.array([0.75], np.float32))
    assert path.shifts_only
    assert path.weights.tolist() == [[64, -128]]
    assert (path.weight_fl, path.fl, path.bias) == (8, 12, (int(0.75 * 2**12),))
    assert path.product_bits == 8 + 7 + 1
    net = net_of(InnerProduct(1), (1, 2), quant, (weights, np.array([0.1], np.float32)))
    stage = trace(net, {}, EXACT)["mac"]
    assert stage.mac is None
    assert stage.obstacle is not None
    assert stage.obstacle.kind == "real bias"
    assert stage.products is not None
    assert (stage.products.low, stage.products.high) == (64 * -128 - 128 * 127, 64 * 127 + 128 * 128)


def test_powers_of_two_that_no_machine_word_holds_are_summed_all_the_same() -> None:
    quant = LayerQuant(FixedPoint(8, 0), FixedPoint(8, 0), PowerOfTwo(-60, 60))
    weights = np.array([[2.0**60, 2.0**-60]], np.float32)
    path = path_of(InnerProduct(1, bias_term=False), (1, 2), quant, weights)
    assert (path.low, path.high) == (-128 * (2**120 + 1), 127 * (2**120 + 1))
    assert (
        trace(net_of(InnerProduct(1, bias_term=False), (1, 2), quant, (weights,)), {}).obstacles[0][1].kind
        == "wide total"
    )
