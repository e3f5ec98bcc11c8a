"""Weights that are changed to suit formats: against plain sums, exhaustive search, and what they are for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.calibrate import CalibrationStats, calibrate
from ristretto.execute import IntegerExecutor
from ristretto.formats import FixedPoint, MiniFloat, PowerOfTwo
from ristretto.kernels.descent import descend, multiply
from ristretto.layers.accuracy import Accuracy
from ristretto.layers.convolution import Convolution
from ristretto.layers.deconvolution import Deconvolution
from ristretto.layers.inner_product import InnerProduct
from ristretto.layers.input import Input
from ristretto.layers.relu import ReLU
from ristretto.net import Layer, LayerQuant, Net, Phase, QuantSpec
from ristretto.passes import TrimWeights
from ristretto.search.condense import Condensed
from ristretto.search.journal import Journal
from ristretto.search.refine import KeptWeights, Techniques, WeightRefiner
from ristretto.search.refine.centring import centring, misjudgement
from ristretto.search.refine.layer import Rows
from ristretto.search.refine.lockstep import Walker
from ristretto.search.refine.methods import correct_bias, learn_rounding
from ristretto.search.refine.moments import MOST_SAMPLES, Moments, mean_windows, measure
from ristretto.search.refine.refiner import Fold, Plan
from ristretto.search.refine.rounding import Problem, Pull, solve
from ristretto.search.sensitivity import View

EIGHT = FixedPoint(8, 6)
PICTURES, CLASSES = 24, 4


def layer_of(op: Convolution | Deconvolution | InnerProduct, shape: tuple[int, ...], bottom: str = "data") -> Layer:
    rng = np.random.default_rng(7)
    blobs = [rng.normal(size=size).astype(np.float32) for size in op.blob_shapes([shape])]
    return Layer("layer", op, (bottom,), ("top",), tuple(blobs))


CASES = [
    (Convolution(4, (3, 3), pad=(1, 1)), (5, 2, 6, 5)),
    (Convolution(4, (3, 2), stride=(2, 1), dilation=(2, 1), group=2), (5, 4, 7, 6)),
    (Convolution(3, (1, 1), bias_term=False), (4, 3, 3, 3)),
    (Deconvolution(3, (3, 3), stride=(2, 2), pad=(1, 1)), (3, 2, 4, 3)),
    (Deconvolution(4, (2, 2), stride=(3, 3), group=2), (3, 2, 2, 3)),
    (InnerProduct(6), (9, 3, 2, 2)),
    (InnerProduct(6, transpose=True), (9, 5)),
]


@pytest.mark.parametrize(("op", "shape"), CASES)
def test_rows_and_windows_make_the_layers_output(op: Convolution, shape: tuple[int, ...]) -> None:
    # The moment of float rows with windows is the sum of outputs times windows: the layer's forward says the same.
    layer = layer_of(op, shape)
    x = np.random.default_rng(1).integers(-9, 9, shape).astype(np.float32)
    walk = op.geometry(shape)
    assert walk is not None
    rows = Rows(layer, walk)
    moments = measure(walk, [x[:2], x[2:]], [x[:2], x[2:]])
    (top,) = op.forward([x.astype(np.float64)], [blob.astype(np.float64) for blob in layer.blobs])
    per_group = [
        group[:, :-1] @ moments.inner[i][:-1, -1] + group[:, -1] * moments.inner[i][-1, -1]
        for i, group in enumerate(rows.groups())
    ]
    wanted = np.moveaxis(top.reshape(len(x), walk.out_shape[0], -1), 1, 0).reshape(walk.out_shape[0], -1).sum(axis=1)
    np.testing.assert_allclose(np.concatenate(per_group), wanted, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(("op", "shape"), CASES)
def test_rows_go_back_to_where_they_came_from(op: Convolution, shape: tuple[int, ...]) -> None:
    layer = layer_of(op, shape)
    walk = op.geometry(shape)
    assert walk is not None
    rows = Rows(layer, walk)
    for new, old in zip(rows.blobs(rows.groups()), layer.blobs, strict=True):
        np.testing.assert_array_equal(new, old)


def test_moments_are_sums_over_all_windows() -> None:
    rng = np.random.default_rng(3)
    ours, theirs = (rng.integers(-50, 50, (4, 2, 5, 5)).astype(np.float32) for _ in range(2))
    walk = Convolution(3, (2, 2), pad=(1, 1)).geometry(ours.shape)
    assert walk is not None

    def windows(x: np.ndarray) -> np.ndarray:
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        return np.array(
            [[*padded[n, :, i : i + 2, j : j + 2].ravel(), 1] for n in range(4) for i in range(6) for j in range(6)]
        )

    found = measure(walk, [ours[:1], ours[1:]], [theirs[:1], theirs[1:]])
    np.testing.assert_array_equal(found.inner[0], windows(ours).T @ windows(ours))
    np.testing.assert_array_equal(found.cross[0], windows(theirs).T @ windows(ours))
    np.testing.assert_array_equal(mean_windows(walk, [ours])[0], windows(ours)[:, :-1].mean(axis=0))


def test_moments_do_not_depend_on_how_pictures_are_batched_and_stay_exact() -> None:
    # More places than are looked at, and 16-bit codes at both ends.
    x = np.random.default_rng(4).uniform(-1, 1, (8, 1, 90, 90)).astype(np.float32)
    x[0, 0, 0, 0] = -1
    walk = Convolution(1, (3, 3)).geometry(x.shape)
    assert walk is not None
    whole, parts = measure(walk, [x], [x]), measure(walk, [x[:3], x[3:]], [x[:3], x[3:]])
    np.testing.assert_array_equal(whole.inner, parts.inner)
    assert whole.inner[0, -1, -1] <= MOST_SAMPLES
    # An upper bound of any sum of codes: far below where float64 stops being exact.
    assert MOST_SAMPLES * 2**30 < 2**53


def test_multiply_adds_a_product() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(-9, 9, (3, 5)).astype(np.float64), rng.integers(-9, 9, (5, 4)).astype(np.float64)
    out = np.ones((3, 4))
    multiply(a, b, out)
    np.testing.assert_array_equal(out, 1 + a @ b)


def problem(rows: int, terms: int, seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    windows = np.c_[rng.integers(-8, 8, (30, terms)) / 4, np.ones(30)]
    noisy = windows + np.c_[rng.normal(size=(30, terms)) / 8, np.zeros(30)]
    weights = rng.normal(size=(rows, terms + 1)).astype(np.float32).astype(np.float64)
    return Problem(weights, Moments(noisy.T @ noisy, windows.T @ noisy))


def loss(task: Problem, weights: np.ndarray, pull: Pull) -> float:
    """Give the error that a descent brings down, written plainly."""
    inner = task.moments.inner
    draw = pull.strength * np.diagonal(inner).mean()
    blend = pull.follow * task.moments.cross + (1 - pull.follow) * inner
    total = 0.0
    for row, old in zip(weights, task.weights, strict=True):
        total += row @ inner @ row - 2 * old @ blend @ row + draw * ((row - old) ** 2).sum() - draw * (old**2).sum()
    return total


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.sampled_from([0.0, 0.5, 1.0])
)
def test_no_single_code_can_be_moved_to_advantage(seed: int, rows: int, terms: int, bw: int, follow: float) -> None:
    task, fmt, pull = problem(rows, terms, seed), FixedPoint(bw, 1), Pull(0.03, follow)
    found, error = solve(task, fmt, pull)
    np.testing.assert_array_equal(fmt.trim(found.astype(np.float32)), found)
    best = loss(task, found, pull)
    assert error == pytest.approx(best, rel=1e-9, abs=1e-9)
    nearest = fmt.trim(task.weights.astype(np.float32)).astype(np.float64)
    assert best <= loss(task, nearest, pull) + 1e-9
    for (i, j), step in product(np.ndindex(found.shape), (-0.5, 0.5)):
        moved = found.copy()
        moved[i, j] += step
        if (fmt.trim(moved.astype(np.float32)) == moved).all():
            assert loss(task, moved, pull) >= best - 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_descent_comes_close_to_the_best_of_all_codes(seed: int) -> None:
    task, fmt, pull = problem(1, 3, seed), FixedPoint(2, 0), Pull(0.01, 1.0)
    found, _ = solve(task, fmt, pull)
    every = [np.array([codes], np.float64) for codes in product((-2, -1, 0, 1), repeat=4)]
    losses = sorted(loss(task, each, pull) for each in every)
    nearest = loss(task, fmt.trim(task.weights.astype(np.float32)).astype(np.float64), pull)
    assert losses[0] <= loss(task, found, pull) <= losses[0] + 0.2 * (nearest - losses[0]) + 1e-9


def test_threads_change_no_code() -> None:
    task, pull = problem(7, 6, 1), Pull(0.03, 1.0)
    one, other = (solve(task, FixedPoint(3, 1), pull, threads)[0] for threads in (1, 3))
    np.testing.assert_array_equal(one, other)


def test_descent_leaves_what_has_no_power() -> None:
    codes, slope = np.array([[3.0, 1.0]]), np.array([[5.0, 0.0]])
    descend(codes, np.array([[0.0, 0.0], [0.0, 1.0]]), slope, -8.0, 7.0, 5)
    np.testing.assert_array_equal(codes, [[3, 1]])


def classifier() -> tuple[Net, list[dict[str, np.ndarray]]]:
    rng = np.random.default_rng(11)

    def blobs(*shape: int, scale: float) -> tuple[np.ndarray, ...]:
        return (
            rng.normal(scale=scale, size=shape).astype(np.float32),
            rng.normal(scale=scale, size=shape[:1]).astype(np.float32),
        )

    layers = (
        Layer("data", Input(((PICTURES, 2, 8, 8), (PICTURES,))), (), ("data", "label")),
        Layer("conv", Convolution(6, (3, 3)), ("data",), ("conv",), blobs(6, 2, 3, 3, scale=0.3)),
        Layer("relu", ReLU(), ("conv",), ("conv",)),
        Layer("fc", InnerProduct(CLASSES), ("conv",), ("fc",), blobs(CLASSES, 216, scale=0.2)),
        Layer("accuracy", Accuracy(), ("fc", "label"), ("accuracy",)),
    )
    batches = [
        {
            "data": rng.normal(size=(PICTURES, 2, 8, 8)).astype(np.float32),
            "label": rng.integers(0, CLASSES, PICTURES).astype(np.float32),
        }
        for _ in range(6)
    ]
    return Net("net", layers).for_phase(Phase.TEST), batches


@dataclass(frozen=True)
class Pictures:
    """A source of batches that are at hand."""

    held: Sequence[dict[str, np.ndarray]]
    names: tuple[str, ...] = ("pictures",)
    period: int | None = None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return shapes(self.held)

    def batches(self, count: int, start: int = 0) -> Iterator[dict[str, np.ndarray]]:
        yield from self.held[start : start + count]

    def fingerprint(self, count: int, hash_files: object) -> None:
        return None


def refiner(techniques: Techniques, threads: int = 1) -> WeightRefiner:
    return refiner_of(*classifier(), techniques, threads)


def refiner_of(
    net: Net, batches: Sequence[dict[str, np.ndarray]], techniques: Techniques, threads: int = 1
) -> WeightRefiner:
    stats = calibrate(net, shapes(batches), batches)
    view = View.of(net, "accuracy")
    return WeightRefiner(net, stats, Pictures(batches), len(batches), view, techniques, threads)


def shapes(batches: Sequence[dict[str, np.ndarray]]) -> dict[str, tuple[int, ...]]:
    return {blob: value.shape for blob, value in batches[0].items()}


def coarse(bw: int = 3) -> QuantSpec:
    places = {"conv": (FixedPoint(8, 5), FixedPoint(8, 4), FixedPoint(bw, bw - 1))}
    places["fc"] = (FixedPoint(8, 4), FixedPoint(8, 3), FixedPoint(bw, bw - 1))
    return QuantSpec("dynamic_fixed_point", {name: LayerQuant(*formats) for name, formats in places.items()})


def output_error(refine: WeightRefiner, condensed: Condensed) -> float:
    """Give the mean squared error of the scores on all batches, less what is common to a picture's scores."""

    def run(net: Net) -> np.ndarray:
        executor = IntegerExecutor(net, refine.source.shapes, keep=["fc.top0"])
        scores = np.concatenate([executor.run(batch).kept["fc.top0"] for batch in refine.batches]).astype(np.float64)
        return scores - scores.mean(axis=1, keepdims=True)

    return float(np.square(run(condensed.apply(refine.net)) - run(refine.net)).mean())


