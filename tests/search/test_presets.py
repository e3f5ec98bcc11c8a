"""What each preset decides from given ranges and a given scorer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.calibrate import Accumulator, CalibrationStats, Distribution, LayerStats, Range
from ristretto.errors import SearchError
from ristretto.formats import FixedPoint, MiniFloat, PowerOfTwo
from ristretto.formats.fixed_point import MAX_FRACTION
from ristretto.layers import LAYERS
from ristretto.layers.convolution import Convolution
from ristretto.layers.deconvolution import Deconvolution
from ristretto.layers.inner_product import InnerProduct
from ristretto.layers.input import Input
from ristretto.net import Layer, LayerQuant, Net, Part, Phase
from ristretto.search import ALL_PARTS, MODES, PRESETS, Bits, Goal, Score, SearchResult, run_search
from ristretto.search.condense import Condensed
from ristretto.search.fit import (
    candidates,
    fixed_point_for_output,
    integer_length,
    output_cost,
    params_cost,
    params_error,
    places_lost,
)
from ristretto.search.modes.dynamic_fixed_point import UNSET
from ristretto.search.modes.minifloat import layer_error
from ristretto.search.widths import LayerWidths, of_parts

DYNAMIC = MODES["dynamic_fixed_point"]
ACTIVATIONS, CONV, FC = Part.ACTIVATIONS, Part.CONV_PARAMS, Part.FC_PARAMS


def spread(*numbers: float) -> Distribution:
    found = Accumulator()
    found.add(np.array(numbers, np.float32))
    return found.finish()


def stats_of(layer: Layer, low: float = -3.0, high: float = 3.0, *, rectified: bool = False) -> LayerStats:
    numbers = np.random.default_rng(0).normal(size=2000).astype(np.float32)
    values = spread(*np.clip(numbers, low, high), low, high)
    x, y = samples(layer)
    seen = Range(low, high)
    return LayerStats(layer, values, values, seen, seen, rectified, False, x, y)


def samples(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """Give some pictures and what the layer makes of them."""
    op, weights = layer.op, layer.blobs[0]
    shape = (6, weights.shape[1], 5, 5) if weights.ndim == 4 else (40, weights.shape[1])
    x = np.random.default_rng(5).uniform(0, 1, shape).astype(np.float32)
    return x, op.forward([x], layer.blobs)[0]


def formats(preset: str, stats: LayerStats, bits: Bits) -> LayerQuant:
    """Give one layer's formats in dynamic fixed point."""
    found = CalibrationStats({"layer": stats}, 1, "")
    return PRESETS[preset].formats(DYNAMIC, found, of_parts(found, bits))["layer"]


def small_net() -> tuple[Net, CalibrationStats]:
    rng = np.random.default_rng(3)

    def blobs(*shape: int) -> tuple[np.ndarray, ...]:
        return rng.normal(scale=0.2, size=shape).astype(np.float32), rng.normal(size=shape[:1]).astype(np.float32)

    conv = Layer("conv", Convolution(num_output=4, kernel=(3, 3)), ("data",), ("conv",), blobs(4, 2, 3, 3))
    fc = Layer("fc", InnerProduct(num_output=5), ("conv",), ("fc",), blobs(5, 144))
    net = Net("small", (Layer("data", Input(shapes=((1, 2, 8, 8),)), (), ("data",)), conv, fc)).for_phase(Phase.TEST)
    return net, CalibrationStats({layer.name: stats_of(layer) for layer in (conv, fc)}, 1, "made up")


def deconvolution() -> Layer:
    op = Deconvolution(num_output=2, kernel=(1, 1), bias_term=False)
    return Layer("up", op, ("data",), ("up",), (np.ones((2, 2, 1, 1), np.float32),))


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


