from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ristretto.execute import IntegerExecutor, SimulateExecutor
from ristretto.execute.compiled import ProgramStep
from ristretto.formats import FixedPoint
from ristretto.layers.deconvolution import Deconvolution
from ristretto.layers.input import Input
from ristretto.net import Layer, LayerQuant, Net, Part, Phase

TEXT = 'name: "d" type: "Deconvolution" bottom: "x" top: "y" convolution_param {{ {settings} }}'

CASES = [
    "num_output: 4 kernel_size: 3",
    "num_output: 4 kernel_size: 4 stride: 2 pad: 1",
    "num_output: 4 kernel_size: 3 stride: 2 dilation: 2 pad: 1",
    "num_output: 6 kernel_size: 3 stride: 3 group: 2",
    "num_output: 4 kernel_size: 4 stride: 2 pad: 1 group: 4 bias_term: false",
    "num_output: 2 kernel_h: 2 kernel_w: 5 stride_h: 3 stride_w: 1 pad_h: 0 pad_w: 2",
    "num_output: 3 kernel_size: 1 stride: 2 pad: 1",
    "num_output: 2 kernel_size: 2 stride: 3 pad: 2",
]


def deconvolved(
    op: Deconvolution, x: np.ndarray, weights: np.ndarray, bias: np.ndarray | None
) -> tuple[np.ndarray, int]:
    """Let every pixel stamp its kernels onto the output, one product at a time; give the top and the products."""
    count, channels, height, width = x.shape
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = op.kernel, op.stride, op.pad, op.dilation
    oh = sh * (height - 1) + dh * (kh - 1) + 1 - 2 * ph
    ow = sw * (width - 1) + dw * (kw - 1) + 1 - 2 * pw
    top = np.zeros((count, op.num_output, oh, ow))
    inputs, outputs = channels // op.group, op.num_output // op.group
    products = 0
    for n, c, h, w in itertools.product(*(range(size) for size in x.shape)):
        for o, i, j in itertools.product(range(outputs), range(kh), range(kw)):
            row, column = h * sh + i * dh - ph, w * sw + j * dw - pw
            products += 1
            if 0 <= row < oh and 0 <= column < ow:
                product = float(x[n, c, h, w]) * float(weights[c, o, i, j])
                top[n, c // inputs * outputs + o, row, column] += product
    return (top if bias is None else top + bias.reshape(-1, 1, 1)), products


def random_blobs(op: Deconvolution, x: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.standard_normal(shape).astype(np.float32) for shape in op.blob_shapes([x.shape])]


@pytest.mark.parametrize("settings", CASES)
def test_each_pixel_stamps_its_kernels(layer, check, rng, settings) -> None:
    op = layer(TEXT.format(settings=settings))
    x = rng.standard_normal((2, 4, 5, 4)).astype(np.float32)
    blobs = random_blobs(op, x, rng)
    expected, products = deconvolved(op, x, blobs[0], blobs[1] if op.bias_term else None)
    check(op, [x], [expected], blobs, products=products, atol=1e-5)


@pytest.mark.parametrize("settings", CASES)
def test_the_walk_is_that_of_a_convolution(layer, rng, settings) -> None:
    op = layer(TEXT.format(settings=settings))
    x = rng.standard_normal((1, 4, 5, 4))
    weights = rng.standard_normal(op.blob_shapes([x.shape])[0])
    walk = op.geometry(x.shape)
    plain, rows, pictures = walk.plain, op.weight_rows(weights, walk), walk.spread_out(x)
    assert pictures.shape == (1, *plain.in_shape)
    assert rows.shape == (op.num_output, walk.terms)
    assert min(plain.pad) >= 0
    assert (plain.stride, plain.spread, plain.plain) == ((1, 1), (1, 1), plain)
    padded = np.pad(pictures[0], ((0, 0), (plain.pad[0],) * 2, (plain.pad[1],) * 2))
    top = np.zeros(plain.out_shape)
    inputs, outputs = 4 // op.group, op.num_output // op.group
    for o, h, w in itertools.product(*(range(size) for size in plain.out_shape)):
        first = o // outputs * inputs
        window = padded[first : first + inputs, h:, w:][:, :: op.dilation[0], :: op.dilation[1]]
        top[o, h, w] = (window[:, : op.kernel[0], : op.kernel[1]].ravel() * rows[o]).sum()
    np.testing.assert_allclose(top, deconvolved(op, x, weights, None)[0][0], rtol=1e-10, atol=1e-10)


@st.composite
def jobs(draw: st.DrawFn) -> tuple[Deconvolution, tuple[int, int, int, int], LayerQuant, int]:
    group = draw(st.sampled_from([1, 1, 2, 3]))
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    op = Deconvolution(
        num_output=group * draw(st.integers(1, 3)),
        kernel=draw(pair),
        stride=draw(pair),
        pad=draw(st.tuples(st.integers(0, 2), st.integers(0, 2))),
        dilation=draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
        group=group,
        bias_term=draw(st.booleans()),
    )
    bottom = (
        draw(st.integers(1, 2)),
        group * draw(st.integers(1, 2)),
        draw(st.integers(1, 5)),
        draw(st.integers(1, 5)),
    )
    for size, k, s, p, d in zip(bottom[2:], op.kernel, op.stride, op.pad, op.dilation, strict=True):
        assume(s * (size - 1) + d * (k - 1) + 1 - 2 * p >= 1)
    formats = [FixedPoint(draw(st.sampled_from([2, 4, 8, 16])), draw(st.integers(-2, 12))) for _ in range(3)]
    return op, bottom, LayerQuant(*formats), draw(st.integers(0, 2**32 - 1))


@given(jobs())
def test_integer_codes_give_the_bits_of_the_simulation(job) -> None:
    op, bottom, quant, seed = job
    rng = np.random.default_rng(seed)
    blobs = tuple(rng.normal(0, 2, shape).astype(np.float32) for shape in op.blob_shapes([bottom]))
    layers = (
        Layer("data", Input((bottom,)), (), ("x",)),
        Layer("deconv", op, ("x",), ("y",), blobs, quant=quant),
    )
    net = Net("net", layers).for_phase(Phase.TEST)
    batch = {"x": rng.normal(0, 4, bottom).astype(np.float32)}
    wanted, got = (
        executor(net, {}, keep=["data.top0", "deconv.top0"]).run(batch).outputs["y"]
        for executor in (SimulateExecutor, IntegerExecutor)
    )
    assert got.shape == op.infer([bottom])[0]
    np.testing.assert_array_equal(got, wanted)


def test_codes_run_in_a_program(layer, rng) -> None:
    """The comparison above means something: the layer is no simulation in disguise."""
    op = layer(TEXT.format(settings="num_output: 4 kernel_size: 4 stride: 2 pad: 1"))
    x = rng.standard_normal((1, 4, 3, 3)).astype(np.float32)
    quant = LayerQuant(FixedPoint(8, 5), FixedPoint(8, 4), FixedPoint(8, 6))
    layers = (
        Layer("data", Input((x.shape,)), (), ("x",)),
        Layer("deconv", op, ("x",), ("y",), tuple(random_blobs(op, x, rng)), quant=quant),
    )
    steps = IntegerExecutor(Net("net", layers).for_phase(Phase.TEST), {}).steps
    assert [type(step) for step in steps] == [ProgramStep]


def test_it_is_quantized_with_the_convolutions(layer) -> None:
    op = layer(TEXT.format(settings="num_output: 6 kernel_size: 3"))
    assert (op.quantized_type, op.part, op.quantized_settings) == ("DeconvolutionRistretto", Part.CONV_PARAMS, {})


@pytest.mark.parametrize(
    ("settings", "bottom", "fault"),
    [
        ("num_output: 4 kernel_size: 3", (1, 4), "its bottom has 2 axes"),
        ("num_output: 6 kernel_size: 3 group: 3", (1, 4, 2, 2), "group 3 does not divide the 4 channels"),
        ("num_output: 4 kernel_size: 3 pad: 2", (1, 4, 2, 2), "pad (2, 2) leaves nothing of its output"),
    ],
)
def test_misfits_are_named(layer, misfit, settings, bottom, fault) -> None:
    misfit(layer(TEXT.format(settings=settings)), [bottom], fault)
