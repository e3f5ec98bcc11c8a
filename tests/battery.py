"""One set of properties over every layer type and every number format.

A layer's own test writes down what its tops are, by plain loops, and hands that to `check_layer`; a format's own test
writes down its numbers as fractions, and hands those to `check_format`. What every layer and every format must do
beside that is checked here.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
from google.protobuf import text_format
from onnx import TensorProto, helper, numpy_helper

from ristretto.caffe.messages import as_fields
from ristretto.caffe.schema import message_class
from ristretto.errors import FormatError, ModelError
from ristretto.execute.compiled import Builder, Piece, ProgramStep
from ristretto.execute.onnx_segment import IR_VERSION, OPSET, OnnxStep
from ristretto.execute.values import State
from ristretto.formats import EXACT, FixedPoint, Format
from ristretto.layers import LAYERS, Input, Split
from ristretto.net import Layer, Net, Op, Phase
from ristretto.net.form import Pointwise

OPS = {op.type: op for op in LAYERS}
Arrays = Sequence[np.ndarray]
Shapes = Sequence[tuple[int, ...]]


def parse_layer(text: str, phase: Phase = Phase.TEST) -> Op:
    """Give the operation of one layer of a prototxt, as it acts in a phase."""
    message = text_format.Parse(text, message_class("LayerParameter")())
    return OPS[message.type].parse(as_fields(message)).in_phase(phase)


def net_of(op: Op, shapes: Shapes, blobs: Arrays = ()) -> Net:
    """Give the net of one layer, 'it', that reads blobs of these shapes."""
    inputs = [Layer(f"b{i}", Input((shape,)), tops=(f"b{i}",)) for i, shape in enumerate(shapes)]
    tops = tuple(f"t{i}" for i in range(len(op.infer(shapes))))
    it = Layer("it", op, bottoms=tuple(layer.name for layer in inputs), tops=tops, blobs=tuple(blobs))
    return Net("one layer", (*inputs, it))


def run_onnx(op: Op, bottoms: Arrays, blobs: Arrays) -> list[np.ndarray]:
    """Run an operation's ONNX form in onnxruntime, as the executors do."""
    shapes = [bottom.shape for bottom in bottoms]
    net = net_of(op, shapes, blobs)
    (it,) = (layer for layer in net if not layer.op.is_data)
    step = OnnxStep([it], dict(zip(it.bottoms, shapes, strict=True)), net.shapes({}), it.tops, it.tops)
    state = State(dict(zip(it.bottoms, bottoms, strict=True)))
    step.run(state)
    return [state.blobs[top] for top in it.tops]


def check_onnx_model(op: Op, shapes: Shapes) -> None:
    """Let ONNX's own checker infer types and shapes: an operand that this onnxruntime forgives is found here."""
    wanted = op.infer(shapes)
    constants = {f"w{i}": np.zeros(shape, np.float32) for i, shape in enumerate(op.blob_shapes(shapes))}
    nodes = []
    for node in op.onnx(shapes) or ():
        constants |= node.constants
        nodes.append(helper.make_node(node.op_type, list(node.inputs), list(node.outputs), **node.attributes))
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info(f"b{i}", TensorProto.FLOAT, shape) for i, shape in enumerate(shapes)],
        [helper.make_tensor_value_info(f"t{i}", TensorProto.FLOAT, shape) for i, shape in enumerate(wanted)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)


