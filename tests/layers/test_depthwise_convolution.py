from __future__ import annotations

import numpy as np
import pytest

from ristretto.errors import ModelError
from ristretto.layers.convolution import Convolution
from ristretto.net import Layer, LayerQuant, Part

TEXT = 'name: "d" type: "{kind}" bottom: "x" top: "y" convolution_param {{ {settings} }}'
KINDS = ["DepthwiseConvolution", "ConvolutionDepthwise"]


def convolved(
    x: np.ndarray, weights: np.ndarray, bias: np.ndarray, multiple: int, stride: int
) -> tuple[np.ndarray, int]:
    """A 3x3 window with a rim of one zero, over each channel alone; give the top and the products."""
    count, channels, height, width = x.shape
    padded = np.zeros((count, channels, height + 2, width + 2))
    padded[:, :, 1:-1, 1:-1] = x
    top = np.zeros((count, channels * multiple, (height - 1) // stride + 1, (width - 1) // stride + 1))
    products = 0
    for n in range(count):
        for o in range(top.shape[1]):
            for h in range(top.shape[2]):
                for w in range(top.shape[3]):
                    total = float(bias[o])
                    for i in range(3):
                        for j in range(3):
                            pixel = padded[n, o // multiple, h * stride + i, w * stride + j]
                            total += pixel * float(weights[o, 0, i, j])
                            products += 1
                    top[n, o, h, w] = total
    return top, products


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("group", ["", "group: 4"])
@pytest.mark.parametrize("stride", [1, 2])
def test_each_channel_is_convolved_alone(layer, check, rng, kind, group, stride) -> None:
    op = layer(TEXT.format(kind=kind, settings=f"num_output: 4 kernel_size: 3 pad: 1 stride: {stride} {group}"))
    x, weights, bias = (rng.standard_normal(s).astype(np.float32) for s in ((2, 4, 5, 6), (4, 1, 3, 3), (4,)))
    expected, products = convolved(x, weights, bias, 1, stride)
    check(op, [x], [expected], [weights, bias], products=products, atol=1e-5)


def test_a_channel_may_have_several_outputs(layer, check, rng) -> None:
    settings = "num_output: 8 group: 4 kernel_size: 3 pad: 1"
    op = layer(TEXT.format(kind="DepthwiseConvolution", settings=settings))
    x, weights, bias = (rng.standard_normal(s).astype(np.float32) for s in ((1, 4, 3, 3), (8, 1, 3, 3), (8,)))
    expected, products = convolved(x, weights, bias, 2, 1)
    check(op, [x], [expected], [weights, bias], products=products, atol=1e-5)


def test_the_other_spelling_takes_its_groups_from_the_outputs_alone(layer) -> None:
    op = layer(TEXT.format(kind="ConvolutionDepthwise", settings="num_output: 8 group: 2 kernel_size: 3"))
    assert op.group == 8


@pytest.mark.parametrize("kind", KINDS)
def test_a_quantized_one_is_the_convolution_that_the_fork_knows(layer, kind) -> None:
    op = layer(TEXT.format(kind=kind, settings="num_output: 4 kernel_size: 3"))
    assert Layer("d", op, quant=LayerQuant(None, None, None)).type == "ConvolutionRistretto"
    assert op.part is Part.CONV_PARAMS
    assert op.quantized_settings == {"convolution_param": {"group": "4"}}
    plain = layer(TEXT.format(kind="Convolution", settings="num_output: 4 kernel_size: 3 group: 4"))
    assert type(plain) is Convolution
    assert plain.quantized_settings == {}
    assert plain.geometry((1, 4, 5, 5)) == op.geometry((1, 4, 5, 5))


@pytest.mark.parametrize("kind", KINDS)
def test_faults_are_named(layer, kind) -> None:
    op = layer(TEXT.format(kind=kind, settings="num_output: 4 kernel_size: 3"))
    with pytest.raises(ModelError, match=r"4 groups for a bottom of shape \(1, 8, 5, 5\)") as caught:
        op.infer([(1, 8, 5, 5)])
    assert kind in caught.value.hint
    with pytest.raises(ModelError, match="num_output"):
        layer(TEXT.format(kind=kind, settings="kernel_size: 3"))
