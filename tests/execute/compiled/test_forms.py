"""Which form each layer type has, and what its kernel makes of numbers that are none."""

from __future__ import annotations

import numpy as np
import pytest

from ristretto.execute.compiled import Builder, Piece
from ristretto.formats import FixedPoint
from ristretto.layers import (
    BNLL,
    ELU,
    LAYERS,
    LRN,
    AbsVal,
    Axpy,
    BatchNorm,
    Bias,
    Clip,
    Concat,
    Convolution,
    ConvolutionDepthwise,
    Crop,
    Deconvolution,
    DepthwiseConvolution,
    Dropout,
    Eltwise,
    Exp,
    Flatten,
    InnerProduct,
    Log,
    Normalize,
    Pooling,
    Power,
    PReLU,
    ReLU,
    ReLU6,
    Scale,
    ShuffleChannel,
    Sigmoid,
    Slice,
    Softmax,
    Split,
    Swish,
    TanH,
    Threshold,
)
from ristretto.layers.coverage import Coverage
from ristretto.net import Layer, Op
from ristretto.net.form import (
    ChannelNormalize,
    ChannelSoftmax,
    Clamp,
    Gate,
    Join,
    Pieces,
    Pointwise,
    Response,
    Same,
    Stack,
    Window,
)
from tests.battery import check_program

SHAPE = (2, 3, 4, 5)
FORMS: dict[type[Op], tuple[Op, type | None]] = {
    AbsVal: (AbsVal(), Pointwise),
    Axpy: (Axpy(), Gate),
    BNLL: (BNLL(), Pointwise),
    BatchNorm: (BatchNorm(use_global_stats=True), Pointwise),
    Bias: (Bias(), Pointwise),
    Clip: (Clip(-1.0, 1.0), Clamp),
    Concat: (Concat(), Stack),
    Convolution: (Convolution(3, (3, 3)), None),
    ConvolutionDepthwise: (ConvolutionDepthwise(3, (3, 3), group=3), None),
    Crop: (Crop(axis=1, offset=(1, 0, 2)), Pieces),
    Deconvolution: (Deconvolution(3, (3, 3)), None),
    DepthwiseConvolution: (DepthwiseConvolution(3, (3, 3), group=3), None),
    Dropout: (Dropout(), Same),
    ELU: (ELU(), Pointwise),
    Eltwise: (Eltwise(), Join),
    Exp: (Exp(), Pointwise),
    Flatten: (Flatten(), Same),
    InnerProduct: (InnerProduct(3), None),
    LRN: (LRN(), Response),
    Log: (Log(), Pointwise),
    Normalize: (Normalize(across_spatial=False), ChannelNormalize),
    PReLU: (PReLU(), Pointwise),
    ShuffleChannel: (ShuffleChannel(3), Pieces),
    Slice: (Slice(3), Pieces),
    Pooling: (Pooling("AVE", (2, 2)), Window),
    Power: (Power(), Pointwise),
    ReLU: (ReLU(), Clamp),
    ReLU6: (ReLU6(), Clamp),
    Scale: (Scale(), Pointwise),
    Sigmoid: (Sigmoid(), Pointwise),
    Softmax: (Softmax(), ChannelSoftmax),
    Split: (Split(2), Same),
    Swish: (Swish(), Pointwise),
    TanH: (TanH(), Pointwise),
    Threshold: (Threshold(), Pointwise),
}
"""An operation of every type that programs run, with its form; those without one have a geometry."""


def shapes_for(op: Op) -> list[tuple[int, ...]]:
    if isinstance(op, Axpy):
        return [SHAPE[:2], SHAPE, SHAPE]
    if isinstance(op, Crop):
        return [SHAPE, (2, 2, 3, 3)]
    shape = (2, 3, 1, 1) if isinstance(op, Flatten) else SHAPE
    return [shape] * op.bottom_counts()[0]


@pytest.mark.parametrize(("op", "form"), FORMS.values(), ids=[op.type for op in FORMS])
def test_a_program_runs_it(op: Op, form: type | None) -> None:
    """The numbers are the business of the battery; here is seen that the type has not silently lost its form."""
    shapes = shapes_for(op)
    bottoms = tuple(f"b{i}" for i in range(len(shapes)))
    blobs = tuple(np.ones(shape, np.float32) for shape in op.blob_shapes(shapes))
    piece = Piece(
        Layer("it", op, bottoms, tuple(f"t{i}" for i in range(len(op.infer(shapes)))), blobs), FixedPoint(8, 4)
    )
    assert Builder().takes(piece, shapes, op.infer(shapes))
    assert (type(op.form(shapes)) if form else op.form(shapes)) is form
    assert (op.geometry(shapes[0]) is None) is (form is not None)