@pytest.mark.parametrize("higher_is_better", [True, False], ids=["accuracy", "loss"])
@pytest.mark.parametrize(("score", "baseline"), [(math.nan, 0.5), (0.5, math.nan), (math.nan, math.nan)])
def test_no_score_holds_that_is_not_a_number(score: float, baseline: float, higher_is_better: bool) -> None:
    assert not Goal("score", 100, higher_is_better=higher_is_better).holds(Score(score), Score(baseline))


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
    stats = LayerStats(layer, values, values, values.range, values.range, True, False, *samples(layer))
    out = formats("accurate", stats, {ACTIVATIONS: 8}).layer_out
    assert isinstance(out, FixedPoint)
    assert 2.9 <= out.high < 8


@pytest.mark.parametrize("preset", PRESETS)
def test_a_dead_layer_is_named_and_gets_a_sane_format(preset: str) -> None:
    net, stats = small_net()
    dead = LayerStats(net["conv"], spread(0), spread(0), Range(0, 0), Range(0, 0), False, False, *samples(net["conv"]))
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


@pytest.mark.parametrize(("preset", "covered"), [("original", {"conv", "fc"}), ("accurate", {"conv", "fc", "up"})])
def test_the_original_leaves_types_in_float_that_it_cannot_search(preset: str, covered: set[str]) -> None:
    net, stats = small_net()
    up = deconvolution()
    more = CalibrationStats({**stats.layers, "up": stats_of(up)}, 1, "made up")
    whole = Net("more", (*net.layers, up)).for_phase(Phase.TEST)
    found = run_search(whole, more, PRESETS[preset], DYNAMIC, lambda n: Score(0.9), Goal("accuracy", 1))
    assert set(found.spec.layers) == covered


def test_the_original_says_when_there_is_nothing_that_it_searches() -> None:
    up = Layer(
        "up",
        Deconvolution(num_output=2, kernel=(1, 1), bias_term=False),
        ("data",),
        ("up",),
        (np.ones((2, 2, 1, 1), "f4"),),
    )
    stats = CalibrationStats({"up": stats_of(up)}, 1, "made up")
    with pytest.raises(SearchError, match="the net has none"):
        run_search(small_net()[0], stats, PRESETS["original"], DYNAMIC, lambda n: Score(0.9), Goal("accuracy", 1))


@pytest.mark.parametrize(("score", "holds"), [(0.51, True), (0.5100001, False), (0.2, True)])
def test_a_loss_must_not_rise_beyond_the_margin(score: float, holds: bool) -> None:
    net, stats = small_net()
    goal = Goal("loss", 1, higher_is_better=False)
    scorer = lambda n: Score(0.5 if min(widths(n).values()) == 99 else score)  # noqa: E731
    found = run_search(net, stats, PRESETS["original"], DYNAMIC, scorer, goal)
    assert (found.bits[CONV] == 1) is holds
    assert found.within_margin is holds


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_gives_every_layer_its_formats(preset: str, mode: str) -> None:
    net, stats = small_net()
    found = run_search(net, stats, PRESETS[preset], MODES[mode], lambda n: Score(0.9), Goal("accuracy", 1))
    assert found.spec.trimming_mode == mode
    assert set(found.spec.layers) == {"conv", "fc"}
    assert all(q.layer_in and q.layer_out and q.params for q in found.spec.layers.values())


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("place", ["layer_in", "layer_out", "params"])
def test_every_mode_leaves_a_place_without_a_width_in_float(preset: str, mode: str, place: str) -> None:
    stats = small_net()[1]
    widths = {name: LayerWidths(**{place: 8}) for name in stats.layers}
    for quant in PRESETS[preset].formats(MODES[mode], stats, widths).values():
        given = {name for name in ("layer_in", "layer_out", "params") if getattr(quant, name) not in (None, UNSET)}
        assert given == {place}


def test_given_widths_are_taken_without_a_search() -> None:
    net, stats = small_net()
    bits = {CONV: 5, FC: 3, ACTIVATIONS: 7}
    found = run_search(net, stats, PRESETS["accurate"], DYNAMIC, lambda n: Score(0.5), Goal("accuracy", 1), bits=bits)
    assert found.bits == bits
    assert [trial.bits for trial in found.trials] == [bits]
    assert {name: (q.layer_in.bw, q.params.bw) for name, q in found.spec.layers.items()} == {
        "conv": (7, 5),
        "fc": (7, 3),
    }


