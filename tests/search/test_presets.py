"""What each preset decides from given ranges and a given scorer."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.calibrate import Accumulator, CalibrationStats, Distribution, LayerStats, Range
from ristretto.formats import FixedPoint
from ristretto.layers import LAYERS
from ristretto.layers.convolution import Convolution
from ristretto.layers.inner_product import InnerProduct
from ristretto.layers.input import Input
from ristretto.net import Layer, LayerQuant, Net, Part, Phase
from ristretto.search import ALL_PARTS, MODES, PRESETS, Bits, Goal, Score, SearchResult, run_search
from ristretto.search.fit import integer_length

DYNAMIC = MODES["dynamic_fixed_point"]
ACTIVATIONS, CONV, FC = Part.ACTIVATIONS, Part.CONV_PARAMS, Part.FC_PARAMS


def spread(*numbers: float) -> Distribution:
    found = Accumulator()
    found.add(np.array(numbers, np.float32))
    return found.finish()


def stats_of(layer: Layer, low: float = -3.0, high: float = 3.0, *, rectified: bool = False) -> LayerStats:
    numbers = np.random.default_rng(0).normal(size=2000).astype(np.float32)
    values = spread(*np.clip(numbers, low, high), low, high)
    return LayerStats(layer, values, values, Range(low, high), Range(low, high), rectified)


def formats(preset: str, stats: LayerStats, bits: Bits) -> LayerQuant:
    """Give one layer's formats in dynamic fixed point."""
    return PRESETS[preset].formats(DYNAMIC, CalibrationStats({"layer": stats}, 1, ""), bits)["layer"]


def small_net() -> tuple[Net, CalibrationStats]:
    rng = np.random.default_rng(3)

    def blobs(*shape: int) -> tuple[np.ndarray, ...]:
        return rng.normal(scale=0.2, size=shape).astype(np.float32), rng.normal(size=shape[:1]).astype(np.float32)

    conv = Layer("conv", Convolution(num_output=4, kernel=(3, 3)), ("data",), ("conv",), blobs(4, 2, 3, 3))
    fc = Layer("fc", InnerProduct(num_output=5), ("conv",), ("fc",), blobs(5, 144))
    net = Net("small", (Layer("data", Input(shapes=((1, 2, 8, 8),)), (), ("data",)), conv, fc)).for_phase(Phase.TEST)
    return net, CalibrationStats({layer.name: stats_of(layer) for layer in (conv, fc)}, 1, "made up")


def widths(net: Net) -> dict[str, int]:
    """Give the widths of a net's places; 99 for float."""
    found = {"conv": 99, "fc": 99, "activations": 99}
    for layer in net:
        if layer.quant:
            if isinstance(layer.quant.params, FixedPoint):
                found[layer.name] = layer.quant.params.bw
            if isinstance(layer.quant.layer_out, FixedPoint):
                found["activations"] = layer.quant.layer_out.bw
    return found


def search(preset: str, scorer: Callable[[dict[str, int]], float], margin: float = 1.0) -> SearchResult:
    net, stats = small_net()
    return run_search(
        net, stats, PRESETS[preset], DYNAMIC, lambda n: Score(scorer(widths(n))), Goal("accuracy", margin)
    )


def independent(w: dict[str, int]) -> float:
    """Score 0.9, less 5 points for each part that is narrower than it can bear."""
    floors = {"conv": 4, "fc": 2, "activations": 8}
    return 0.9 - 0.05 * sum(w[name] < floor for name, floor in floors.items())


@pytest.mark.parametrize("preset", PRESETS)
def test_each_part_gets_the_narrowest_width_that_holds(preset: str) -> None:
    found = search(preset, independent)
    assert found.bits == {CONV: 4, FC: 2, ACTIVATIONS: 8}
    assert found.within_margin
    assert found.score == found.baseline == Score(0.9)


@pytest.mark.parametrize("preset", PRESETS)
def test_ladder_stops_at_the_first_width_that_fails(preset: str) -> None:
    # 8 bits fail, 4 would hold again: the fork never gets there.
    found = search(preset, lambda w: 0.5 if w["conv"] == 8 else 0.9)
    assert [t.bits[CONV] for t in found.trials if t.part == CONV.value] == [16, 8]
    assert found.bits[CONV] == 16


def test_trials_stand_in_the_originals_order() -> None:
    found = search("original", independent)
    assert [(t.part, *t.bits.values(), t.holds) for t in found.trials] == [
        *((CONV.value, width, width >= 4) for width in (16, 8, 4, 2)),
        *((FC.value, width, width >= 2) for width in (16, 8, 4, 2, 1)),
        *((ACTIVATIONS.value, width, width >= 8) for width in (16, 8, 4)),
        (ALL_PARTS, 4, 2, 8, True),
    ]


def test_a_part_that_16_bits_do_not_hold_stays_at_32() -> None:
    found = search("original", lambda w: 0.9 if w["fc"] == 99 else 0.1)
    assert found.bits[FC] == 32
    assert found.bits[CONV] == 1


@pytest.mark.parametrize(("score", "holds"), [(0.89, True), (0.8899999, False), (0.95, True)])
def test_the_margin_itself_still_holds(score: float, holds: bool) -> None:
    # score + margin / 100 < baseline fails, as the fork compares; 0.89 + 0.01 is not below 0.9.
    found = search("original", lambda w: 0.9 if min(w.values()) == 99 else score)
    assert (found.bits[CONV] == 1) is holds


