"""The simulating executor against fractions: whole nets, computed one number at a time."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ristretto.execute import SimulateExecutor
from ristretto.formats import EXACT as DEFAULT
from ristretto.formats import HALF_EVEN, Arithmetic, FixedPoint
from ristretto.layers import Concat, Convolution, InnerProduct, Input, Pooling, ReLU
from ristretto.net import Layer, LayerQuant, Net, Phase
from tests.execute.exact import fractions, trimmed
from tests.execute.nets import EXACT, nets, partial_quants, values


def computed(layer: Layer, bottoms: list[np.ndarray], blobs: list[np.ndarray]) -> np.ndarray:
    """Give a layer's top in fractions."""
    op, x = layer.op, bottoms[0]
    if isinstance(op, ReLU):
        return np.array([max(v, Fraction(0)) for v in x.flat], object).reshape(x.shape)
    if isinstance(op, Concat):
        return np.concatenate(bottoms, axis=1)
    if isinstance(op, InnerProduct):
        rows = x.reshape(len(x), -1)
        bias = blobs[1] if op.bias_term else [Fraction(0)] * op.num_output
        return np.array([[sum(r * w) + b for w, b in zip(blobs[0], bias, strict=True)] for r in rows], object)
    if not isinstance(op, Convolution | Pooling):
        return x
    top = np.empty(op.infer([x.shape])[0], object)
    (kh, kw), (sh, sw), (ph, pw) = op.kernel, op.stride, op.pad
    dh, dw = getattr(op, "dilation", (1, 1))
    for n, o, i, j in itertools.product(*(range(size) for size in top.shape)):
        places = {
            (u, v): (i * sh - ph + u * dh, j * sw - pw + v * dw) for u, v in itertools.product(range(kh), range(kw))
        }
        seen = {tap: (y, z) for tap, (y, z) in places.items() if 0 <= y < x.shape[2] and 0 <= z < x.shape[3]}
        if isinstance(op, Pooling):
            top[n, o, i, j] = max(x[n, o, y, z] for y, z in seen.values())
            continue
        inputs, outputs = x.shape[1] // op.group, op.num_output // op.group
        first = o // outputs * inputs
        total = blobs[1][o] if op.bias_term else Fraction(0)
        for c, ((u, v), (y, z)) in itertools.product(range(inputs), seen.items()):
            total += x[n, first + c, y, z] * blobs[0][o, c, u, v]
        top[n, o, i, j] = total
    return top


def exact(net: Net, batch: dict[str, np.ndarray], arithmetic: Arithmetic) -> tuple[dict[str, np.ndarray], ...]:
    """Run a net as the fork's TEST phase is defined; give what each layer made, and the blobs at the end.

    A place without a format is left as it is.
    """

    def fitted(x: np.ndarray, fmt: FixedPoint | None) -> np.ndarray:
        return trimmed(x, fmt, arithmetic) if fmt else x

    made: dict[str, np.ndarray] = {}
    blobs = {name: fractions(value) for name, value in batch.items()}
    made["data.top0"] = blobs["data"]
    for layer in net.layers[1:]:
        quant = layer.quant or LayerQuant(None, None, None)
        blobs[layer.bottoms[0]] = fitted(blobs[layer.bottoms[0]], quant.layer_in)
        weights = [fitted(fractions(blob), quant.params) for blob in layer.blobs]
        top = fitted(computed(layer, [blobs[bottom] for bottom in layer.bottoms], weights), quant.layer_out)
        if weights and not (quant.layer_in and quant.layer_out and quant.params):
            assume(float32_sums_are_exact(blobs[layer.bottoms[0]], *weights))
        blobs[layer.tops[0]] = made[f"{layer.name}.top0"] = top
    return made, blobs