def test_each_technique_does_better_than_the_nearest_codes() -> None:
    nearest, bias, rounding = (
        output_error(refine, refine(coarse()))
        for refine in (
            refiner(Techniques(False, False, False, checked=False)),
            refiner(Techniques(True, False, False, checked=False)),
            refiner(Techniques(False, True, False, checked=False)),
        )
    )
    assert bias < nearest
    assert rounding < 0.5 * nearest


@pytest.mark.parametrize("techniques", [Techniques(), Techniques(False, True, True, checked=False)])
def test_refined_weights_lie_on_the_grid(techniques: Techniques) -> None:
    refine = refiner(techniques)
    found = refine(coarse())
    net = found.apply(refine.net)
    assert set(found.weights) == {"conv", "fc"}
    assert TrimWeights()(net) is net
    assert all(quant.params.bw == 3 for quant in found.spec.layers.values())


def test_what_does_not_help_is_undone() -> None:
    refine = refiner(Techniques())
    spec = coarse(16)
    wide = refine(spec)
    assert distortion(refine, wide) <= distortion(refine, Condensed(spec)) + 1e-12


def distortion(refine: WeightRefiner, condensed: Condensed) -> float:
    """Give the distortion over all batches, whatever they were used for."""
    return sum(refine.distortion(condensed, fold) * (fold.end - fold.start) for fold in refine.folds)


