"""Formats for hardware: one grid wherever activations meet, and no output finer than its accumulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.calibrate import CalibrationStats, calibrate
from ristretto.formats import FixedPoint
from ristretto.formats.fixed_point import MAX_FRACTION
from ristretto.hardware import needs, trace
from ristretto.hardware.realisability import extra_shifts
from ristretto.net import LayerQuant, Net, Part, QuantSpec, Shape
from ristretto.net.quant import PLACES
from ristretto.passes import QuantizeLayers
from ristretto.search import MODES, PRESETS, Goal, Score, run_search
from ristretto.search.condense import Condensed
from ristretto.search.shared_grids import SharedGrids, unconstrained
from tests.execute.nets import formats, nets
from tests.search.layer_nets import SHAPES, branched_net, small_net

KINDS = ("conv", "conv", "depthwise", "deconv", "ip", "relu", "max", "concat", "dropout", "split", "flatten", "permute")
F = FixedPoint


def stats_of(net: Net, batch: dict[str, np.ndarray]) -> CalibrationStats:
    return calibrate(net, {blob: x.shape for blob, x in batch.items()}, [batch], source="here")


def batch_of(net: Net) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {"data": rng.normal(size=SHAPES["data"]).astype(np.float32), "label": np.zeros(SHAPES["label"], np.float32)}


def spec_of(**layers: LayerQuant) -> QuantSpec:
    return QuantSpec("dynamic_fixed_point", layers)


def but_lifts(spec: QuantSpec, net: Net, shapes: Mapping[str, Shape] = SHAPES) -> tuple[str, ...]:
    """Give the extra shifts of a net, but for those of products to the bias of a layer whose input has `fl` < 0."""
    stages = trace(QuantizeLayers(spec)(net), shapes).stages
    for stage in stages:
        if stage.mac and stage.mac.lift:
            assert stage.mac.lift == -spec.layers[stage.layer.name].layer_in.fl
    return tuple(line for stage in stages for line in extra_shifts(stage) if not line.endswith("to meet its bias"))


def shared(net: Net) -> SharedGrids:
    return SharedGrids.of(net, stats_of(net, batch_of(net)))


@st.composite
def specs(draw: st.DrawFn, net: Net) -> QuantSpec:
    """Any formats for a net's layers, all activations of one width."""
    bw = draw(st.integers(2, 12))
    words = st.integers(-12, 24).map(lambda fl: F(bw, fl))
    names = [layer.name for layer in net if layer.op.part]
    quants = st.builds(LayerQuant, words, words, formats(8))
    return spec_of(**{name: draw(quants) for name in names})


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_nothing_is_shifted_but_accumulators(data: st.DataObject) -> None:
    net, batch = data.draw(nets(kinds=KINDS, quants=st.none()))
    if not any(layer.op.part for layer in net):
        return
    spec = data.draw(specs(net))
    constrain = SharedGrids.of(net, stats_of(net, batch))
    found = constrain(spec)
    for name, quant in spec.layers.items():
        for place in PLACES:
            assert getattr(found.layers[name], place).bw == getattr(quant, place).bw
    shapes = {blob: x.shape for blob, x in batch.items()}
    assert but_lifts(found, net, shapes) == ()
    assert trace(QuantizeLayers(found)(net), shapes).obstacles == ()
    assert constrain(found) == found


def test_what_meets_takes_the_length_with_the_least_error() -> None:
    net = small_net()
    stats = stats_of(net, batch_of(net))
    spec = spec_of(
        conv1=LayerQuant(F(8, 5), F(8, 7), F(8, 6)),
        conv2=LayerQuant(F(8, 3), F(8, 5), F(8, 6)),
        ip=LayerQuant(F(8, 5), F(8, 4), F(8, 6)),
    )
    found = SharedGrids.of(net, stats)(spec).layers
    (made, read) = found["conv1"].layer_out, found["conv2"].layer_in
    assert made == read

    def error(fl: int) -> float:
        out, back = stats.layers["conv1"].layer_out, stats.layers["conv2"].layer_in
        at_out = out.squared_error(F(8, fl), rectified=True) / out.mean_square()
        return at_out + back.squared_error(F(8, fl)) / back.mean_square()

    assert isinstance(made, FixedPoint)
    assert made.fl == min(range(3, 8), key=error)
    # What nothing else meets stays.
    assert found["conv1"].layer_in == F(8, 5)
    assert found["ip"].layer_out == F(8, 4)


def test_what_a_relu_takes_away_need_not_be_covered() -> None:
    net = small_net()
    weights, bias = net["conv1"].blobs
    low = replace(net["conv1"], blobs=(weights, bias - np.array([60, 0, 0], np.float32)))
    net = replace(net, layers=tuple(low if layer.name == "conv1" else layer for layer in net))
    spec = spec_of(conv1=LayerQuant(F(8, 5), F(8, 1), F(8, 6)), conv2=LayerQuant(F(8, 5), F(8, 5), F(8, 6)))
    assert shared(net)(spec).layers["conv1"].layer_out == F(8, 5)


