"""Formats by one criterion, beside brute force over all fractional lengths."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.calibrate import Accumulator, CalibrationStats, LayerStats
from ristretto.errors import SearchError
from ristretto.formats import FixedPoint, Format, MiniFloat, PowerOfTwo
from ristretto.layers.convolution import Convolution
from ristretto.layers.inner_product import InnerProduct
from ristretto.net import Layer, LayerQuant, Part, QuantSpec
from ristretto.net.quant import PLACES
from ristretto.search import MODES, PRESETS, Journal, KeptFormats
from ristretto.search.criteria import AUTO, CRITERIA, FORMATS_BY
from ristretto.search.criteria.base import Spot
from ristretto.search.criteria.output_error import OutputError
from ristretto.search.criteria.squared_error import SquaredError
from ristretto.search.widths import of_parts

ALL_FL = range(-40, 61)
"""Far coarser and far finer than whatever fits the numbers here."""
CLOSE = 1 + 1e-6
"""Float32 against float64, and bins against the numbers in them."""
BY_ERROR = sorted(set(CRITERIA) - {"range"})


def f32(numbers: object) -> np.ndarray:
    return np.array(numbers, np.float32)


def trimmed(x: np.ndarray, bw: int, fl: int) -> np.ndarray:
    """Trim as the definition says, in float64: codes, halves away from zero, within the ends."""
    scaled = np.asarray(x, np.float64) * 2.0**fl
    codes = np.sign(scaled) * np.floor(np.abs(scaled) + 0.5)
    found: np.ndarray = np.clip(codes, -(2 ** (bw - 1)), 2 ** (bw - 1) - 1) * 2.0**-fl
    return found


def saturates(x: np.ndarray, bw: int, fl: int) -> bool:
    """Whether a code is cut off."""
    scaled = np.asarray(x, np.float64) * 2.0**fl
    codes = np.sign(scaled) * np.floor(np.abs(scaled) + 0.5)
    return bool(codes.min() < -(2 ** (bw - 1)) or codes.max() > 2 ** (bw - 1) - 1)


def layer_of(seed: int, *, tails: float = 1.0, rectified: bool = False, bias: float = 1.0) -> LayerStats:
    """Give a layer of random numbers on a grid of 2**-10, so that a histogram holds them exactly."""
    rng = np.random.default_rng(seed)

    def numbers(*shape: int, scale: float = 1.0) -> np.ndarray:
        drawn = scale * np.sign(rng.normal(size=shape)) * np.abs(rng.normal(size=shape)) ** tails
        return (np.rint(np.clip(drawn, -7, 7) * 1024) / 1024).astype(np.float32)

    op, blobs = InnerProduct(num_output=5), (numbers(5, 12, scale=0.3), numbers(5, scale=bias))
    x = numbers(30, 12)
    (y,) = op.forward([x], blobs)
    layer = Layer("fc", op, ("data",), ("fc",), blobs)
    seen, made = (Accumulator(), Accumulator())
    seen.add(x)
    made.add(y)
    layer_in, layer_out = seen.finish(), made.finish()
    return LayerStats(layer, layer_in, layer_out, layer_in.range, layer_out.range, rectified, False, x, y)


def tensor(stats: LayerStats, place: str) -> np.ndarray:
    """Give all numbers of a place; those of an output as its bins have them."""
    if place == "params":
        return np.concatenate([blob.ravel() for blob in stats.layer.blobs]).astype(np.float64)
    if place == "layer_in":
        return stats.sample_in.ravel().astype(np.float64)
    values, counts = stats.layer_out.values()
    return np.repeat(values, counts)


def error_of_output(stats: LayerStats, place: str, bw: int, fl: int) -> float:
    """Run the layer in float64 with one place trimmed, and compare."""
    weights, bias = (blob.astype(np.float64) for blob in stats.layer.blobs)
    x = stats.sample_in.astype(np.float64)
    before = x @ weights.T + bias
    if place == "layer_out":
        before = tensor(stats, place)
        after = trimmed(before, bw, fl)
    elif place == "layer_in":
        after = trimmed(x, bw, fl) @ weights.T + bias
    else:
        after = x @ trimmed(weights, bw, fl).T + trimmed(bias, bw, fl)
    if stats.rectified:
        before, after = np.maximum(before, 0), np.maximum(after, 0)
    return float(((after - before) ** 2).mean())


def chosen(by: str, stats: LayerStats, place: str, bw: int) -> FixedPoint:
    return CRITERIA[by].fixed_point(Spot(stats, place), bw)


seeds, tails = st.integers(0, 2**32 - 1), st.sampled_from([0.5, 1.0, 3.0])


@settings(deadline=None, max_examples=60)
@given(seeds, tails, st.sampled_from(PLACES), st.integers(2, 16))
def test_range_is_the_finest_format_in_which_nothing_saturates(seed: int, tail: float, place: str, bw: int) -> None:
    stats = layer_of(seed, tails=tail)
    seen = {"layer_in": stats.layer_in.range, "layer_out": stats.layer_out.range}
    numbers = np.array([seen[place].min, seen[place].max]) if place in seen else tensor(stats, place)
    assert chosen("range", stats, place, bw).fl == max(fl for fl in ALL_FL if not saturates(numbers, bw, fl))


def test_range_counts_the_bias_and_the_negative_end_by_itself() -> None:
    stats = layer_of(1)
    for weight, bias, fl in ((0.1, 3.0, 5), (3.0, 0.1, 5), (0.1, 4.0, 4), (0.1, -4.0, 5), (0.1, -4.1, 4)):
        blobs = np.full((5, 12), weight, np.float32), np.full(5, bias, np.float32)
        given = replace(stats, layer=replace(stats.layer, blobs=blobs))
        assert chosen("range", given, "params", 8) == FixedPoint(8, fl)


@settings(deadline=None, max_examples=60)
@given(seeds, tails, st.sampled_from(PLACES), st.integers(1, 12))
def test_squared_error_is_the_least_of_all_fractional_lengths(seed: int, tail: float, place: str, bw: int) -> None:
    stats = layer_of(seed, tails=tail)
    numbers = tensor(stats, place)
    errors = {fl: float(((trimmed(numbers, bw, fl) - numbers) ** 2).mean()) for fl in ALL_FL}
    found = chosen("squared_error", stats, place, bw)
    assert errors[found.fl] <= min(errors.values()) * CLOSE


def test_squared_error_goes_on_as_far_as_it_must() -> None:
    """One outlier among very many small numbers: with 2 bits six octaves of it are given up."""
    weights = np.full((100, 1000), 2.0**-7, np.float32)
    weights[0, 0] = 1
    op = InnerProduct(num_output=100, bias_term=False)
    stats = replace(layer_of(1), layer=Layer("fc", op, ("data",), ("fc",), (weights,)))
    errors = {fl: float(((trimmed(weights, 2, fl) - weights) ** 2).mean()) for fl in ALL_FL}
    best = min(errors, key=errors.__getitem__)
    assert best - FixedPoint.covering(2, 1.0).fl > 4
    assert chosen("squared_error", stats, "params", 2).fl == best


@settings(deadline=None, max_examples=60)
@given(seeds, st.booleans(), st.sampled_from(PLACES), st.integers(2, 12), st.sampled_from([0.0, 1.0, 6.0]))
def test_output_error_is_the_least_of_all_fractional_lengths(
    seed: int, rectified: bool, place: str, bw: int, bias: float
) -> None:
    stats = layer_of(seed, rectified=rectified, bias=bias)
    errors = {fl: error_of_output(stats, place, bw, fl) for fl in ALL_FL}
    tried = [fmt.fl for fmt in CRITERIA["output_error"].fixed_points(Spot(stats, place), bw)]
    found = chosen("output_error", stats, place, bw)
    # Sums in float32 leave a little of errors that are nothing.
    floor = 1e-12 * float(np.square(stats.sample_out, dtype=np.float64).mean())
    assert errors[found.fl] <= min(errors[fl] for fl in tried) * (1 + 1e-3) + floor
    if bw >= 3:
        assert errors[found.fl] <= min(errors.values()) * (1 + 1e-3) + floor


def test_criteria_differ() -> None:
    """Else the brute force above might compare one thing with itself."""
    found = {
        by: [chosen(by, layer_of(seed, tails=3.0), place, 3).fl for seed in range(4) for place in PLACES]
        for by in CRITERIA
    }
    assert len({tuple(fls) for fls in found.values()}) == len(CRITERIA) == 3


@pytest.mark.parametrize("by", CRITERIA)
@pytest.mark.parametrize("bw", [1, 2, 8, 16, 32])
def test_numbers_that_are_all_zero_or_all_alike_get_a_sane_format(by: str, bw: int) -> None:
    for value in (0.0, 0.75, -0.75):
        blobs = np.full((5, 12), value, np.float32), np.full(5, value, np.float32)
        op, x = InnerProduct(num_output=5), np.full((3, 12), value, np.float32)
        layer = Layer("fc", op, ("data",), ("fc",), blobs)
        found = Accumulator()
        found.add(x)
        values = found.finish()
        (y,) = op.forward([x], blobs)
        stats = LayerStats(layer, values, values, values.range, values.range, False, False, x, y)
        for place in PLACES:
            assert -8 <= chosen(by, stats, place, bw).fl <= 40


def net_of(*layers: LayerStats) -> CalibrationStats:
    named = {f"fc{i}": replace(stats, layer=replace(stats.layer, name=f"fc{i}")) for i, stats in enumerate(layers)}
    return CalibrationStats(named, 1, "made up")


def quants(by: str, mode: str, stats: CalibrationStats, bits: dict[Part, int]) -> dict[str, LayerQuant]:
    preset = PRESETS["accurate"].choosing_by(by)
    return dict(preset.formats(MODES[mode], stats, of_parts(stats, bits)))


@pytest.mark.parametrize("by", BY_ERROR)
@pytest.mark.parametrize("bw", [3, 5, 8])
def test_one_radix_point_has_the_least_sum_of_shares(by: str, bw: int) -> None:
    stats = net_of(layer_of(1), layer_of(2, rectified=True, bias=4.0))
    found = quants(by, "fixed_point", stats, dict.fromkeys(Part, bw))
    (fmt,) = {getattr(quant, place) for quant in found.values() for place in PLACES}

    def share(layer: LayerStats, place: str, fl: int) -> float:
        if by == "squared_error":
            numbers = tensor(layer, place)
            return float(((trimmed(numbers, bw, fl) - numbers) ** 2).sum() / (numbers**2).sum())
        return error_of_output(layer, place, bw, fl) / float((tensor(layer, "layer_out") ** 2).mean())

    places = [(layer, place) for layer in stats.layers.values() for place in PLACES]
    sums = {fl: sum(share(layer, place, fl) for layer, place in places) for fl in range(-10, bw + 9)}
    assert isinstance(fmt, FixedPoint)
    assert sums[fmt.fl] <= min(sums.values()) * (1 + 1e-4)


def test_one_radix_point_by_range_covers_the_widest_place() -> None:
    layers = layer_of(1), layer_of(2)
    (fmt,) = {q.params for q in quants("range", "fixed_point", net_of(*layers), dict.fromkeys(Part, 8)).values()}
    assert isinstance(fmt, FixedPoint)
    ends = np.array([end for s in layers for p in PLACES for end in (tensor(s, p).min(), tensor(s, p).max())])
    assert fmt.fl == max(fl for fl in ALL_FL if not saturates(ends, 8, fl))


def test_minifloats_have_no_finest_one() -> None:
    for by in BY_ERROR:
        MODES["minifloat"].check_criterion(CRITERIA[by])
    with pytest.raises(SearchError, match="no minifloat is the finest by range"):
        MODES["minifloat"].check_criterion(CRITERIA["range"])
    for mode in MODES.values():
        if mode.name != "minifloat":
            mode.check_criterion(CRITERIA["range"])


@pytest.mark.parametrize("tail", [1.0, 3.0])
def test_minifloats_by_squared_error_have_the_least_sum_of_shares(tail: float) -> None:
    layer = layer_of(4, tails=tail)
    found = quants("squared_error", "minifloat", net_of(layer), dict.fromkeys(Part, 8))["fc0"]
    assert found.layer_in == found.layer_out == found.params

    def total(fmt: MiniFloat) -> float:
        shares = 0.0
        for place in PLACES:
            numbers = tensor(layer, place)
            shares += float(((fmt.trim(numbers) - numbers) ** 2).sum() / (numbers**2).sum())
        return shares

    totals = {MiniFloat(bits, 7 - bits): total(MiniFloat(bits, 7 - bits)) for bits in range(2, 7)}
    assert isinstance(found.params, MiniFloat)
    assert totals[found.params] <= min(totals.values()) * CLOSE


@pytest.mark.parametrize(("largest", "by_range"), [(0.9, 0), (1.1, 0), (1.3, 1), (2.0, 1), (3.0, 2)])
def test_powers_of_two_by_range_reach_the_largest_weight(largest: float, by_range: int) -> None:
    """Up to a quarter beyond the end, half of the last step, nothing saturates; the bias is left alone."""
    op = InnerProduct(num_output=2)
    blobs = f32([[largest, -0.5], [0.25, 0.01]]), f32([50, 0])
    x = np.ones((3, 2), np.float32)
    layer = Layer("fc", op, ("data",), ("fc",), blobs)
    stats = net_of(replace(layer_of(1), layer=layer, sample_in=x, sample_out=op.forward([x], blobs)[0]))
    bits = {Part.FC_PARAMS: 4, Part.ACTIVATIONS: 8}
    mode = "integer_power_of_2_weights"
    assert quants("range", mode, stats, bits)["fc0"].params == PowerOfTwo(by_range - 7, by_range)
    found = quants("squared_error", mode, stats, bits)["fc0"].params
    assert isinstance(found, PowerOfTwo)
    top = math.floor(math.log2(largest)) + 1
    errors = {t: float(((PowerOfTwo(t - 7, t).trim(blobs[0]) - blobs[0]) ** 2).sum()) for t in (top - 2, top - 1, top)}
    assert errors[found.exp_max] == min(errors.values())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("by", CRITERIA)
@pytest.mark.parametrize("place", PLACES)
def test_a_place_without_a_width_stays_in_float(mode: str, by: str, place: str) -> None:
    stats = net_of(layer_of(1))
    widths = {name: replace(w, **dict.fromkeys(PLACES)) for name, w in of_parts(stats, dict.fromkeys(Part, 8)).items()}
    widths = {name: replace(w, **{place: 8}) for name, w in widths.items()}
    for quant in MODES[mode].by_criterion(CRITERIA[by], stats, widths).values():
        assert {p for p in PLACES if getattr(quant, p) is not None} == {place}


def test_convolutions_are_run_on_the_errors_of_their_input() -> None:
    rng = np.random.default_rng(6)
    op = Convolution(num_output=3, kernel=(3, 3))
    blobs = rng.normal(size=(3, 2, 3, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32)
    x = rng.normal(size=(4, 2, 6, 6)).astype(np.float32)
    (y,) = op.forward([x], blobs)
    stats = replace(layer_of(1), layer=Layer("c", op, ("data",), ("c",), blobs), sample_in=x, sample_out=y)
    for fl in (0, 2):
        fmt = FixedPoint(4, fl)
        error = op.forward([fmt.trim(x)], blobs)[0].astype(np.float64) - y
        power = stats.layer_out.mean_square()
        found = OutputError().share(Spot(stats, "layer_in"), fmt) * power
        assert found == pytest.approx(float((error**2).mean()), rel=1e-4)


def test_what_a_relu_stops_does_not_count_for_an_input() -> None:
    op, blobs, x = InnerProduct(num_output=1), (f32([[1]]), f32([-9])), f32([[0.3], [9.4]])
    layer = Layer("fc", op, ("data",), ("fc",), blobs)
    stats = replace(layer_of(1), layer=layer, sample_in=x, sample_out=op.forward([x], blobs)[0])
    power = stats.layer_out.mean_square()
    for rectified, errors in ((False, [0.3, 0.4]), (True, [0.0, 0.4])):
        found = OutputError().share(Spot(replace(stats, rectified=rectified), "layer_in"), FixedPoint(8, 0)) * power
        assert found == pytest.approx(sum(error**2 for error in errors) / 2, rel=1e-4)


def test_a_share_is_measured_once() -> None:
    asked: list[str] = []

    class Counted(SquaredError):
        def measure(self, spot: Spot, fmt: Format) -> float:
            asked.append(spot.place)
            return super().measure(spot, fmt)

    criterion, stats = Counted(), layer_of(1)
    shares = {
        criterion.share(Spot(stats, place), FixedPoint(8, fl)) for _ in range(3) for place in PLACES for fl in (3, 4)
    }
    assert len(asked) == len(shares) == 6


def test_the_first_of_equals_is_taken() -> None:
    """Numbers that both formats hold; where all are zero, the format that covers a range of nothing."""
    x = np.full((4, 12), 0.5, np.float32)
    found = Accumulator()
    found.add(x)
    stats = replace(layer_of(1), layer_in=found.finish(), sample_in=x)
    for by in BY_ERROR:
        assert CRITERIA[by].best([FixedPoint(8, 2), FixedPoint(8, 3)], [Spot(stats, "layer_in")]) == FixedPoint(8, 2)
    nothing = Accumulator()
    nothing.add(0 * x)
    dead = Spot(replace(stats, layer_in=nothing.finish()), "layer_in")
    assert CRITERIA["range"].fixed_point(dead, 8) == FixedPoint.covering(8, 0.0)


def test_only_auto_is_asked_of_a_preset_with_its_own_way() -> None:
    assert PRESETS["original"].choosing_by(AUTO) is PRESETS["original"]
    for by in CRITERIA:
        with pytest.raises(SearchError, match="the original preset chooses formats in its own way") as error:
            PRESETS["original"].choosing_by(by)
        assert error.value.hint == f"leave --formats_by {by} out"


def test_auto_is_what_the_accurate_preset_does_by_itself() -> None:
    assert PRESETS["accurate"].choosing_by(AUTO) == PRESETS["accurate"]
    assert [PRESETS["accurate"].choosing_by(by).formats_by for by in FORMATS_BY] == list(FORMATS_BY)
    assert PRESETS["original"].formats_by is None


def test_formats_in_the_journal_belong_to_one_criterion(tmp_path: Path) -> None:
    # An input that no weight lets through tells those apart that look at the output.
    odd = layer_of(1)
    weights, bias = odd.layer.blobs
    weights[:, 0] = 0
    odd.sample_in[:, 1:] /= 64
    found = Accumulator()
    found.add(odd.sample_in)
    (y,) = odd.layer.op.forward([odd.sample_in], [weights, bias])
    stats = net_of(replace(odd, layer_in=found.finish(), sample_out=y), layer_of(2, tails=3.0, rectified=True))
    mode = MODES["dynamic_fixed_point"]
    widths = of_parts(stats, dict.fromkeys(Part, 3))

    def specs(kept: KeptFormats | None) -> list[QuantSpec]:
        return [PRESETS["accurate"].choosing_by(by).spec(mode, stats, widths, kept) for by in FORMATS_BY]

    plain = specs(None)
    assert len({str(spec) for spec in plain}) == len(FORMATS_BY)
    for _ in range(2):
        assert specs(KeptFormats(Journal(tmp_path), "ranges")) == plain
