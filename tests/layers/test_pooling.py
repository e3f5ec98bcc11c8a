"""Pooling against a loop over every window, as Caffe lays them."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.errors import ModelError
from ristretto.layers import Pooling
from ristretto.net import Phase
from tests.battery import check_layer

TEXT = 'type: "Pooling" pooling_param {{ {} }}'
LEAST = -3.4028234663852886e38


def windows(op: Pooling, size: int, axis: int) -> list[tuple[int, int]]:
    """Give where each window begins and ends along one axis, in pixels, before it is cut to the picture."""
    kernel, stride, pad = op.kernel[axis], op.stride[axis], op.pad[axis]
    if op.global_pooling:
        return [(0, size)]
    rounded = math.ceil if op.round_up else math.floor
    count = rounded((size + 2 * pad - kernel) / stride) + 1
    if op.pad != (0, 0) and (count - 1) * stride >= size + pad:
        count -= 1
    return [(i * stride - pad, i * stride - pad + kernel) for i in range(count)]


def pooled(op: Pooling, x: np.ndarray) -> np.ndarray:
    count, channels, height, width = x.shape
    down, across = windows(op, height, 0), windows(op, width, 1)
    top = np.empty((count, channels, len(down), len(across)))
    for n, c, (i, rows), (j, columns) in itertools.product(
        range(count), range(channels), enumerate(down), enumerate(across)
    ):
        seen = [
            float(x[n, c, h, w])
            for h in range(max(rows[0], 0), min(rows[1], height))
            for w in range(max(columns[0], 0), min(columns[1], width))
        ]
        if op.method == "MAX":
            top[n, c, i, j] = max([LEAST, *seen])
        elif op.method == "STOCHASTIC":
            top[n, c, i, j] = sum(v * v for v in seen) / (sum(seen) + 1.1754943508222875e-38)
        else:
            area = (min(rows[1], height + op.pad[0]) - rows[0]) * (min(columns[1], width + op.pad[1]) - columns[0])
            top[n, c, i, j] = sum(seen) / area
    return top


@pytest.mark.parametrize("method", ["MAX", "AVE"])
@pytest.mark.parametrize(
    ("settings", "shape", "counts"),
    [
        ("kernel_size: 2 stride: 2", (2, 3, 6, 4), (3, 2)),
        ("kernel_size: 3 stride: 2", (2, 2, 6, 8), (3, 4)),
        ("kernel_size: 3 stride: 2 round_mode: FLOOR", (2, 2, 6, 8), (2, 3)),
        ("kernel_size: 3 stride: 2 pad: 1", (1, 2, 5, 6), (3, 4)),
        ("kernel_size: 2 stride: 2 pad: 1", (1, 1, 3, 4), (2, 3)),
        ("kernel_size: 3 stride: 3 pad: 2", (1, 2, 4, 5), (2, 3)),
        ("kernel_size: 3 stride: 1 pad: 1", (2, 1, 4, 4), (4, 4)),
        ("kernel_size: 5 stride: 5 pad: 4", (1, 1, 3, 9), (2, 3)),
        ("kernel_size: 3 stride: 2", (1, 2, 2, 2), (1, 1)),
        ("kernel_h: 1 kernel_w: 3 stride_h: 1 stride_w: 2 pad_h: 0 pad_w: 1", (1, 2, 3, 5), (3, 3)),
        ("kernel_size: 1", (1, 2, 3, 2), (3, 2)),
        ("global_pooling: true", (2, 3, 4, 5), (1, 1)),
    ],
)
def test_every_window_is_pooled(layer, check, rng, method, settings, shape, counts) -> None:
    op = layer(TEXT.format(f"pool: {method} {settings}"))
    x = rng.standard_normal(shape).astype(np.float32)
    assert op.infer([shape]) == ((*shape[:2], *counts),)
    check(op, [x], [pooled(op, x)])


@pytest.mark.parametrize("settings", ["kernel_size: 3 stride: 2", "kernel_size: 2 stride: 2", "global_pooling: true"])
def test_what_chance_picks_is_averaged(layer, check, rng, settings) -> None:
    op = layer(TEXT.format(f"pool: STOCHASTIC {settings}"))
    x = np.maximum(rng.standard_normal((2, 2, 5, 6)).astype(np.float32), 0)
    x[0, 0] = 0
    check(op, [x], [pooled(op, x)])


@pytest.mark.parametrize("settings", ["kernel_size: 3 stride: 2 pad: 1", "kernel_size: 2 stride: 2", "kernel_size: 3"])
def test_a_second_top_has_the_place_of_each_maximum(layer, check, rng, settings) -> None:
    op = layer('top: "y" top: "places" ' + TEXT.format(settings))
    x = rng.standard_normal((2, 2, 5, 6)).astype(np.float32)
    top = pooled(op, x)
    places = np.empty(top.shape)
    for n, c, i, j in np.ndindex(top.shape):
        places[n, c, i, j] = [float(v) for v in x[n, c].flat].index(top[n, c, i, j])
    check(op, [x], [top, places])


def test_of_equal_maxima_the_first_has_the_place(layer) -> None:
    op = layer('top: "y" top: "places" ' + TEXT.format("kernel_size: 2"))
    assert op.forward([np.float32([[[[1, 3, 3], [3, 3, 0]]]])], [])[1].tolist() == [[[[1, 1]]]]


def test_the_maximum_of_an_empty_window_has_no_place(layer) -> None:
    op = layer('top: "y" top: "places" ' + TEXT.format("kernel_size: 1 stride: 3"))
    x = np.arange(25, dtype=np.float32).reshape(1, 1, 5, 5)
    assert op.forward([x], [])[1].tolist() == [[[[0, 3, -1], [15, 18, -1], [-1, -1, -1]]]]
    assert op.onnx([x.shape]) is None


@pytest.mark.parametrize("method", ["AVE", "STOCHASTIC"])
def test_only_a_maximum_has_a_place(layer, method) -> None:
    with pytest.raises(ModelError, match=f"{method} pooling with a second top"):
        layer('top: "y" top: "places" ' + TEXT.format(f"pool: {method} kernel_size: 2"))


def test_training_takes_the_largest_number_that_chance_may_pick(layer) -> None:
    trained = layer(TEXT.format("pool: STOCHASTIC kernel_size: 2"), Phase.TRAIN)
    assert replace(trained, at_random=False) == layer(TEXT.format("kernel_size: 2"))
    with pytest.raises(ModelError, match="STOCHASTIC pooling cannot be trained"):
        trained.training_form([(1, 1, 2, 2)])


@pytest.mark.parametrize(("size", "counts"), [(4, (3, 3)), (5, (3, 3))])
def test_a_window_beyond_the_picture_has_the_least_maximum(layer, check, rng, size, counts) -> None:
    op = layer(TEXT.format("kernel_size: 1 stride: 2"))
    x = rng.standard_normal((1, 2, size, size)).astype(np.float32)
    assert op.infer([x.shape]) == ((1, 2, *counts),)
    top = pooled(op, x)
    assert (top == LEAST).any() == (size == 4)
    check(op, [x], [top])


def test_all_numbers_below_zero_have_a_maximum_below_zero_beside_padding(layer, check) -> None:
    op = layer(TEXT.format("kernel_size: 3 stride: 2 pad: 1"))
    x = -1 - np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    check(op, [x], [pooled(op, x)])
    assert (op.forward([x], [])[0] < 0).all()


@st.composite
def jobs(draw: st.DrawFn) -> tuple[Pooling, tuple[int, int, int, int]]:
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = draw(st.tuples(st.integers(1, kernel[0]), st.integers(1, kernel[1])))
    pad = draw(st.tuples(st.integers(0, kernel[0] - 1), st.integers(0, kernel[1] - 1)))
    size = draw(st.tuples(*(st.integers(max(1, k - 2 * p), 8) for k, p in zip(kernel, pad, strict=True))))
    op = Pooling(draw(st.sampled_from(["MAX", "AVE"])), kernel, stride, pad, round_up=draw(st.booleans()))
    return op, (1, 1, *size)


@given(jobs(), st.integers(0, 99))
def test_any_geometry_is_caffes(job, seed) -> None:
    op, shape = job
    x = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    check_layer(op, [x], [pooled(op, x)])


@pytest.mark.parametrize(
    ("settings", "op"),
    [
        ("kernel_size: 3", Pooling("MAX", (3, 3), (1, 1), (0, 0), global_pooling=False, round_up=True)),
        ("pool: AVE global_pooling: true", Pooling("AVE", global_pooling=True)),
        ("kernel_h: 2 kernel_w: 1 stride: 2 round_mode: FLOOR", Pooling("MAX", (2, 1), (2, 2), round_up=False)),
        ("kernel_size: 2 ceil_mode: false", Pooling("MAX", (2, 2), round_up=False)),
    ],
)
def test_settings_are_read_as_caffe_does(layer, settings, op) -> None:
    assert layer(TEXT.format(settings)) == op


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ("stride: 2", "kernel_size is missing"),
        ("kernel_size: 0", "at least 1"),
        ("kernel_size: 2 stride: 0", "at least 1"),
        ("kernel_size: 2 pad: 2", "reaches the kernel's size"),
        ("kernel_size: 2 pool: STOCHASTIC pad: 1", "STOCHASTIC pooling takes no pad"),
        ("kernel_size: 2 pad_h: 1", "pad_h and pad_w must stand together"),
        ("kernel_size: 2 stride_w: 2", "stride_h and stride_w must stand together"),
        ("kernel_size: 2 global_pooling: true", "beside a kernel size"),
        ("stride: 2 global_pooling: true", "takes no pad and no stride"),
        ("pad: 1 global_pooling: true", "takes no pad and no stride"),
    ],
)
def test_settings_without_sense_are_named(layer, settings, fault) -> None:
    with pytest.raises(ModelError, match=fault):
        layer(TEXT.format(settings))


@pytest.mark.parametrize(
    ("op", "shape", "fault"),
    [
        (Pooling("MAX", (3, 3)), (1, 2, 2, 5), "kernel spans 3 pixels, its padded bottom has 2"),
        (Pooling("MAX", (3, 3), (2, 2), round_up=False), (1, 2, 2, 5), "kernel spans 3 pixels"),
        (Pooling("AVE", (1, 1), (2, 2)), (1, 2, 4, 5), "beyond the bottom of 4x5"),
        (Pooling("MAX", (1, 1)), (4, 5), "its bottom has 2 axes"),
    ],
)
def test_bottoms_that_do_not_go_are_named(misfit, op, shape, fault) -> None:
    misfit(op, [shape], fault)