def check_layer(
    op: Op,
    bottoms: Arrays,
    expected: Arrays,
    blobs: Arrays = (),
    *,
    onnx_form: bool = True,
    products: int | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-6,
) -> None:
    """Hold a layer to what is expected of it.

    Parameters
    ----------
    op : Op
    bottoms : arrays, real units
    expected : float64 arrays
        The tops, as plain loops compute them.
    blobs : arrays, real units
        The weights.
    onnx_form : bool
        Whether the layer has an ONNX form.
    products : int or None
        Multiply-accumulates that the plain loops counted for the whole batch, of a layer that has any.
    rtol, atol : float
        How near float32 must come, here and in onnxruntime.
    """
    shapes = [bottom.shape for bottom in bottoms]
    assert op.infer(shapes) == tuple(np.shape(top) for top in expected)
    assert op.blob_shapes(shapes) == tuple(blob.shape for blob in blobs)
    if products is not None:
        assert op.macs(shapes) * shapes[0][0] == products
    else:
        assert (op.macs(shapes) > 0) is (op.part is not None)
    for kind, tolerance in ((np.float64, 1e-10), (np.float32, rtol)):
        inputs, weights = frozen(bottoms, kind), frozen(blobs, kind)
        tops = op.forward(inputs, weights)
        assert all(isinstance(top, np.ndarray) for top in tops)
        if op.higher_is_better is None:
            assert all(top.dtype == kind for top in tops)
        else:
            assert tops[0].dtype == np.float64
        for top, wanted in zip(tops, expected, strict=True):
            np.testing.assert_allclose(top, wanted, rtol=tolerance, atol=min(atol, tolerance))
        check_repeats(op, inputs, weights, tops, tolerance)
    if onnx_form:
        check_onnx_model(op, shapes)
        for top, wanted in zip(run_onnx(op, inputs, weights), tops, strict=True):
            assert top.dtype == np.float32
            assert top.shape == wanted.shape
            np.testing.assert_allclose(top, wanted, rtol=rtol, atol=atol)
    else:
        assert op.onnx(shapes) is None
    check_form(op, bottoms, blobs)
    check_weights_are_held_to_their_shapes(op, shapes, weights)


def frozen(arrays: Arrays, kind: type) -> list[np.ndarray]:
    """Give copies that cannot be written to: a layer that works on its bottom itself would show."""
    copies = [np.array(array, kind) for array in arrays]
    for copy in copies:
        copy.setflags(write=False)
    return copies


def check_repeats(op: Op, bottoms: Arrays, blobs: Arrays, tops: Arrays, tolerance: float) -> None:
    """The same numbers give the same bits, and the order in which they lie in memory changes next to nothing."""
    for top, again in zip(tops, op.forward(bottoms, blobs), strict=True):
        assert top.tobytes() == again.tobytes()
    turned = op.forward([bottom.copy(order="F") for bottom in bottoms], blobs)
    for top, other in zip(tops, turned, strict=True):
        np.testing.assert_allclose(other, top, rtol=tolerance, atol=tolerance)


CODES = (FixedPoint(8, 4), FixedPoint(16, 9))
"""What numbers are trimmed to where a program computes on codes: those that are stored as bytes, and wider ones."""


def check_form(op: Op, bottoms: Arrays, blobs: Arrays) -> None:
    """A compiled program gives the bits of `forward`, in float32 and on codes; what has no form is refused.

    Sums of products are rounded in another order there than in `forward`: such a layer gets numbers whose sums float32
    holds, and its sums of codes have tests of their own (tests/execute).
    """
    shapes = [bottom.shape for bottom in bottoms]
    tops = op.infer(shapes)
    walk, form = op.geometry(shapes[0]), op.form(shapes)
    everything = [*shapes, *tops]
    are_pictures = all(len(shape) in (2, 4) and math.prod(shape) for shape in everything)
    are_as_many = len({shape[:1] for shape in everything}) == 1
    # An inner product that begins at a later axis has several rows in a picture.
    fits = form is not None if walk is None else math.prod(walk.in_shape) == math.prod(shapes[0][1:])
    kept = _few if walk else np.float32
    numbers, weights = ([kept(array) for array in arrays] for arrays in (bottoms, blobs))
    it = net_of(op, shapes, weights)["it"]
    if not (are_pictures and are_as_many and fits):
        assert not any(Builder().takes(Piece(it, fmt), shapes, tops) for fmt in (None, *CODES))
        if not are_pictures and (pictures := as_pictures(op, bottoms, blobs)):
            check_form(op, pictures, blobs)
        return
    for fmt in (None, *CODES):
        if fmt is None and isinstance(form, Pointwise) and not op.channelwise(weights, shapes[0][1]):
            # Results are looked up by codes: without them there is nothing to look up.
            assert not Builder().takes(Piece(it), shapes, tops)
        elif fmt is None:
            check_program(it, numbers, fmt)
        elif not walk:
            # NaN has no code: a program refuses it.
            check_program(it, [np.where(np.isnan(array), np.float32(0), array) for array in numbers], fmt)