@pytest.mark.parametrize(("count", "folds"), [(1, 1), (2, 2), (3, 3), (4, 2), (5, 3), (10, 3), (15, 3)])
def test_every_batch_is_held_back_once(count: int, folds: int) -> None:
    net, batches = classifier()
    refine = refiner_of(net, [batches[at % len(batches)] for at in range(count)], Techniques())
    held = [list(range(fold.start, fold.end)) for fold in refine.folds]
    assert len(held) == folds
    assert sorted(at for few in held for at in few) == list(range(count))
    assert held[0][-1] == count - 1
    for fold in refine.folds:
        others = list(refine.fitted(fold))
        wanted = [batch for at, batch in enumerate(refine.batches) if not fold.start <= at < fold.end]
        assert len(others) == len(wanted or refine.batches)
        assert all(a is b for a, b in zip(others, wanted or refine.batches, strict=True))


class Asked(WeightRefiner):
    """Finds what it is told to find, and counts: by fold, the distortion of each plan, no plan first."""

    told: Sequence[Sequence[float]] = ()
    asked: int = 0

    def _walk(self, spec: QuantSpec, plan: Plan, fold: Fold | None) -> Condensed:
        return Condensed(spec, {"plan": (np.array([self._plans(spec).index(plan)]),)})

    def _plans(self, spec: QuantSpec) -> list[Plan]:
        return [BIAS, ROUNDING]

    def distortion(self, condensed: Condensed, fold: Fold) -> float:
        at = 1 + int(condensed.weights["plan"][0][0]) if condensed.weights else 0
        type(self).asked += 1
        return self.told[self.folds.index(fold)][at]