def test_a_refiner_changes_the_weights_of_every_trial() -> None:
    net, stats = small_net()
    weights = {"fc": tuple(np.zeros_like(blob) for blob in net["fc"].blobs)}
    seen = []

    def scorer(trial: Net) -> Score:
        seen.append(not trial["fc"].blobs[0].any())
        return Score(0.9)

    found = run_search(
        net, stats, PRESETS["accurate"], DYNAMIC, scorer, Goal("accuracy", 1), refine=lambda s: Condensed(s, weights)
    )
    assert seen == [False] + [True] * (len(seen) - 1)
    assert not found.condensed.apply(net)["fc"].blobs[0].any()


def test_minifloats_of_the_original_follow_its_formula() -> None:
    # max |x| = 3: log2(log2(3) - 1) + 1 = 0.23, so 4 bits, the least; 2**20 needs ceil(log2(20 - 1) + 1) = 6.
    stats = small_net()[1].layers["conv"]
    wide = replace(stats, final_out=Range(-(2.0**20), 3))
    for layer, exp_bits in ((stats, 4), (wide, math.ceil(math.log2(20 - 1) + 1))):
        found = MODES["minifloat"].by_range(CalibrationStats({"l": layer}, 1, ""), {"l": LayerWidths(8, 8, 8)})["l"]
        assert found.params == MiniFloat(exp_bits, 7 - exp_bits)


def test_minifloats_by_error_are_no_worse_than_the_originals() -> None:
    stats = small_net()[1]
    widths = of_parts(stats, dict.fromkeys(Part, 8))
    for name, layer in stats.layers.items():
        ours = MODES["minifloat"].by_error(stats, widths)[name].params
        theirs = MODES["minifloat"].by_range(stats, widths)[name].params
        assert isinstance(ours, MiniFloat)
        assert isinstance(theirs, MiniFloat)
        assert layer_error(layer, ours) <= layer_error(layer, theirs)


def test_fixed_point_has_one_radix_point() -> None:
    stats = small_net()[1]
    for preset in PRESETS.values():
        quants = preset.formats(MODES["fixed_point"], stats, of_parts(stats, dict.fromkeys(Part, 8)))
        assert len({fmt for q in quants.values() for fmt in (q.layer_in, q.layer_out, q.params)}) == 1


def test_powers_of_two_by_error_reach_large_weights() -> None:
    layer = Layer("fc", InnerProduct(2), ("data",), ("fc",), (np.float32([[3, -4], [2, 0.5]]), np.float32([0, 0])))
    stats = CalibrationStats({"fc": stats_of(layer)}, 1, "")
    widths = of_parts(stats, {FC: 4, ACTIVATIONS: 8})
    assert MODES["integer_power_of_2_weights"].by_range(stats, widths)["fc"].params == PowerOfTwo(-8, -1)
    ours = MODES["integer_power_of_2_weights"].by_error(stats, widths)["fc"].params
    assert ours == PowerOfTwo(ours.exp_max - 7, ours.exp_max)
    assert ours.exp_max == 2


def test_weights_are_chosen_by_what_they_do_to_the_output() -> None:
    """Inputs that are all alike add the errors of an output's weights up: rounding must not lean to one side."""
    rng = np.random.default_rng(8)
    weights = (0.01 + rng.uniform(0, 0.002, (4, 50))).astype(np.float32)
    layer = Layer("fc", InnerProduct(4, bias_term=False), ("data",), ("fc",), (weights,))
    x = np.ones((8, 50), np.float32)
    stats = replace(stats_of(layer), sample_in=x, sample_out=layer.op.forward([x], layer.blobs)[0])
    for fmt in (FixedPoint(4, 6), FixedPoint(4, 9)):
        error = layer.op.forward([x], [fmt.trim(weights)])[0] - stats.sample_out
        # Each is a difference of float32 sums, some hundred times as large, that may be added up in any order.
        assert params_error(stats, fmt) == pytest.approx(float((error**2).mean()), rel=1e-3)