def as_pictures(op: Op, bottoms: Arrays, blobs: Arrays) -> list[np.ndarray] | None:
    """Give bottoms of four axes that hold the same numbers, where the layer takes these, too."""
    shapes = [(*(*bottom.shape, 1, 1)[:3], math.prod(bottom.shape[3:])) for bottom in bottoms]
    try:
        tops = op.infer(shapes)
    except ModelError:
        return None
    fits = op.blob_shapes(shapes) == tuple(blob.shape for blob in blobs)
    if not fits or not all(len(top) == 4 and math.prod(top) for top in tops):
        return None
    return [bottom.reshape(shape) for bottom, shape in zip(bottoms, shapes, strict=True)]


def _few(array: np.ndarray) -> np.ndarray:
    """Give numbers of few bits in place of others."""
    return np.clip(np.round(np.float32(array) * 2), -7, 7).astype(np.float32)


def check_program(it: Layer, bottoms: Arrays, fmt: FixedPoint | None) -> None:
    """A program of one layer, behind one that trims each bottom, gives the bits of `forward`."""
    builder = Builder()
    given = dict(zip(it.bottoms, bottoms, strict=True))
    for blob, array in given.items():
        same = Layer(f"same {blob}", Split(1), (blob,), (blob,))
        if fmt is not None:
            builder.add(Piece(same, fmt), [array.shape], [array.shape], frozenset())
    shapes = [bottom.shape for bottom in bottoms]
    tops = it.op.infer(shapes)
    assert builder.takes(Piece(it), shapes, tops)
    builder.add(Piece(it), shapes, tops, frozenset())
    state = State(dict(given))
    ProgramStep(builder, it.tops, EXACT).run(state)
    seen = [fmt.trim(array) if fmt else array for array in bottoms]
    for top, wanted in zip(it.tops, it.op.forward(seen, it.blobs), strict=True):
        check_bits(state.blobs[top], np.asarray(wanted))


def check_bits(got: np.ndarray, wanted: np.ndarray) -> None:
    """Two float32 arrays hold the same numbers, to the last bit.

    NaN is NaN, whatever its bits. Nor does the sign of a zero count: which of two zeros numpy takes for a maximum
    depends on its build.
    """
    assert got.dtype == wanted.dtype == np.float32
    np.testing.assert_array_equal(got, wanted)


def check_weights_are_held_to_their_shapes(op: Op, shapes: Shapes, blobs: Arrays) -> None:
    """A net takes the weights that the layer asks for, old files' leading ones included, and no others."""
    net = net_of(op, shapes, blobs)
    assert net.shapes({})["it"] == op.infer(shapes)
    if not blobs:
        return
    old = [blob.reshape((1,) * (4 - blob.ndim) + blob.shape) for blob in blobs]
    assert net_of(op, shapes, old).shapes({})["it"] == op.infer(shapes)
    for wrong in ([*blobs, blobs[-1]], [np.stack([blobs[0], blobs[0]]), *blobs[1:]]):
        check_refuses(net_of(op, shapes, wrong), "weight blob")


def check_refuses(net: Net, reason: str) -> None:
    """A net cannot be given shapes, for a reason, and says in which layer."""
    try:
        net.shapes({})
    except ModelError as error:
        assert error.layer == "it", error
        assert reason in error.message, error
    else:
        raise AssertionError(f"taken, in spite of: {reason}")


def check_misfit(op: Op, shapes: Shapes, reason: str) -> None:
    """A layer refuses bottoms of some shapes, for a reason."""
    inputs = [Layer(f"b{i}", Input((shape,)), tops=(f"b{i}",)) for i, shape in enumerate(shapes)]
    it = Layer("it", op, bottoms=tuple(layer.name for layer in inputs), tops=("t0",))
    check_refuses(Net("one layer", (*inputs, it)), reason)


Numbers = Sequence[tuple[int, Fraction]]
"""A format's codes with the numbers that they stand for, in ascending order of the numbers."""


