"""Which nets a sweep scores, and with which formats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from ristretto.calibrate import Accumulator, CalibrationStats, LayerStats, Range
from ristretto.errors import SearchError
from ristretto.formats import FixedPoint, MiniFloat
from ristretto.layers.convolution import Convolution
from ristretto.layers.inner_product import InnerProduct
from ristretto.net import Layer, QuantSpec
from ristretto.net.op import Array
from ristretto.search import MODES, PRESETS, Score, TrimmingMode
from ristretto.search.fit import params_error
from ristretto.search.sweep import SWEPT_PARTS, Point, Sweep, check_widths, choose_parts, plan_sweep

FIXED, DYNAMIC, MINIFLOAT = MODES["fixed_point"], MODES["dynamic_fixed_point"], MODES["minifloat"]
POWER = MODES["integer_power_of_2_weights"]


def stats_of(layer: Layer, x: Array) -> LayerStats:
    (y,) = layer.op.forward([x], layer.blobs)

    def seen(values: Array) -> Accumulator:
        found = Accumulator()
        found.add(values)
        return found

    ranges = (Range(float(v.min()), float(v.max())) for v in (x, y))
    return LayerStats(layer, seen(x).finish(), seen(y).finish(), *ranges, False, False, x, y)


def made_up(*, scale: float = 0.1, fc: bool = True) -> CalibrationStats:
    """Two layers: a convolution of small weights, and an inner product whose inputs are large."""
    rng = np.random.default_rng(11)

    def blobs(*shape: int) -> tuple[Array, ...]:
        return rng.normal(0, scale, shape).astype(np.float32), rng.normal(0, scale, shape[:1]).astype(np.float32)

    conv = Layer("conv", Convolution(num_output=3, kernel=(3, 3)), ("data",), ("conv",), blobs(3, 2, 3, 3))
    layers = {"conv": stats_of(conv, rng.uniform(0, 1, (4, 2, 6, 6)).astype(np.float32))}
    if fc:
        last = Layer("fc", InnerProduct(num_output=5), ("conv",), ("fc",), blobs(5, 48))
        layers["fc"] = stats_of(last, rng.uniform(0, 40, (4, 48)).astype(np.float32))
    return CalibrationStats(layers, 1, "made up")


def formats(spec: QuantSpec) -> dict[str, set[int]]:
    """Give the widths that stand in each place, over all layers; none for a place in float."""
    found: dict[str, set[int]] = {"conv": set(), "fc": set(), "activations": set()}
    for name, quant in spec.layers.items():
        for place, fmt in ((name, quant.params), ("activations", quant.layer_in), ("activations", quant.layer_out)):
            if isinstance(fmt, FixedPoint):
                found[place].add(fmt.bw)
    return found


@pytest.mark.parametrize("mode", [FIXED, DYNAMIC], ids=["fixed", "dynamic"])
def test_one_part_is_condensed_and_the_rest_stays_in_float(mode: TrimmingMode) -> None:
    plan = plan_sweep(made_up(), PRESETS["accurate"], [mode], SWEPT_PARTS, [4, 7])
    for part, places in {
        "conv_params": ["conv"],
        "fc_params": ["fc"],
        "activations": ["activations"],
        "all": ["conv", "fc", "activations"],
    }.items():
        for width in (4, 7):
            found = formats(plan[Point(mode.name, part, width)])
            assert found == {place: {width} if place in places else set() for place in found}, (part, width)


def test_nets_stand_by_mode_then_part_then_from_wide_to_narrow() -> None:
    plan = plan_sweep(made_up(), PRESETS["accurate"], [FIXED, DYNAMIC], ["fc_params", "all"], [3, 8, 3])
    assert list(plan) == [
        Point(mode, part, width)
        for mode in ("fixed_point", "dynamic_fixed_point")
        for part in ("fc_params", "all")
        for width in (8, 3)
    ]


def test_fixed_point_has_one_radix_point_for_all_parts_and_dynamic_its_own() -> None:
    stats = made_up()
    plan = plan_sweep(stats, PRESETS["accurate"], [FIXED, DYNAMIC], SWEPT_PARTS, [8])

    def lengths(mode: str, part: str) -> set[int]:
        quants = plan[Point(mode, part, 8)].layers.values()
        places = [fmt for q in quants for fmt in (q.layer_in, q.layer_out, q.params)]
        return {fmt.fl for fmt in places if isinstance(fmt, FixedPoint)}

    assert len({length for part in SWEPT_PARTS for length in lengths("fixed_point", part)}) == 1
    assert len(lengths("dynamic_fixed_point", "all")) > 1


@pytest.mark.parametrize("bw", [2, 5, 12])
def test_the_one_format_has_the_least_sum_of_relative_errors(bw: int) -> None:
    layers = made_up().layers.values()

    def error(fmt: FixedPoint) -> float:
        total = 0.0
        for s in layers:
            at_output = s.layer_out.squared_error(fmt, rectified=False) + params_error(s, fmt)
            total += s.layer_in.squared_error(fmt) / s.layer_in.mean_square() + at_output / s.layer_out.mean_square()
        return total

    (spec,) = plan_sweep(made_up(), PRESETS["accurate"], [FIXED], ["all"], [bw]).values()
    (fmt,) = {fmt for quant in spec.layers.values() for fmt in (quant.layer_in, quant.layer_out, quant.params)}
    # The largest numbers are 40: no length beyond these can be better.
    assert fmt == min((FixedPoint(bw, fl) for fl in range(bw - 8, bw + 8)), key=error)


def test_progress_is_told_of_each_net() -> None:
    told: list[None] = []
    plan = plan_sweep(
        made_up(), PRESETS["original"], [DYNAMIC], SWEPT_PARTS, [8, 4], progress=lambda: told.append(None)
    )
    assert len(told) == len(plan) == 8


@pytest.mark.parametrize(
    ("fc", "wanted", "chosen"),
    [
        (True, None, ["conv_params", "fc_params", "activations", "all"]),
        (False, None, ["conv_params", "activations", "all"]),
        (False, ["all", "conv_params"], ["conv_params", "all"]),
    ],
)
def test_parts_are_those_that_the_net_has(fc: bool, wanted: Sequence[str] | None, chosen: list[str]) -> None:
    assert choose_parts(made_up(fc=fc), wanted) == chosen


def test_a_part_that_the_net_lacks_is_named() -> None:
    with pytest.raises(SearchError, match="the net has no fc_params") as caught:
        choose_parts(made_up(fc=False), ["fc_params"])
    assert caught.value.hint == "its parts: conv_params, activations"


@pytest.mark.parametrize(
    ("modes", "parts", "widths", "says"),
    [
        ([DYNAMIC, MINIFLOAT], ["all"], [8, 3], "minifloat, all at 3 bits: no minifloat has 3 bits"),
        ([POWER], ["activations", "fc_params"], [8], "integer_power_of_2_weights, fc_params at 8 bits: powers of two"),
        ([DYNAMIC], ["all"], [8, 33], "a width of 33 bits"),
        ([DYNAMIC], ["all"], [0], "a width of 0 bits"),
        ([DYNAMIC], ["all"], [], "a sweep needs"),
    ],
)
def test_a_width_that_a_mode_lacks_is_refused(
    modes: list[TrimmingMode], parts: list[str], widths: list[int], says: str
) -> None:
    with pytest.raises(SearchError, match=says):
        check_widths(modes, parts, widths)


def test_widths_that_modes_have_are_not_refused() -> None:
    check_widths([FIXED, DYNAMIC], SWEPT_PARTS, range(1, 33))
    check_widths([MINIFLOAT], SWEPT_PARTS, [4, 16, 32])
    check_widths([POWER], ["conv_params", "fc_params"], [4])
    check_widths([POWER], ["activations"], [16, 2])


def test_the_shortest_minifloat_can_be_chosen() -> None:
    plan = plan_sweep(made_up(), PRESETS["accurate"], [MINIFLOAT], ["all"], [4])
    (spec,) = plan.values()
    assert {quant.params for quant in spec.layers.values()} == {MiniFloat(2, 1)}


def test_a_width_that_this_net_s_ranges_rule_out_is_named() -> None:
    # The original gives the exponent four bits at least, which leaves no sign in a word of four.
    with pytest.raises(SearchError, match="minifloat, all at 4 bits: a minifloat with mant_bits -1"):
        plan_sweep(made_up(), PRESETS["original"], [MINIFLOAT], ["all"], [4])


def test_a_sweep_lists_what_it_has() -> None:
    scores = {Point(m, p, w): Score(0.5) for m in ("b", "a") for p in ("all", "conv_params") for w in (2, 16, 4)}
    found = Sweep("accurate", "accuracy", True, Score(0.9), scores)
    assert (found.modes, found.parts, found.widths) == (["b", "a"], ["all", "conv_params"], [16, 4, 2])
