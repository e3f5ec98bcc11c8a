"""InnerProduct against a loop over every product."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from ristretto.errors import ModelError
from ristretto.execute import IntegerExecutor, SimulateExecutor
from ristretto.formats import FixedPoint
from ristretto.layers import InnerProduct
from ristretto.net import LayerQuant, Net, Part, Phase
from tests.battery import net_of

TEXT = 'type: "InnerProduct" inner_product_param {{ {} }}'


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(2, 3), (1, 1), (3, 2, 2, 3), (2, 4, 1, 1), (2, 3, 2)])
def test_every_product_is_summed(layer, check, rng, shape, bias) -> None:
    op = layer(TEXT.format(f"num_output: 4 bias_term: {str(bias).lower()}"))
    x = rng.standard_normal(shape).astype(np.float32)
    blobs = [rng.standard_normal(s).astype(np.float32) for s in op.blob_shapes([shape])]
    flat = x.reshape(shape[0], -1)
    top, products = np.zeros((shape[0], 4)), 0
    for n, o in itertools.product(range(shape[0]), range(4)):
        for k in range(flat.shape[1]):
            top[n, o] += float(flat[n, k]) * float(blobs[0][o, k])
            products += 1
        top[n, o] += float(blobs[1][o]) if bias else 0.0
    check(op, [x], [top], blobs, products=products, atol=1e-5)


@pytest.mark.parametrize(("axis", "first"), [(0, 0), (2, 2), (3, 3), (-1, 3), (-4, 0)])
@pytest.mark.parametrize("transpose", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_an_axis_begins_the_rows_and_the_matrix_may_lie_on_its_side(
    layer, check, rng, axis, first, transpose, bias
) -> None:
    op = layer(TEXT.format(f"num_output: 4 axis: {axis} transpose: {transpose} bias_term: {bias}".lower()))
    x = rng.standard_normal((2, 4, 3, 5)).astype(np.float32)
    inputs = math.prod(x.shape[first:])
    weights = rng.standard_normal((inputs, 4) if transpose else (4, inputs)).astype(np.float32)
    summand = rng.standard_normal(4).astype(np.float32)
    top, products = np.zeros((*x.shape[:first], 4)), 0
    for *row, o in np.ndindex(top.shape):
        for k, value in enumerate(x[tuple(row)].flat):
            top[(*row, o)] += float(value) * float(weights[(k, o) if transpose else (o, k)])
            products += 1
        top[(*row, o)] += float(summand[o]) if bias else 0.0
    # With axis 0 there are no pictures: all is one row.
    counted = products if first else products * x.shape[0]
    check(op, [x], [top], [weights, summand] if bias else [weights], products=counted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("settings", ["", "axis: 2", "transpose: true", "axis: -1 transpose: true"])
def test_codes_and_real_units_agree(layer, rng, settings) -> None:
    op = layer(TEXT.format(f"num_output: 4 {settings}"))
    x = rng.standard_normal((2, 4, 3, 5)).astype(np.float32)
    blobs = [rng.standard_normal(shape).astype(np.float32) for shape in op.blob_shapes([x.shape])]
    *inputs, it = net_of(op, [x.shape], blobs)
    quant = LayerQuant(FixedPoint(8, 5), FixedPoint(8, 3), FixedPoint(8, 5))
    net = Net("n", (*inputs, replace(it, quant=quant))).for_phase(Phase.TEST)
    ours, truth = (kind(net, {}).run({"b0": x}).outputs["t0"] for kind in (IntegerExecutor, SimulateExecutor))
    assert len(np.unique(truth)) > 5
    np.testing.assert_array_equal(ours, truth)


@pytest.mark.parametrize("axis", [2, -3])
def test_an_axis_that_is_not_there_is_named(misfit, axis) -> None:
    misfit(InnerProduct(3, axis=axis), [(4, 3)], f"axis {axis}")


def test_settings_are_read_as_caffe_does(layer) -> None:
    assert layer(TEXT.format("num_output: 7")) == InnerProduct(7, bias_term=True)


def test_an_inner_product_without_outputs_is_named(layer) -> None:
    with pytest.raises(ModelError, match="at least 1"):
        layer(TEXT.format("num_output: 0"))


def test_a_bottom_without_a_second_axis_is_named(misfit) -> None:
    misfit(InnerProduct(3), [(4,)], "1 axes")


def test_it_is_quantized_as_a_fully_connected_layer(layer) -> None:
    op = layer(TEXT.format("num_output: 2"))
    assert (op.quantized_type, op.part) == ("FcRistretto", Part.FC_PARAMS)