BIAS, ROUNDING = Plan(correct_bias), Plan(learn_rounding)


@pytest.mark.parametrize(
    ("told", "asked", "chosen"),
    [
        ([[3, 1, 2]] * 3, 3, 0),
        ([[3, 2, 1]] * 3, 3, 1),
        ([[1, 2, 3]] * 3, 3, None),
        # Not clear at first: 1.0 and 1.1, then 3.0 and 1.6.
        ([[9, 1.0, 1.1], [9, 2.0, 0.5], [9, 0, 0]], 6, 1),
        # Half of the distortion, but a few pictures in a thousand only: clear with the second.
        ([[9, 0.004, 0.008], [9, 0.05, 0.01], [9, 0, 9]], 6, 1),
        # Not clear to the end: the sums decide.
        ([[9, 1.0, 1.1], [9, 1.1, 1.0], [9, 1.0, 0.9]], 9, 1),
        ([[1, 1, 1]] * 3, 9, None),
    ],
)
def test_what_is_held_back_changes_until_it_is_clear_what_helps(
    told: list[list[float]], asked: int, chosen: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = refiner(Techniques())
    monkeypatch.setattr(Asked, "told", told)
    monkeypatch.setattr(Asked, "asked", 0)
    refine = Asked(plain.net, plain.stats, plain.source, plain.count, plain.view)
    found = refine(coarse())
    assert Asked.asked == asked
    assert (int(found.weights["plan"][0][0]) if found.weights else None) == chosen


def test_a_net_without_formats_for_weights_stays_as_it_is() -> None:
    quants = {name: replace(quant, params=None) for name, quant in coarse().layers.items()}
    found = refiner(Techniques())(QuantSpec("dynamic_fixed_point", quants))
    assert not found.weights
    assert found.spec.layers == quants


@pytest.mark.parametrize("params", [MiniFloat(3, 4), PowerOfTwo(-8, -1)])
def test_formats_without_a_grid_get_their_biases_corrected(params: MiniFloat | PowerOfTwo) -> None:
    refine = refiner(Techniques(False, True, False, checked=False))
    quants = {name: replace(quant, params=params) for name, quant in coarse().layers.items()}
    spec = QuantSpec("any", quants)
    found = refine(spec)
    for name, (weights, bias) in found.weights.items():
        np.testing.assert_array_equal(weights, params.trim(refine.net[name].blobs[0]))
        assert (bias != refine.net[name].blobs[1]).any()
    assert output_error(refine, found) < output_error(refine, Condensed(spec))


def test_threads_change_no_weight() -> None:
    one, other = (refiner(Techniques(), threads)(coarse()) for threads in (1, 2))
    assert one.spec == other.spec
    for name in one.weights:
        for a, b in zip(one.weights[name], other.weights[name], strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_journal_gives_the_same_without_computing(tmp_path: object) -> None:
    refine = refiner(Techniques())
    journal = Journal(tmp_path)  # type: ignore[arg-type]
    first = KeptWeights(refine, journal, "conditions")(coarse())

    def never(spec: QuantSpec) -> Condensed:
        raise AssertionError("computed again")

    again = KeptWeights(never, journal, "conditions")(coarse())
    assert again.spec == first.spec
    for name in first.weights:
        for a, b in zip(first.weights[name], again.weights[name], strict=True):
            np.testing.assert_array_equal(a, b)


def test_centring_uses_the_codes_below_zero() -> None:
    refine = refiner(Techniques())
    stats = refine.stats.layers["fc"]
    # Scores of winners far above zero, as they are in nets that were trained.
    lifted = replace(stats, sample_out=stats.sample_out + np.float32(6))
    moved = centring(refine.net, lifted, FixedPoint(4, 0))
    assert moved is not None
    assert moved.shift < 0
    assert moved.layer_out.fl > 0
    assert moved.layer_out.bw == 4


def test_centring_weighs_places_against_probabilities() -> None:
    # Winners lie at 9 and at 1.5: both are kept apart from the others only between -4 and 12.
    refine = refiner(Techniques())
    stats = refine.stats.layers["fc"]
    scores = np.tile(np.float32([[9.0, 8.5, -1.0, 0.0], [1.5, 1.0, 0.0, -1.0]]), (4, 1))
    moved = centring(refine.net, replace(stats, sample_out=scores), FixedPoint(5, 0))
    assert moved is not None
    assert moved.layer_out == FixedPoint(5, 1)
    assert moved.layer_out.low <= -1 + moved.shift
    assert 9 + moved.shift <= moved.layer_out.high
    assert centring(refine.net, replace(stats, sample_out=scores), moved.layer_out) == moved


def test_a_tie_is_a_misjudgement_though_probabilities_hardly_move() -> None:
    before = np.float32([[1.0, 0.99, 0.0], [3.0, 0.0, 0.0]])
    tied = np.float32([[1.0, 1.0, 0.0], [3.0, 0.0, 0.0]])
    assert 0.5 < misjudgement(before, tied) < 0.5 + 1e-4
    assert misjudgement(before, before) == 0


def test_centring_leaves_alone_what_it_cannot_better() -> None:
    refine = refiner(Techniques())
    stats = refine.stats.layers["fc"]
    scores = np.tile(np.float32([[2.0, -2.0, 1.0, 0.0], [1.0, 0.0, -1.0, 2.0]]), (4, 1))
    assert centring(refine.net, replace(stats, sample_out=scores), FixedPoint(8, 5)) is None


def test_last_bits_of_logarithms_choose_no_shift(monkeypatch: pytest.MonkeyPatch) -> None:
    refine = refiner(Techniques())
    found = iter(1 - 1e-13 * number for number in range(10_000))
    monkeypatch.setattr("ristretto.search.refine.centring.misjudgement", lambda before, after: next(found))
    assert centring(refine.net, refine.stats.layers["fc"], FixedPoint(8, 2)) is None
    assert next(found) < 1 - 1e-12


def test_scores_that_something_else_reads_are_not_moved() -> None:
    refine = refiner(Techniques())
    extra = Layer("clamp", ReLU(), ("fc",), ("clamp",))
    net = replace(refine.net, layers=(*refine.net.layers, extra))
    stats: CalibrationStats = refine.stats
    assert centring(refine.net, stats.layers["fc"], FixedPoint(4, 0)) is not None
    assert centring(net, stats.layers["fc"], FixedPoint(4, 0)) is None
    assert centring(refine.net, stats.layers["conv"], FixedPoint(4, 0)) is None


def test_weights_on_their_grids_are_left_alone() -> None:
    net, _ = classifier()
    plain = TrimWeights()(net)
    assert plain is net
    condensed = Condensed(coarse()).apply(net)
    trimmed = TrimWeights()(condensed)
    for name in ("conv", "fc"):
        for new, old in zip(trimmed[name].blobs, net[name].blobs, strict=True):
            np.testing.assert_array_equal(new, FixedPoint(3, 2).trim(old))
    assert TrimWeights()(trimmed) is trimmed


def test_a_layer_reads_what_the_layers_before_it_have_become() -> None:
    net, batches = classifier()
    walker = Walker(IntegerExecutor, net, shapes(batches), batches)
    walker.go_to("conv")
    zeros = tuple(np.zeros_like(blob) for blob in net["conv"].blobs)
    quant = coarse().layers["conv"]
    walker.set("conv", zeros, quant)
    assert walker.rest["conv"].quant == quant
    assert not any(read.any() for read in walker.go_to("fc"))


def test_centred_scores_keep_more_first_places() -> None:
    net, batches = classifier()
    weights, bias = net["fc"].blobs
    lifted = replace(net["fc"], blobs=(weights, bias + np.float32(6)))
    net = replace(net, layers=tuple(lifted if layer.name == "fc" else layer for layer in net))
    spec = coarse(8)
    spec.layers["fc"] = replace(spec.layers["fc"], layer_out=FixedPoint(4, 0), params=FixedPoint(8, 3))
    found = {}
    for centred in (False, True):
        wanted = Techniques(False, True, centred, checked=False)
        refine = refiner_of(net, batches, wanted)
        found[centred] = distortion(refine, refine(spec))
        assert (refine(spec).spec.layers["fc"].layer_out != FixedPoint(4, 0)) is centred
    assert found[True] < found[False]
