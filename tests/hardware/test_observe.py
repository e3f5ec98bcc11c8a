"""What passes through a data path, against sums in int64 and counts that are made plainly."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.errors import FormatError, ModelError
from ristretto.execute import SimulateExecutor
from ristretto.formats import EXACT, HALF_EVEN, Arithmetic, FixedPoint, PowerOfTwo
from ristretto.hardware import ObservingExecutor, Realisability, needs, observe
from ristretto.hardware.realisability import trimmed_weights
from ristretto.layers import Pooling, ReLU
from ristretto.net import Layer, LayerQuant, Net
from tests.execute.nets import nets, other_quants, values
from tests.hardware.chains import QUANT, SHAPE, conv, net_of, picture


def report(net: Net, batches: list[dict[str, np.ndarray]], threads: int = 1) -> Realisability:
    executor = ObservingExecutor(net, {})
    return needs(executor.path, observe(executor, batches, threads), batches=len(batches), pictures=2 * len(batches))


def sums(layer: Layer, x: np.ndarray) -> np.ndarray:
    """Add up a convolution of one pixel in int64: codes of the input in, totals out."""
    quant = layer.quant
    assert quant is not None
    params, layer_in = quant.params, quant.layer_in
    assert isinstance(params, FixedPoint)
    assert isinstance(layer_in, FixedPoint)
    weights, bias = (params.encode(blob).astype(np.int64) for blob in layer.blobs)
    totals = np.zeros((len(x), len(weights), *x.shape[2:]), np.int64)
    for n, o, i in np.ndindex(len(x), *weights.shape[:2]):
        totals[n, o] += weights[o, i, 0, 0] * x[n, i]
    return totals + (bias << layer_in.fl).reshape(1, -1, 1, 1)


def plainly_rounded(x: np.ndarray, fl: int) -> np.ndarray:
    scaled = [Fraction(float(v)) * Fraction(2) ** fl for v in x.flat]
    return np.array([math.floor(abs(v) + Fraction(1, 2)) * (-1 if v < 0 else 1) for v in scaled], object)


def test_totals_saturation_and_codes_are_counted() -> None:
    net = net_of(conv("first", "data"), Layer("r", ReLU(), ("first",), ("first",)), conv("second", "first", seed=1))
    batches = [picture(seed) for seed in range(3)]
    first, second = report(net, batches).layers
    assert isinstance(QUANT.layer_in, FixedPoint)
    data = np.concatenate([batch["data"] for batch in batches])
    wished = plainly_rounded(data, 4)
    codes = np.clip(wished, -128, 127).astype(np.int64).reshape(data.shape)
    totals = sums(net["first"], codes)
    assert first.observed is not None
    seen = first.observed.layer_in
    assert (first.observed.low, first.observed.high) == (totals.min(), totals.max())
    assert seen.numbers == data.size
    assert seen.saturated == ((wished < -128) | (wished > 127)).sum() > 0
    assert (seen.low, seen.high) == (codes.min(), codes.max())
    assert seen.used == len(set(codes.flat))
    assert seen.never == 256 - len(set(codes.flat))
    made = np.array([(abs(t) + 32 >> 6) * (-1 if t < 0 else 1) for t in totals.flat]).reshape(totals.shape)
    out = first.observed.layer_out
    assert out.saturated == ((made < -128) | (made > 127)).sum()
    read = np.maximum(np.clip(made, -128, 127), 0)
    assert second.observed is not None
    assert second.observed.layer_in.used == len(set(read.flat))
    again = sums(net["second"], read)
    assert (second.observed.low, second.observed.high) == (again.min(), again.max())


@settings(deadline=None, max_examples=60)
@given(st.one_of(nets(), nets(quants=other_quants())), st.sampled_from((EXACT, HALF_EVEN)))
def test_observing_changes_no_number_and_stays_within_the_worst_case(
    made: tuple[Net, dict[str, np.ndarray]], arithmetic: Arithmetic
) -> None:
    net, batch = made
    inputs = {blob: x.shape for blob, x in batch.items()}
    executor = ObservingExecutor(net, inputs, keep=values(net), arithmetic=arithmetic)
    observed = observe(executor, [batch], 1)
    plain = SimulateExecutor(net, inputs, keep=values(net), arithmetic=arithmetic).run(batch).kept
    for name, x in executor.run(batch).kept.items():
        np.testing.assert_array_equal(x, plain[name])
    for name, seen in observed.items():
        path = executor.path[name].mac or executor.path[name].products
        assert path is not None
        assert path.low <= seen.low <= seen.high <= path.high
        assert seen.layer_in.low >= path.input.low
        assert seen.layer_in.high <= path.input.high


def test_weights_are_counted_exactly() -> None:
    weights = np.array([0.0, 0.24, 0.26, 3.0, -9.0, 7.49, 7.6], np.float32)
    seen = trimmed_weights(weights, FixedPoint(4, 0), EXACT)
    assert seen is not None
    assert (seen.numbers, seen.saturated, seen.low, seen.high, seen.used, seen.codes) == (7, 2, -8, 7, 4, 16)
    powers = trimmed_weights(np.array([0.0, 0.5, -2.0, 0.1, 0.25], np.float32), PowerOfTwo(-2, -1), EXACT)
    assert powers is not None
    # 0 and 0.1 lie below the least power, 2 above the greatest.
    assert (powers.saturated, powers.used, powers.codes) == (3, 3, 4)


def test_memory_and_work_are_those_of_one_picture() -> None:
    wide = LayerQuant(FixedPoint(8, 4), FixedPoint(6, 2), FixedPoint(5, 3))
    net = net_of(
        conv("first", "data", wide),
        Layer("p", Pooling("MAX", (2, 2), (2, 2)), ("first",), ("p",)),
        conv("plain", "p", None),
    )
    first, plain = report(net, [picture()]).layers
    pixels = SHAPE[2] * SHAPE[3]
    assert first.macs == 2 * 2 * pixels
    assert first.weight_bits == (2 * 2 + 2) * 5
    assert (first.in_bits, first.out_bits) == (2 * pixels * 8, 2 * pixels * 6)
    assert (plain.weight_bits, plain.out_bits) == (6 * 32, 2 * 9 * 32)
    assert plain.observed is None
    whole = report(net, [picture()])
    assert whole.macs == 4 * pixels + 4 * 9
    assert whole.weight_bits == 30 + 192
    # The one in float reads and writes more.
    assert whole.working_bits == plain.in_bits + plain.out_bits == 1152


def test_threads_change_nothing() -> None:
    net = net_of(conv("first", "data"))
    batches = [picture(seed) for seed in range(6)]
    one, two = (report(net, batches, threads).layers[0].observed for threads in (1, 2))
    assert one == two


def test_nan_is_an_error_that_names_layer_and_blob() -> None:
    batch = picture()
    batch["data"][0, 0, 0, 0] = np.nan
    with pytest.raises((FormatError, ModelError), match=r"layer 'first'.*blob 'data'.*NaN"):
        report(net_of(conv("first", "data")), [batch])
