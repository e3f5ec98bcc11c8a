"""Convolution against a loop over every product."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ristretto.errors import ModelError
from ristretto.layers import Convolution, convolution
from ristretto.net import Part

TEXT = 'type: "Convolution" convolution_param {{ {} }}'


def convolved(op: Convolution, x: np.ndarray, weights: np.ndarray, bias: np.ndarray | None) -> tuple[np.ndarray, int]:
    """Give the top, and how many products were formed; those with a padded zero count, as is the custom."""
    count, channels, height, width = x.shape
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = op.kernel, op.stride, op.pad, op.dilation
    oh = (height + 2 * ph - (dh * (kh - 1) + 1)) // sh + 1
    ow = (width + 2 * pw - (dw * (kw - 1) + 1)) // sw + 1
    top = np.zeros((count, op.num_output, oh, ow))
    inputs, outputs = channels // op.group, op.num_output // op.group
    products = 0
    for n, o, h, w in itertools.product(*(range(size) for size in top.shape)):
        for c, i, j in itertools.product(range(inputs), range(kh), range(kw)):
            y, z = h * sh - ph + i * dh, w * sw - pw + j * dw
            inside = 0 <= y < height and 0 <= z < width
            pixel = float(x[n, o // outputs * inputs + c, y, z]) if inside else 0.0
            top[n, o, h, w] += pixel * float(weights[o, c, i, j])
            products += 1
        top[n, o, h, w] += 0.0 if bias is None else float(bias[o])
    return top, products


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ("num_output: 3 kernel_size: 3", (2, 2, 5, 4)),
        ("num_output: 1 kernel_size: 1", (1, 1, 1, 1)),
        ("num_output: 4 kernel_size: 1 bias_term: false", (2, 3, 3, 2)),
        ("num_output: 2 kernel_size: 3 pad: 1", (1, 2, 3, 3)),
        ("num_output: 2 kernel_size: 3 pad: 4", (1, 1, 2, 3)),
        ("num_output: 2 kernel_size: 3 stride: 2", (2, 2, 6, 7)),
        ("num_output: 2 kernel_size: 2 stride: 3", (1, 2, 7, 5)),
        ("num_output: 6 kernel_size: 3 group: 3 pad: 1", (2, 6, 3, 4)),
        ("num_output: 4 kernel_size: 2 group: 4 bias_term: false", (1, 4, 4, 4)),
        ("num_output: 2 kernel_size: 3 dilation: 2", (1, 2, 7, 6)),
        ("num_output: 2 kernel_size: 2 dilation: 3 pad: 2 stride: 2 group: 2", (2, 2, 5, 6)),
        ("num_output: 2 kernel_size: 3 kernel_size: 2 stride: 1 stride: 2 pad: 0 pad: 1", (1, 2, 5, 5)),
        ("num_output: 2 kernel_h: 1 kernel_w: 4 stride_h: 2 stride_w: 1 pad_h: 0 pad_w: 2", (1, 2, 4, 3)),
        ("num_output: 2 kernel_size: 2 dilation: 1 dilation: 2", (1, 1, 3, 4)),
    ],
)
def test_every_product_is_summed(layer, check, rng, settings, shape) -> None:
    op = layer(TEXT.format(settings))
    x = rng.standard_normal(shape).astype(np.float32)
    blobs = [rng.standard_normal(s).astype(np.float32) for s in op.blob_shapes([shape])]
    top, products = convolved(op, x, *blobs, *([] if op.bias_term else [None]))
    check(op, [x], [top], blobs, products=products, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "op"),
    [
        ("num_output: 2 kernel_size: 3", Convolution(2, (3, 3), (1, 1), (0, 0), (1, 1), 1, True)),
        ("num_output: 2 kernel_size: 3 pad_h: 1", Convolution(2, (3, 3), pad=(1, 0))),
        ("num_output: 2 kernel_h: 1 kernel_w: 2", Convolution(2, (1, 2))),
        ("num_output: 2 kernel_size: 5 axis: 1", Convolution(2, (5, 5))),
        ("num_output: 2 kernel_size: 5 axis: -3", Convolution(2, (5, 5))),
        ("num_output: 4 kernel_size: 5 group: 2 bias_term: false", Convolution(4, (5, 5), group=2, bias_term=False)),
    ],
)
def test_settings_are_read_as_caffe_does(layer, settings, op) -> None:
    assert layer(TEXT.format(settings)) == op


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ("num_output: 2", "kernel_size is missing"),
        ("num_output: 2 kernel_h: 3", "kernel_h and kernel_w must stand together"),
        ("num_output: 2 kernel_size: 3 kernel_h: 3 kernel_w: 3", "kernel_size stands beside kernel_h/kernel_w"),
        ("num_output: 2 kernel_size: 3 kernel_size: 3 kernel_size: 3", "only two spatial axes"),
        ("num_output: 2 kernel_size: 3 stride: 0", "at least 1"),
        ("num_output: 2 kernel_size: 3 stride_h: 2", "at least 1"),
        ("num_output: 0 kernel_size: 3", "at least 1"),
        ("num_output: 2 kernel_size: 0", "at least 1"),
        ("num_output: 2 kernel_size: 3 dilation: 0", "at least 1"),
        ("num_output: 2 kernel_size: 3 group: 0", "at least 1"),
        ("num_output: 5 kernel_size: 3 group: 2", "group 2 does not divide num_output 5"),
        ("num_output: 2 kernel_size: 3 axis: 2", "axis 2 is not supported"),
        ("num_output: 2 kernel_size: 3 axis: -1", "axis -1 is not supported"),
    ],
)
def test_settings_without_sense_are_named(layer, settings, fault) -> None:
    with pytest.raises(ModelError, match=fault):
        layer(TEXT.format(settings))


@pytest.mark.parametrize(
    ("op", "shape", "fault"),
    [
        (Convolution(2, (3, 3)), (1, 2, 2, 5), "kernel spans 3 pixels, its padded bottom has 2"),
        (Convolution(2, (3, 3), pad=(0, 1), dilation=(1, 4)), (1, 2, 5, 6), "spans 9 pixels, its padded bottom has 8"),
        (Convolution(4, (1, 1), group=2), (1, 3, 5, 5), "group 2 does not divide the 3 channels"),
        (Convolution(2, (1, 1)), (4, 5), "its bottom has 2 axes"),
        (Convolution(2, (1, 1)), (1, 2, 3, 4, 5), "its bottom has 5 axes"),
    ],
)
def test_bottoms_that_do_not_go_are_named(misfit, op, shape, fault) -> None:
    misfit(op, [shape], fault)


def test_it_is_quantized_as_a_convolution(layer) -> None:
    op = layer(TEXT.format("num_output: 2 kernel_size: 3"))
    assert (op.quantized_type, op.part) == ("ConvolutionRistretto", Part.CONV_PARAMS)


def test_columns_a_few_rows_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    op, rng = Convolution(4, (3, 2), stride=(2, 1), pad=(1, 1), group=2), np.random.default_rng(3)
    # Small whole numbers: their sums are exact in any order.
    x = rng.integers(-9, 10, (2, 4, 9, 5)).astype(np.float64)
    blobs = [rng.integers(-9, 10, shape).astype(np.float64) for shape in op.blob_shapes([x.shape])]
    whole = op.forward([x], blobs)[0]
    for columns in (200, 1):
        monkeypatch.setattr(convolution, "MOST_COLUMNS", columns)
        np.testing.assert_array_equal(op.forward([x], blobs)[0], whole)