def interacting(w: dict[str, int]) -> float:
    """Score a net in which narrow parts hold alone and not together; the inner product's bits help most."""
    narrow = {name: w[name] <= 4 for name in w}
    if sum(narrow.values()) <= 1:
        return 0.9
    return 0.7 + 0.1 * (not narrow["fc"]) + 0.02 * (not narrow["conv"])


def test_original_writes_the_parts_together_though_they_miss_the_margin() -> None:
    found = search("original", interacting)
    assert not found.within_margin
    assert found.bits == {CONV: 1, FC: 1, ACTIVATIONS: 1}


def test_accurate_gives_bits_back_where_they_help_most_until_the_margin_holds() -> None:
    found = search("accurate", interacting, margin=1)
    assert found.within_margin
    assert sum(width <= 4 for width in found.bits.values()) == 1
    first_widened = next(t for t in found.trials if t.part == ALL_PARTS and t.score.value > 0.75)
    assert first_widened.bits[FC] > 4


def test_accurate_stops_at_the_widest_rungs_when_nothing_helps() -> None:
    found = search("accurate", lambda w: 0.9 if [w["conv"], w["fc"], w["activations"]].count(99) >= 2 else 0.2)
    assert not found.within_margin
    assert set(found.bits.values()) == {16}


def test_no_net_is_scored_twice() -> None:
    seen: list[tuple[tuple[str, int], ...]] = []

    def scorer(w: dict[str, int]) -> float:
        seen.append(tuple(sorted(w.items())))
        return interacting(w)

    search("accurate", scorer)
    assert len(seen) == len(set(seen))


@given(st.floats(2.0**-90, 2.0**90))
def test_integer_length_is_the_exact_ceiling_of_the_logarithm(magnitude: float) -> None:
    il, exact = integer_length(magnitude), Fraction(magnitude)
    assert Fraction(2) ** (il - 1) < exact <= Fraction(2) ** il


@pytest.mark.parametrize(("magnitude", "il"), [(1.0, 0), (0.996, 0), (1.0000001, 1), (2.0, 1), (0.5, -1), (0.0, 1)])
def test_integer_length_by_example(magnitude: float, il: int) -> None:
    assert integer_length(magnitude) == il


def test_original_formats_follow_the_forks_formulas() -> None:
    net, stats = small_net()
    quant = formats("original", stats.layers["conv"], {CONV: 4, ACTIVATIONS: 8})
    largest = float(np.abs(net["conv"].blobs[0]).max())
    # max |x| = 3 gives il = 2; weights get one bit more, the bias is not looked at.
    assert quant.layer_in == quant.layer_out == FixedPoint(8, 8 - 2)
    assert quant.params == FixedPoint(4, 4 - math.ceil(math.log2(largest) + 1))


def test_accurate_never_clips_a_bias_that_full_coverage_would_keep_when_it_costs() -> None:
    weights = np.full((4, 2, 3, 3), 0.01, np.float32)
    bias = np.array([0.5, -3.35, 0.1, 0], np.float32)
    layer = Layer("conv", Convolution(num_output=4, kernel=(3, 3)), ("data",), ("conv",), (weights, bias))
    params = formats("accurate", stats_of(layer), {CONV: 8}).params
    assert isinstance(params, FixedPoint)
    assert params.high >= 3.35
    original = formats("original", stats_of(layer), {CONV: 8}).params
    assert isinstance(original, FixedPoint)
    assert original.high < 3.35


def test_accurate_looks_only_at_what_a_relu_lets_through() -> None:
    layer = small_net()[0]["conv"]
    values = spread(*np.linspace(-100, 3, 500))
    stats = LayerStats(layer, values, values, values.range, values.range, rectified=True)
    out = formats("accurate", stats, {ACTIVATIONS: 8}).layer_out
    assert isinstance(out, FixedPoint)
    assert 2.9 <= out.high < 8


@pytest.mark.parametrize("preset", PRESETS)
def test_a_dead_layer_is_named_and_gets_a_sane_format(preset: str) -> None:
    net, stats = small_net()
    dead = LayerStats(net["conv"], spread(0), spread(0), Range(0, 0), Range(0, 0), False)
    quant = formats(preset, dead, {CONV: 8, ACTIVATIONS: 8})
    for fmt in (quant.layer_in, quant.layer_out):
        assert isinstance(fmt, FixedPoint)
        assert -16 <= fmt.fl <= 16
    found = run_search(
        net,
        CalibrationStats({"conv": dead, "fc": stats.layers["fc"]}, 1, "made up"),
        PRESETS[preset],
        DYNAMIC,
        lambda n: Score(0.9),
        Goal("accuracy", 1),
    )
    assert any("'conv'" in note and "zero" in note for note in found.notes)


def test_parts_left_in_float_have_no_format() -> None:
    stats = small_net()[1].layers["conv"]
    for preset in PRESETS:
        assert formats(preset, stats, {FC: 8}) == LayerQuant(None, None, None)


def test_every_layer_with_weights_to_quantize_belongs_to_a_part_that_is_searched() -> None:
    assert {op.part for op in LAYERS if op.part} <= set(Part)