def test_only_what_a_relu_lets_through_counts_for_weights() -> None:
    layer = Layer("fc", InnerProduct(1), ("data",), ("fc",), (np.float32([[0.3]]), np.float32([-9])))
    x = np.float32([[1], [2]])
    stats = replace(stats_of(layer), sample_in=x, sample_out=layer.op.forward([x], layer.blobs)[0])
    assert params_error(stats, FixedPoint(4, 0)) > 0
    assert params_error(replace(stats, rectified=True), FixedPoint(4, 0)) == 0


def test_a_ranked_output_loses_as_few_first_places_as_it_can() -> None:
    """One score far above the rest is worth clipping when the rest would tie."""
    scores = np.float32([[20, 1, 0], *[[0.4, 0.6, 0.5]] * 9])
    layer = small_net()[0]["fc"]
    values = spread(*scores.ravel())
    stats = replace(stats_of(layer), layer_out=values, sample_out=scores, ranked=True)
    lost = {fl: places_lost(scores, FixedPoint(4, fl).trim(scores)) for fl in (-2, 2, 3)}
    assert lost == {-2: 9, 2: 9, 3: 1}
    assert fixed_point_for_output(stats, 8) == FixedPoint(8, 3)
    assert fixed_point_for_output(replace(stats, ranked=False), 8) == FixedPoint(8, 2)
    assert output_cost(stats, FixedPoint(8, 6)) < output_cost(stats, FixedPoint(8, 2))


def test_weights_of_a_ranked_output_keep_the_ranking_first() -> None:
    """A bias that only shifts all scores alike may clip when that keeps the order of the classes."""
    weights = np.float32([[0.20, 0], [0, 0.24]])
    layer = Layer("fc", InnerProduct(2), ("data",), ("fc",), (weights, np.float32([3, 3])))
    x = np.float32([[1, 1], [2, 1], [1, 2]])
    stats = replace(stats_of(layer), sample_in=x, sample_out=layer.op.forward([x], layer.blobs)[0])
    coarse, fine = FixedPoint(4, 1), FixedPoint(4, 5)
    assert params_cost(stats, coarse) < params_cost(stats, fine)
    ranked = replace(stats, ranked=True)
    assert params_cost(ranked, fine) < params_cost(ranked, coarse)


def test_few_bits_go_to_the_weights_where_the_bias_is_far_larger() -> None:
    rng = np.random.default_rng(4)
    weights, bias = (0.03 * rng.standard_normal((3, 200))).astype(np.float32), np.float32([1.0, -1.1, 0.2])
    layer = Layer("fc", InnerProduct(3), ("data",), ("fc",), (weights, bias))
    x = np.abs(rng.standard_normal((40, 200))).astype(np.float32) * 4
    stats = replace(stats_of(layer), sample_in=x, sample_out=layer.op.forward([x], layer.blobs)[0])
    params = formats("accurate", stats, {FC: 4}).params
    assert isinstance(params, FixedPoint)
    assert params.high < 1
    errors = {fl: params_error(stats, FixedPoint(4, fl)) for fl in range(1, 12)}
    assert errors[params.fl] == min(errors.values())


@pytest.mark.parametrize("magnitude", [1e-30, 0.0, 1e20])
def test_candidates_stay_within_what_a_format_can_be(magnitude: float) -> None:
    found = candidates(4, magnitude)
    assert found[0] == FixedPoint.covering(4, magnitude)
    assert len(found) >= 1


@pytest.mark.parametrize("magnitude", [1e-36, 3e38])
def test_the_originals_formulas_stay_within_what_a_format_can_be(magnitude: float) -> None:
    stats = replace(small_net()[1].layers["conv"], final_in=Range(0, magnitude))
    layer_in = formats("original", stats, {ACTIVATIONS: 16}).layer_in
    assert isinstance(layer_in, FixedPoint)
    assert abs(layer_in.fl) <= MAX_FRACTION