def float32_sums_are_exact(x: np.ndarray, weights: np.ndarray, *bias: np.ndarray) -> bool:
    """Whether every sum of these products, in any order, lies on a grid of 24 bits."""

    def finest(numbers: np.ndarray) -> int:
        return max(number.denominator for number in numbers.flat)

    largest = max(abs(v) for v in x.flat) * max(sum(abs(w) for w in row.flat) for row in weights)
    largest += max((abs(b) for blob in bias for b in blob.flat), default=0)
    return largest * max(finest(x) * finest(weights), *(finest(blob) for blob in bias), 1) < 2**24


def check_exact(net: Net, batch: dict[str, np.ndarray], arithmetic: Arithmetic) -> None:
    made, blobs = exact(net, batch, arithmetic)
    run = SimulateExecutor(net, {}, keep=values(net), arithmetic=arithmetic).run(batch)
    for name, value in made.items():
        np.testing.assert_array_equal(fractions(run.kept[name]), value, err_msg=name)
    assert run.outputs.keys() == set(net.outputs)
    for blob, value in run.outputs.items():
        np.testing.assert_array_equal(fractions(value), blobs[blob])


@given(nets(kinds=EXACT, longest=4), st.sampled_from((DEFAULT, HALF_EVEN)))
@settings(max_examples=60)
def test_every_number_is_the_exact_one(job, arithmetic: Arithmetic) -> None:
    check_exact(*job, arithmetic)


@given(nets(kinds=EXACT, quants=partial_quants(16), longest=4, coarse=True), st.sampled_from((DEFAULT, HALF_EVEN)))
@settings(max_examples=60)
def test_places_left_in_float_are_left_alone(job, arithmetic: Arithmetic) -> None:
    """Where float32 sums are exact: elsewhere they are rounded as onnxruntime rounds them."""
    check_exact(*job, arithmetic)


def test_a_trimmed_input_is_trimmed_for_every_later_reader() -> None:
    """Two quantized layers and a sum read one blob; each sees what the one before it left."""
    coarse, fine, wide = FixedPoint(8, 0), FixedPoint(8, 4), FixedPoint(16, 8)
    one = (np.ones((1, 1), np.float32), np.zeros(1, np.float32))
    layers = (
        Layer("data", Input(((1, 1),)), (), ("data",)),
        Layer("before", ReLU(), ("data",), ("before",)),
        Layer("fine", InnerProduct(1), ("data",), ("fine",), one, quant=LayerQuant(fine, wide, wide)),
        Layer("between", ReLU(), ("data",), ("between",)),
        Layer("coarse", InnerProduct(1), ("data",), ("coarse",), one, quant=LayerQuant(coarse, wide, wide)),
        Layer("after", ReLU(), ("data",), ("after",)),
        Layer("again", InnerProduct(1), ("data",), ("again",), one, quant=LayerQuant(fine, wide, wide)),
    )
    run = SimulateExecutor(Net("net", layers).for_phase(Phase.TEST), {}, keep=["data.top0"]).run(
        {"data": np.float32([[1.46875]])}
    )
    outputs = {blob: value.item() for blob, value in run.outputs.items()}
    # 1.46875 lies half-way between two sixteenths: 1.5, which then rounds up to 2; at once it would have become 1.
    assert outputs == {"before": 1.46875, "fine": 1.5, "between": 1.5, "coarse": 2, "after": 2, "again": 2}
    assert run.kept["data.top0"].item() == 1.46875


def test_nothing_is_rounded_between_products_and_output() -> None:
    """The sum of 1000 products, each far below the output's step."""
    quant = LayerQuant(FixedPoint(8, 7), FixedPoint(8, 0), FixedPoint(8, 7))
    weights = (np.full((1, 1000), 2.0**-7, np.float32), np.float32([0.5]))
    layers = (
        Layer("data", Input(((1, 1000),)), (), ("data",)),
        Layer("ip", InnerProduct(1), ("data",), ("ip",), weights, quant=quant),
    )
    run = SimulateExecutor(Net("net", layers).for_phase(Phase.TEST), {}).run({"data": np.full((1, 1000), 2.0**-4)})
    assert run.outputs["ip"].item() == 1
