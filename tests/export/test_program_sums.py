"""Programs of one layer: sums, biases, rounding and saturation against fractions, and where a program is refused."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from ristretto.errors import ModelError
from ristretto.export.base import Subject
from ristretto.export.program import operations
from ristretto.formats import EXACT, HALF_EVEN, Arithmetic, FixedPoint, Format, MiniFloat, PowerOfTwo
from ristretto.layers import (
    LRN,
    BatchNorm,
    Clip,
    Convolution,
    Dropout,
    Eltwise,
    InnerProduct,
    Input,
    Pooling,
    ReLU,
    Slice,
    Softmax,
)
from ristretto.net import Layer, LayerQuant, Net, Op, Phase
from tests.export.program_nets import Job, compiled_at_once
from tests.export.programs import check, needs_compiler
from tests.export.small import chain

F8 = FixedPoint(8, 4)


def rounded(value: Fraction, fmt: FixedPoint, arithmetic: Arithmetic) -> Fraction:
    """Round once to the nearest number of a format, saturating."""
    scaled = value * Fraction(2) ** fmt.fl
    size = math.floor(abs(scaled) + Fraction(1, 2))
    code = round(scaled) if arithmetic.half_even else -size if scaled < 0 else size
    return min(max(code, fmt.low_code), fmt.high_code) * Fraction(2) ** -fmt.fl


def job(weights: np.ndarray, bias: list[float], x: np.ndarray, arithmetic: Arithmetic, *formats: Format) -> Job:
    return chain(weights, bias, *formats, pictures=len(x)), {"data": np.float32(x)}, arithmetic


TINY, NEAR = 2.0**-40, 2.0**-25
"""Finer than anything else there: they decide on ties, and float64, or float32 beside 0.25, still sees them."""


@needs_compiler
def test_totals_are_rounded_once(tmp_path: Path) -> None:
    """At ties and beside them, with biases that have a format and with real ones beside powers of two."""
    jobs, owed = [], []
    x = np.arange(-16, 16, dtype=np.float64)[:, None] / 16
    biases = [0.0, TINY, -TINY, 0.25 + NEAR, 0.25 - NEAR, 1.0, -0.375, 1e9, -1e9, float("inf")]
    exact = [Fraction(min(max(float(np.float32(bias)), -1e30), 1e30)) for bias in biases]
    for arithmetic in (EXACT, HALF_EVEN):
        for fl in (-1, 1, 3, 12):
            out, weights = FixedPoint(6, fl), np.full((len(biases), 1), -0.25)
            jobs.append(job(weights, biases, x, arithmetic, F8, PowerOfTwo(-4, 2), out))
            sums = [-Fraction(number) / 4 for number in x[:, 0].tolist()]
            owed.append([[float(rounded(total + bias, out, arithmetic)) for bias in exact] for total in sums])
    for arithmetic in (EXACT, HALF_EVEN):
        for fl_in in (-3, 4):
            fmt, params, out = FixedPoint(8, fl_in), FixedPoint(8, 3), FixedPoint(8, 0)
            jobs.append(job(np.array([[0.5], [-0.25]]), [0.375, -3.0], 16 * x, arithmetic, fmt, params, out))
            given = [rounded(Fraction(16 * v), fmt, arithmetic) for v in x[:, 0].tolist()]
            pairs = ((Fraction(1, 2), Fraction(3, 8)), (Fraction(-1, 4), Fraction(-3)))
            owed.append([[float(rounded(v * w + b, out, arithmetic)) for w, b in pairs] for v in given])
    made, refused = compiled_at_once(jobs, tmp_path)
    assert not refused
    # They come back with those that round alike together.
    order = sorted(range(len(jobs)), key=lambda index: jobs[index][2].half_even)
    for each, index in zip(made, order, strict=True):
        (result,) = each.program(each.batch)
        np.testing.assert_array_equal(result, np.array(owed[index]))


@needs_compiler
def test_sums_are_exact_at_their_ends(tmp_path: Path) -> None:
    """The greatest inputs and weights of 16 bits: 32 bits hold one product and not the next, then 64 are taken."""
    fmt, jobs = FixedPoint(16, 0), []
    for terms in (1, 2, 3, 40):
        weights = np.full((2, terms), -(2.0**15))
        weights[1] = 2**15 - 1
        x = np.stack([np.full(terms, -(2.0**15)), np.full(terms, 2.0**15 - 1)])
        jobs.append(job(weights, [1.0, -(2.0**15)], x, EXACT, fmt, fmt, FixedPoint(16, -20)))
    made, _ = compiled_at_once(jobs, tmp_path)
    kinds = {"in_32" in path.read_text() for path in tmp_path.rglob("n?.c")}
    assert kinds == {True, False}
    for each in made:
        check(each.subject, each.batch, each.program)


ONES = (np.ones((2, 2, 1, 1), np.float32), np.zeros(2, np.float32))
EIGHT = LayerQuant(F8, F8, F8)


def conv(name: str, bottom: str, quant: LayerQuant | None = EIGHT) -> Layer:
    return Layer(name, Convolution(2, (1, 1)), (bottom,), (name,), ONES, quant=quant)


def subject(*layers: Layer) -> Subject:
    data = Layer("data", Input(((3, 2, 4, 4),)), (), ("data",))
    return Subject(Net("net", (data, *layers)).for_phase(Phase.TEST), {})


def between(op: Op, *blobs: np.ndarray) -> Subject:
    return subject(conv("a", "data"), Layer("it", op, ("a",), ("it",), blobs), conv("b", "it"))


STATISTICS = (np.zeros(2, np.float32), np.ones(2, np.float32), np.ones(1, np.float32))


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (lambda: subject(Layer("relu", ReLU(), ("data",), ("relu",))), "has no quantized layer"),
        (lambda: subject(conv("a", "data"), conv("b", "a", None)), "layer 'b': it multiplies in float"),
        (
            lambda: subject(conv("a", "data"), conv("b", "a", LayerQuant(F8, F8, FixedPoint(32, 30)))),
            "layer 'b': it multiplies in float",
        ),
        (lambda: subject(conv("a", "data", LayerQuant(F8, None, F8))), "layer 'a': it multiplies in float"),
        (
            lambda: subject(conv("a", "data", LayerQuant(*[MiniFloat(4, 3)] * 3))),
            "layer 'a': minifloat has no integers",
        ),
        (lambda: subject(conv("a", "data", LayerQuant(F8, FixedPoint(25, 4), F8))), "activations of 25 bits"),
        (lambda: between(Softmax()), "layer 'it': Softmax computes in float, and layer 'b' depends on it"),
        (
            lambda: subject(
                Layer("it", BatchNorm(use_global_stats=True), ("data",), ("it",), STATISTICS), conv("b", "it")
            ),
            "layer 'it': BatchNorm is a function of numbers that have too many codes for a table, or none",
        ),
        (lambda: subject(Layer("it", LRN(3), ("data",), ("it",)), conv("b", "it")), "layer 'it': its numbers"),
        (lambda: between(Pooling("STOCHASTIC", (2, 2))), "layer 'it': Pooling computes in float"),
        (
            lambda: subject(Layer("it", Slice(3, 0), ("data",), ("it", "u", "v")), conv("b", "it")),
            "mixes pictures of a batch",
        ),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_what_no_program_can_do_is_refused_in_one_line(net, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        operations(net())
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_a_bias_that_float64_rounds_is_refused() -> None:
    net = chain(np.ones((1, 1)), [2.0**-60], FixedPoint(8, 0), PowerOfTwo(-8, -1), FixedPoint(8, 0))
    with pytest.raises(ModelError, match=r"layer 'ip': its bias .* is so fine"):
        operations(Subject(net, {}))


def test_sums_that_float64_rounds_are_refused() -> None:
    fmt = FixedPoint(16, 60)
    net = chain(np.ones((1, 1)), [1.0], fmt, FixedPoint(16, 0), FixedPoint(16, 0))
    with pytest.raises(ModelError, match=r"layer 'ip': its sums may take 6. bits"):
        operations(Subject(net, {}))


def lone(name: str, bottom: str, layer_in: FixedPoint, layer_out: FixedPoint) -> Layer:
    """Pass one channel on, trimmed."""
    blobs = (np.ones((1, 1, 1, 1), np.float32), np.zeros(1, np.float32))
    quant = LayerQuant(layer_in, layer_out, FixedPoint(8, 0))
    return Layer(name, Convolution(1, (1, 1)), (bottom,), (name,), blobs, quant=quant)


@needs_compiler
def test_what_float32_rounds_before_a_trim_is_rounded_so(tmp_path: Path) -> None:
    """A sum and a mean that float32 moves onto a tie: rounded once, they would be other codes."""
    whole, even, fine, wide = FixedPoint(16, 0), FixedPoint(16, -1), FixedPoint(16, 12), FixedPoint(22, 0)
    pair = np.float32([[16385, 16387, -16385, 3], [-(2.0**-12), 2.0**-12, 2.0**-12, -(2.0**-12)]])
    x = pair.reshape(2, 1, 1, 1, 4)
    inputs = [Layer(f"x{i}", Input(((1, 1, 1, 4),)), (), (f"x{i}",)) for i in range(2)]
    join = Layer("join", Eltwise(), ("a", "b"), ("join",))
    ends = [lone("a", "x0", whole, whole), lone("b", "x1", fine, fine), join, lone("c", "join", even, even)]
    added = Net("sum", (*inputs, *ends)).for_phase(Phase.TEST)
    finer, sums = FixedPoint(24, 2), 7 * wide.high_code - np.arange(400)
    seven = np.stack([(sums + place) // 7 for place in range(7)], 1).astype(np.float32)
    data = Layer("data", Input(((1, 1, len(sums), 7),)), (), ("data",))
    mean = Layer("mean", Pooling("AVE", (1, 7)), ("a",), ("mean",))
    divided = Net("mean", (data, lone("a", "data", wide, wide), mean, lone("c", "mean", finer, finer)))
    jobs: list[Job] = [
        (added, {"x0": x[0], "x1": x[1]}, EXACT),
        (divided.for_phase(Phase.TEST), {"data": seven.reshape(1, 1, -1, 7)}, EXACT),
    ]
    made, _ = compiled_at_once(jobs, tmp_path)
    assert len(made) == len(jobs)
    for each in made:
        check(each.subject, each.batch, each.program)
    once = np.float64([16384, 16388, -16384, 2])
    given, means = (each.program(each.batch)[-1] for each in made)
    assert (given.reshape(-1) != once).any()
    assert (means.reshape(-1) != np.floor(4 * sums / 7 + 0.5) / 4).any()


def test_scores_and_losses_are_left_to_the_reader() -> None:
    net = subject(
        conv("a", "data"),
        Layer("fc", InnerProduct(3), ("a",), ("fc",), (np.ones((3, 32), np.float32), np.zeros(3)), quant=EIGHT),
        Layer("prob", Softmax(), ("fc",), ("prob",)),
    )
    listed = operations(net).listed
    assert [each["kind"] for each in listed] == ["input", "multiply", "multiply", "output"]
    assert listed[-1] == {"name": "fc_out", "kind": "output", "blob": "fc", "input": "fc", "readers": ["prob"]}


@needs_compiler
@pytest.mark.parametrize("trimmed", [True, False])
def test_a_mean_at_the_end_is_a_sum_and_its_divisor(trimmed: bool, tmp_path: Path) -> None:
    """Where a layer reads it, it is divided at once."""
    mean = Layer("mean", Pooling("AVE", (3, 3), global_pooling=False), ("a",), ("mean",))
    layers = [conv("a", "data"), mean, *([conv("b", "mean")] if trimmed else [])]
    made = subject(*layers)
    x = np.random.default_rng(3).normal(0, 2, (3, 2, 4, 4)).astype(np.float32)
    ((each,), _) = compiled_at_once([(made.net, {"data": x}, EXACT)], tmp_path)
    (window,) = (op for op in each.program.manifest["operations"] if op["kind"] == "window")
    assert window["integer"]
    assert window["divides"] == trimmed
    assert window["output"]["numbers"].get("divisor") == (None if trimmed else 9)
    check(each.subject, each.batch, each.program)


@needs_compiler
def test_windows_at_the_rim_have_fewer_pixels(tmp_path: Path) -> None:
    """The last windows reach beyond the padded picture. Means in integers, in float32, and maxima."""
    rng, jobs = np.random.default_rng(4), []
    x = rng.normal(0, 3, (3, 2, 4, 4)).astype(np.float32)
    for method in ("AVE", "MAX"):
        pool = Layer("pool", Pooling(method, (3, 3), (2, 2), (1, 1)), ("a",), ("pool",))
        for behind in ([conv("b", "pool")], []):
            jobs.append((subject(conv("a", "data"), pool, *behind).net, {"data": x}, EXACT))
    made, _ = compiled_at_once(jobs, tmp_path)
    for each in made:
        check(each.subject, each.batch, each.program)
    windows = [op for each in made for op in each.program.manifest["operations"] if op["kind"] == "window"]
    assert [op["integer"] for op in windows] == [True, False, True, True]
    assert windows[0]["counts"] == [3, 3]


@needs_compiler
def test_clamps_between_two_codes(tmp_path: Path) -> None:
    """Left as they are, read on, and trimmed: then both ends are codes."""
    rng, jobs = np.random.default_rng(6), []
    x = rng.normal(0, 3, (3, 2, 4, 4)).astype(np.float32)
    clip = Layer("clip", Clip(-0.7, 0.3), ("a",), ("clip",))
    pool = Layer("pool", Pooling("MAX", (2, 2)), ("clip",), ("pool",))
    for behind in ([], [pool], [conv("b", "clip")], [conv("b", "clip"), pool]):
        jobs.append((subject(conv("a", "data"), clip, *behind).net, {"data": x}, EXACT))
    made, _ = compiled_at_once(jobs, tmp_path)
    for each in made:
        check(each.subject, each.batch, each.program)
    assert len(made) == len(jobs)
    real = [any(not op.get("integer", True) for op in each.program.manifest["operations"]) for each in made]
    assert real == [True, True, False, False]


@needs_compiler
def test_data_may_be_read_under_two_names(tmp_path: Path) -> None:
    """Trimmed under the one, they are what they were under the other: no input in the first layer's codes will do."""
    x = np.random.default_rng(7).normal(0, 3, (3, 2, 4, 4)).astype(np.float32)
    coarse = LayerQuant(FixedPoint(8, 1), F8, F8)
    for name, other in (("same", Dropout()), ("else", ReLU())):
        net = subject(Layer("other", other, ("data",), ("other",)), conv("a", "data", coarse), conv("b", "other"))
        ((made,), _) = compiled_at_once([(net.net, {"data": x}, EXACT)], tmp_path / name)
        check(made.subject, made.batch, made.program)
        assert made.program.manifest["operations"][0]["output"]["numbers"] == {"kind": "binary32"}
    alone = operations(subject(Layer("other", Dropout(), ("data",), ("other",)), conv("b", "other")))
    assert alone.listed[0]["output"]["numbers"]["kind"] == "codes"


def test_bounds_of_totals_are_those_that_an_output_reaches() -> None:
    # The greatest sum is the first output's, the greatest bias the second one's.
    quant = LayerQuant(FixedPoint(4, 1), FixedPoint(8, 0), FixedPoint(8, 0))
    blobs = (np.float32([[3, 4], [1, -1]]), np.float32([-5, 50]))
    layers = (
        Layer("data", Input(((1, 2),)), (), ("data",)),
        Layer("ip", InnerProduct(2), ("data",), ("ip",), blobs, quant=quant),
    )
    made = operations(Subject(Net("bounds", layers).for_phase(Phase.TEST), {"data": (1, 2)}))
    (found,) = (each for each in made.listed if each["kind"] == "multiply")
    totals = [
        sum(int(w) * x for w, x in zip(row, codes, strict=True)) + 2 * int(bias)
        for row, bias in zip(*blobs, strict=True)
        for codes in product(range(-8, 8), repeat=2)
    ]
    assert (found["total"]["low"], found["total"]["high"]) == (min(totals), max(totals))
    assert found["total"]["fl"] == 1