def test_no_other_type_says_that_it_has_one() -> None:
    has = {layer for layer in LAYERS if layer.form is not Op.form or layer.geometry is not Op.geometry}
    assert has == set(FORMS)


@pytest.mark.parametrize(
    ("op", "second"),
    [(Scale(Coverage(axis=0)), (2, 3)), (Scale(Coverage(axis=-4)), (2, 3))],
    ids=["axis 0", "axis -4"],
)
def test_factors_of_pictures_and_channels_are_a_gate(op: Op, second: tuple[int, ...]) -> None:
    assert isinstance(op.form([SHAPE, second]), Gate)


@pytest.mark.parametrize(
    ("op", "second"),
    [
        (Scale(Coverage(axis=0)), (2,)),
        (Scale(Coverage(axis=0)), SHAPE),
        (Scale(), (3,)),
        (Scale(Coverage(axis=0), bias_term=True), (2, 3)),
    ],
    ids=["of pictures", "of everything", "of channels", "with a bias"],
)
def test_other_factors_that_are_a_bottom_have_no_form(op: Op, second: tuple[int, ...]) -> None:
    assert op.form([SHAPE, second]) is None


TINY = np.float32(1e-45)
STRANGE = np.float32([0, np.inf, -np.inf, np.nan, 3e38, -3e38, TINY, -TINY, 1, -1, 0.3, 6])
"""Numbers at the ends of float32, and what is no number."""


@pytest.mark.parametrize(
    "op",
    [
        *(ReLU(), ReLU6(), Clip(-1.0, 0.5), Clip(-1e-45, 1e-45), Dropout(), Split(2)),
        *(Pooling("MAX", (2, 2), pad=(1, 1)), Pooling("MAX", (1, 3), (1, 2)), Pooling("AVE", (2, 2), pad=(1, 1))),
        *(Concat(), Eltwise("SUM"), Eltwise("SUM", (0.5, -1e-20)), Eltwise("PROD"), Eltwise("MAX"), LRN(3)),
        *(BatchNorm(use_global_stats=True), Scale(bias_term=True), Scale(), Scale(Coverage(1, 0)), Bias(), PReLU()),
        *(ReLU(-0.5), ReLU(1e-30), Power(1.0, -2.0, 0.5), Power(1.0, 1e39), Axpy(), Softmax()),
        *(Normalize(across_spatial=False), Normalize(across_spatial=False, eps=0.0), ShuffleChannel(17)),
        *(Slice(2, points=(3,)), Slice(17), Crop(1, (2, 1, 0))),
    ],
    ids=str,
)
def test_strange_numbers_give_what_the_layer_itself_gives(op: Op) -> None:
    """Where a blob has no format they pass through a program as they do through `forward`."""
    rng = np.random.default_rng(1)
    shapes = [(2, 17, 5, 6)] * op.bottom_counts()[0]
    shapes[:1] = [(2, 17)] if isinstance(op, Axpy) else shapes[:1]
    shapes[1:] = [(2, 9, 4, 6)] if isinstance(op, Crop) else shapes[1:]
    bottoms = [np.float32(rng.choice(STRANGE, shape)) for shape in shapes]
    tops = tuple(f"t{i}" for i in range(len(op.infer(shapes))))
    blobs = tuple(np.float32(rng.choice(STRANGE, shape)) for shape in op.blob_shapes(shapes))
    with np.errstate(all="ignore"):
        check_program(Layer("it", op, tuple(f"b{i}" for i in range(len(shapes))), tops, blobs), bottoms, None)


@pytest.mark.parametrize("op", [op for op, form in FORMS.values() if form is Pointwise], ids=str)
@pytest.mark.parametrize("bits", [1, 2, 8, 9, 16])
def test_every_code_is_looked_up(op: Op, bits: int) -> None:
    fmt = FixedPoint(bits, bits // 2)
    codes = fmt.decode(np.arange(fmt.low_code, fmt.high_code + 1))
    x = np.resize(codes, (1, 3, 1, len(codes)))
    blobs = tuple(np.float32(np.arange(np.prod(shape)) - 0.5).reshape(shape) for shape in op.blob_shapes([x.shape]))
    with np.errstate(all="ignore"):
        check_program(Layer("it", op, ("x",), ("y",), blobs), [x], fmt)
