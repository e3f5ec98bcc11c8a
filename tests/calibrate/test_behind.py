"""What an output goes through before others read it, and formats that are chosen by what comes out of that."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from ristretto.calibrate import Accumulator, CalibrationStats, LayerStats, calibrate, from_arrays, to_arrays
from ristretto.calibrate.behind import layers_behind, run_behind
from ristretto.formats import FixedPoint
from ristretto.layers import LRN, Convolution, Eltwise, InnerProduct, Input, Log, Pooling, ReLU, Scale, Softmax
from ristretto.net import Layer, Net, Op, Phase
from ristretto.search.fit import error_behind, fixed_point_for_output, share_behind

SHAPE = (4, 2, 8, 8)
MEAN, LARGEST = Pooling("AVE", (2, 2), (2, 2)), Pooling("MAX", (2, 2), (2, 2))
WITHIN = LRN(3, alpha=5.0, within_channel=True)
AFFINE = Scale()


def blobs_of(op: Op, shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(3)
    return tuple(rng.normal(size=size).astype(np.float32) for size in op.blob_shapes([shape]))


def net_of(*between: Op, last: Op | None = None, in_place: bool = False) -> Net:
    """Give a net: a convolution, layers in a row, and a layer at the end, an inner product if no other is named."""
    layers = [Layer("data", Input((SHAPE,)), (), ("data",))]
    blob, shape = "data", SHAPE
    for number, op in enumerate((Convolution(3, (3, 3), pad=(1, 1)), *between, last or InnerProduct(2))):
        (after,) = op.infer([shape])
        top = blob if in_place and after == shape else f"b{number}"
        layers.append(Layer(f"l{number}", op, (blob,), (top,), blobs_of(op, shape)))
        blob, shape = top, after
    return Net("net", tuple(layers)).for_phase(Phase.TEST)


def behind(net: Net) -> tuple[str, ...]:
    shapes = net.shapes({"data": SHAPE})
    return tuple(layer.name for layer in layers_behind(net, net["l0"], shapes["l0"][0]))


@pytest.mark.parametrize(
    ("between", "count"),
    [
        ((MEAN,), 1),
        ((WITHIN,), 1),
        ((LRN(3),), 1),
        ((LARGEST, ReLU(), WITHIN), 3),
        ((AFFINE, ReLU(), MEAN), 3),
        ((MEAN, WITHIN), 2),
        # What follows the last of them is no part of it.
        ((WITHIN, ReLU(), LARGEST), 1),
        ((), 0),
        ((ReLU(),), 0),
        ((LARGEST, ReLU()), 0),
        ((AFFINE,), 0),
    ],
)
def test_it_ends_with_the_last_mean_or_normalization(between: tuple[Op, ...], count: int) -> None:
    expected = tuple(f"l{number}" for number in range(1, count + 1))
    assert behind(net_of(*between)) == expected
    assert behind(net_of(*between, in_place=True)) == expected


def test_another_convolution_ends_it() -> None:
    assert behind(net_of(ReLU(), Convolution(3, (1, 1)), MEAN)) == ()


def test_a_softmax_ends_it() -> None:
    assert behind(net_of(ReLU(), MEAN, last=Softmax())) == ("l1", "l2")
    assert behind(net_of(ReLU(), Softmax(), MEAN)) == ()


def test_a_second_reader_ends_it() -> None:
    net = net_of(ReLU(), MEAN)
    other = Layer("other", Pooling("AVE", (4, 4), (4, 4)), ("b1",), ("other",))
    assert behind(replace(net, layers=(*net.layers, other))) == ()
    other = replace(other, bottoms=("b0",))
    assert behind(replace(net, layers=(*net.layers, other))) == ()


def test_a_join_ends_it() -> None:
    net = net_of(ReLU(), MEAN)
    join = Layer("join", Eltwise("SUM"), ("b0", "b1"), ("join",))
    assert behind(replace(net, layers=(*net.layers, join))) == ()


def calibrated(net: Net) -> CalibrationStats:
    rng = np.random.default_rng(7)
    # Heavy tails: some pictures have far larger numbers than others.
    batches = [{"data": rng.standard_t(2, size=SHAPE).astype(np.float32)} for _ in range(3)]
    return calibrate(net, {"data": SHAPE}, batches)


def test_the_error_is_that_of_what_comes_out() -> None:
    stats = calibrated(net_of(ReLU(), MEAN)).layers["l0"]
    fmt = FixedPoint(4, 1)
    y = stats.sample_out.astype(np.float64)
    trimmed = np.clip(np.sign(y) * np.floor(np.abs(y) * 2 + 0.5), -8, 7) / 2

    def means(x: np.ndarray) -> np.ndarray:
        x = np.maximum(x, 0)
        return (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4

    expected = np.mean((means(trimmed) - means(y)) ** 2)
    np.testing.assert_allclose(error_behind(stats, fmt), expected, rtol=1e-5)
    # The histogram counts every number by itself.
    assert error_behind(stats, fmt) < 0.6 * stats.layer_out.squared_error(fmt, rectified=True)


def test_a_normalization_takes_the_weight_off_large_numbers() -> None:
    stats = calibrated(net_of(WITHIN)).layers["l0"]
    fine, coarse = fixed_point_for_output(stats, 4), fixed_point_for_output(replace(stats, behind=()), 4)
    assert fine.fl > coarse.fl
    normalized = run_behind(stats.behind, stats.sample_out)
    errors = [
        np.square(run_behind(stats.behind, fmt.trim(stats.sample_out)) - normalized).mean() for fmt in (fine, coarse)
    ]
    assert errors[0] < errors[1]


def test_a_mean_evens_errors_out_so_that_less_is_clipped() -> None:
    """With steps of 1/8 but one number in 200 is clipped; with steps of 1/4 none is."""
    rng = np.random.default_rng(7)
    numbers = rng.uniform(0, 1, (200, 3, 8, 8)).astype(np.float32)
    numbers[rng.random(numbers.shape) < 1 / 200] = 1.5
    seen = Accumulator()
    seen.add(numbers)
    stats = calibrated(net_of(ReLU(), Pooling("AVE", (8, 8), (8, 8)))).layers["l0"]
    stats = replace(stats, sample_out=numbers, layer_out=seen.finish())
    assert fixed_point_for_output(stats, 4) == FixedPoint(4, 2)
    assert fixed_point_for_output(replace(stats, behind=()), 4) == FixedPoint(4, 3)


def chosen(stats: LayerStats) -> tuple[FixedPoint, FixedPoint]:
    """Give the formats by what comes out behind, and by the output itself."""
    return fixed_point_for_output(stats, 8), fixed_point_for_output(replace(stats, behind=()), 8)


def darkened(stats: LayerStats) -> LayerStats:
    """Give what calibration would have kept if its first pictures had been dark."""
    return replace(stats, sample_out=stats.sample_out / 16)


def test_pictures_that_do_not_show_the_range_decide_nothing() -> None:
    stats = darkened(calibrated(net_of(WITHIN)).layers["l0"])
    assert stats.behind
    one, other = chosen(stats)
    assert one == other
    # The range counts: seen at these pictures alone, the same sample has finer steps.
    seen = Accumulator()
    seen.add(stats.sample_out)
    assert fixed_point_for_output(replace(stats, layer_out=seen.finish()), 8).fl > one.fl


def test_a_few_pictures_decide_nothing() -> None:
    stats = calibrated(net_of(WITHIN)).layers["l0"]
    few = replace(stats, sample_out=stats.sample_out[np.abs(stats.sample_out).max(axis=(1, 2, 3)).argsort()[-7:]])
    assert error_behind(few, FixedPoint(4, 1)) == few.layer_out.squared_error(FixedPoint(4, 1))
    assert error_behind(stats, FixedPoint(4, 1)) != stats.layer_out.squared_error(FixedPoint(4, 1))


def test_infinity_behind_is_the_worst_of_errors() -> None:
    """A logarithm lies between: a format that makes zeros of numbers is never chosen."""
    stats = calibrated(net_of(ReLU(), MEAN)).layers["l0"]
    behind = (Layer("log", Log(), ("b0",), ("b0",)), stats.behind[-1])
    stats = replace(stats, sample_out=np.abs(stats.sample_out) + np.float32(0.01), behind=behind)
    assert error_behind(stats, FixedPoint(4, 0)) == math.inf
    assert math.isfinite(error_behind(stats, FixedPoint(16, 9)))
    # Where there is infinity without any trim, what comes out tells nothing.
    stats = replace(stats, sample_out=stats.sample_out - stats.sample_out.min())
    fmt = FixedPoint(4, 0)
    assert error_behind(stats, fmt) == stats.layer_out.squared_error(fmt, rectified=True)


def test_shares_are_of_what_the_errors_are_of() -> None:
    stats = calibrated(net_of(ReLU(), MEAN)).layers["l0"]
    fmt = FixedPoint(4, 1)
    power = np.square(run_behind(stats.behind, stats.sample_out), dtype=np.float64).mean()
    np.testing.assert_allclose(share_behind(stats, fmt), error_behind(stats, fmt) / power)
    plain = replace(stats, behind=())
    np.testing.assert_allclose(share_behind(plain, fmt), error_behind(plain, fmt) / plain.layer_out.mean_square())


def test_what_was_put_away_knows_what_is_behind() -> None:
    net = net_of(ReLU(), MEAN)
    stats = calibrated(net)
    again = from_arrays(to_arrays(stats), net, "")
    assert [layer.name for layer in again.layers["l0"].behind] == ["l1", "l2"]
    assert fixed_point_for_output(again.layers["l0"], 4) == fixed_point_for_output(stats.layers["l0"], 4)