def test_a_bias_does_not_make_a_net_of_large_numbers_saturate() -> None:
    """Activations of SqueezeNet reach thousands: with steps no larger than one, 8 bits would end at 127."""
    net = small_net()
    large = replace(net["conv1"], blobs=tuple(blob * 4000 for blob in net["conv1"].blobs))
    net = replace(net, layers=tuple(large if layer.name == "conv1" else layer for layer in net))
    words = LayerQuant(F(8, -5), F(8, -5), F(8, 6))
    found = shared(net)(spec_of(conv1=replace(words, layer_in=F(8, 5)), conv2=words, ip=words))
    assert found.layers["conv2"].layer_out == found.layers["ip"].layer_in == F(8, -5)
    assert but_lifts(found, net) == ()
    (line,) = needs(trace(QuantizeLayers(found)(net), SHAPES)).extra_shifts
    assert line == "layer 'ip': its products need a shift to the left by 5 bits to meet its bias"


def test_an_output_is_no_finer_than_its_accumulator() -> None:
    fine = LayerQuant(F(8, 1), F(8, 7), F(8, 2))
    found = shared(small_net())(spec_of(conv1=fine, conv2=LayerQuant(F(8, 7), F(8, 4), F(8, 6)), ip=fine)).layers
    assert found["conv1"].layer_out == F(8, 3) == found["conv2"].layer_in


def test_weights_become_finer_where_a_loop_has_no_end() -> None:
    """A layer whose input and output meet: with weights coarser than 1 each round asks for a coarser output."""
    net = branched_net()
    words = LayerQuant(F(8, 3), F(8, 3), F(8, 0))
    spec = spec_of(**{layer.name: words for layer in net if layer.op.part})
    spec = replace(spec, layers={**spec.layers, "inner": replace(words, params=F(8, -1))})
    inner = shared(net)(spec).layers["inner"]
    assert inner.params == F(8, 0)
    # As coarse as the way through each layer once could make it, and no further.
    assert inner.layer_in == inner.layer_out == F(8, 2)


def test_places_in_float_stay_so_and_bind_nothing() -> None:
    wide = F(32, 16)
    spec = spec_of(
        conv1=LayerQuant(None, None, F(8, 6)),
        conv2=LayerQuant(F(8, 2), wide, None),
        ip=LayerQuant(None, F(8, 20), F(8, -3)),
    )
    assert shared(small_net())(spec) == spec


def test_a_fork_and_a_joint_share_one_length() -> None:
    net = branched_net()
    spec = spec_of(
        **{
            layer.name: LayerQuant(F(8, 4 + at), F(8, 6 - at), F(8, 5))
            for at, layer in enumerate(layer for layer in net if layer.op.part)
        }
    )
    found = shared(net)(spec)
    assert but_lifts(found, net) == ()
    assert needs(trace(QuantizeLayers(spec)(net), SHAPES)).extra_shifts != ()


@pytest.mark.parametrize("fl", [-MAX_FRACTION, MAX_FRACTION])
def test_the_ends_of_all_formats_are_met(fl: int) -> None:
    every = LayerQuant(F(8, fl), F(8, -fl), F(8, fl))
    found = shared(small_net())(spec_of(conv1=every, conv2=every, ip=every))
    assert but_lifts(found, small_net()) == ()


def test_without_the_wish_formats_stay() -> None:
    spec = spec_of(conv1=LayerQuant(F(8, 5), F(8, 7), F(8, 6)))
    assert unconstrained(spec) is spec


def test_only_one_mode_and_one_preset_let_radix_points_be_moved() -> None:
    assert [name for name, mode in MODES.items() if mode.moves_radix_points] == ["dynamic_fixed_point"]
    assert [name for name, preset in PRESETS.items() if preset.moves_radix_points] == ["accurate"]
    assert [name for name, mode in MODES.items() if not mode.is_on_grids] == ["minifloat"]


def test_formats_that_fit_together_are_left_alone() -> None:
    spec = spec_of(
        conv1=LayerQuant(F(8, 5), F(8, 4), F(8, 6)),
        conv2=LayerQuant(F(8, 4), F(8, 3), F(8, 6)),
        ip=LayerQuant(F(8, 3), F(8, 2), F(4, 2)),
    )
    assert shared(small_net())(spec) == spec


def test_trials_score_what_the_constraint_leaves() -> None:
    """Formats are moved before weights are refined, and again behind that."""
    net = small_net()
    stats = stats_of(net, batch_of(net))
    refined: list[QuantSpec] = []

    def refine(spec: QuantSpec) -> Condensed:
        refined.append(spec)
        finer = {name: replace(quant, params=F(8, -9)) for name, quant in spec.layers.items()}
        return Condensed(replace(spec, layers=finer))

    result = run_search(
        net,
        stats,
        PRESETS["accurate"],
        MODES["dynamic_fixed_point"],
        lambda net, enough=None: Score(0.5, None),
        Goal("accuracy", 1.0, True),
        bits=dict.fromkeys(Part, 8),
        refine=refine,
        constrain=SharedGrids.of(net, stats),
    )
    for spec in (refined[0], result.spec):
        assert but_lifts(spec, net) == ()