def check_format(
    fmt: Format,
    numbers: Numbers,
    define: Callable[[Fraction], Fraction],
    *options: Any,
    saturates: bool = True,
) -> None:
    """Hold a format to its definition at every code, between every two, and beyond its ends.

    Parameters
    ----------
    fmt : Format
        Its numbers are float32's, and few enough to be listed.
    numbers : sequence of (int, Fraction)
        Every code with its number, ascending.
    define : callable
        The format's definition on one number: what it is trimmed to.
    *options
        What `trim` and `encode` take behind the numbers, and the definition has in it.
    saturates : bool
        Whether infinities have a number.
    """
    codes = np.array([code for code, _ in numbers])
    values = [value for _, value in numbers]
    exact = np.array([float(value) for value in values])
    assert values == sorted(values)
    assert (fmt.low, fmt.high) == (exact[0], exact[-1])
    assert fmt.decode(codes).dtype == np.float32
    np.testing.assert_array_equal(fmt.decode(codes), exact)
    np.testing.assert_array_equal(fmt.encode(exact, *options), codes)

    probes = _probes(exact)
    for kind in (np.float64, np.float32):
        given = np.unique(probes.astype(kind))
        trimmed = fmt.trim(given, *options)
        assert trimmed.dtype == np.float32
        wanted = [define(Fraction(float(x))) for x in given]
        np.testing.assert_array_equal(trimmed, np.array([float(value) for value in wanted]))
        at = [bisect_left(values, value) for value in wanted]
        np.testing.assert_array_equal(fmt.encode(given, *options), codes[at])
        np.testing.assert_array_equal(fmt.trim(trimmed, *options), trimmed)
        assert (np.diff(trimmed) >= 0).all()
    assert not np.signbit(trimmed[trimmed == 0]).any(), "a code for zero has no sign"

    assert np.isnan(fmt.trim(np.float32([np.nan, 0]), *options)).tolist() == [True, False]
    if saturates:
        ends = np.float32([-np.inf, np.inf])
        np.testing.assert_array_equal(fmt.trim(ends, *options), exact[[0, -1]])
        np.testing.assert_array_equal(fmt.encode(ends, *options), codes[[0, -1]])
    try:
        fmt.encode(np.float32([0, np.nan]), *options)
    except FormatError as error:
        assert "NaN" in error.message
    else:
        raise AssertionError("NaN has a code")
    check_layouts(fmt, probes.astype(np.float32), *options)


def _probes(exact: np.ndarray) -> np.ndarray:
    """Give every number, the points half-way between neighbours, their float neighbours, and what lies outside."""
    steps = np.diff(exact)
    least = steps.min() if steps.size else abs(exact[0]) or 1.0
    near = np.concatenate(
        [exact, (exact[:-1] + exact[1:]) / 2, exact[:-1] + steps / 3, [exact[0] - least / 2, exact[-1] + least / 2]]
    )
    wide = near.astype(np.float32).astype(np.float64)
    far = [exact[0] * 2 - least, exact[-1] * 2 + least, -3e38, 3e38, 0.0, -0.0, 1e-38, -1e-38]
    return np.concatenate(
        [
            near,
            np.nextafter(near, math.inf),
            np.nextafter(near, -math.inf),
            np.nextafter(wide.astype(np.float32), np.float32(math.inf)).astype(np.float64),
            np.nextafter(wide.astype(np.float32), np.float32(-math.inf)).astype(np.float64),
            far,
        ]
    )


def check_layouts(fmt: Format, x: np.ndarray, *options: Any) -> None:
    """Shape and memory order of an array make no difference, and it is left as it was."""
    plain = fmt.trim(x, *options)
    square = np.resize(x, (3, 4, 5))
    expected = np.resize(plain, (3, 4, 5))
    reading = square.copy()
    reading.setflags(write=False)
    for given in (square, np.asfortranarray(square), reading):
        np.testing.assert_array_equal(fmt.trim(given, *options), expected)
    np.testing.assert_array_equal(fmt.trim(square[:, ::2, 1:], *options), expected[:, ::2, 1:])
    np.testing.assert_array_equal(
        fmt.decode(fmt.encode(square.transpose(2, 0, 1), *options)), expected.transpose(2, 0, 1)
    )
    assert fmt.trim(np.float32(x[0]).reshape(()), *options).shape == ()
    assert fmt.trim(np.zeros((0, 3), np.float32), *options).shape == (0, 3)
    assert fmt.encode(np.zeros((0, 3), np.float32), *options).shape == (0, 3)
