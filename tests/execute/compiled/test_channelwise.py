"""Layers that do one operation after the other by channel: which become one, and what stays behind the others."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.execute.compiled.fuse import fuse
from ristretto.formats import EXACT, FixedPoint
from ristretto.layers import (
    AbsVal,
    BatchNorm,
    Bias,
    Concat,
    Convolution,
    Eltwise,
    InnerProduct,
    Input,
    Power,
    PReLU,
    ReLU,
    Scale,
    Sigmoid,
)
from ristretto.layers.coverage import Coverage
from ristretto.net import Layer, LayerQuant, Net, Op, Phase
from ristretto.net.form import Channelwise
from tests.execute.compiled.programs import E, Program, kinds, made_by
from tests.execute.test_integer import check_same_bits

NORM, SCALE, FACTOR, BIAS = BatchNorm(use_global_stats=True), Scale(bias_term=True), Scale(), Bias()
NUMBERS = st.integers(-64, 64).map(lambda k: k / 8)
COARSE = FixedPoint(8, 2)


def behind_a_sum(*ops: Op) -> Program:
    """Give layers one after the other, on numbers that have no format."""
    program, blob = Program().conv("data", "a").conv("data", "b").add(Eltwise(), "a", "b", top="sum"), "sum"
    for place, op in enumerate(ops):
        program.add(op, blob, top=f"t{place}")
        blob = f"t{place}"
    return program


@pytest.mark.parametrize(
    ("ops", "places"),
    [
        ((NORM, SCALE), [(0, 1, 2, 3)]),
        ((NORM, FACTOR, BIAS), [(0, 1, 2, 3)]),
        ((NORM, BIAS), [(0, 1, 3)]),
        ((FACTOR, BIAS), [(2, 3)]),
        ((SCALE, NORM), [(2, 3), (0, 1)]),
        ((BIAS, FACTOR), [(3,), (2,)]),
        ((SCALE, BIAS), [(2, 3), (3,)]),
        ((NORM, NORM), [(0, 1), (0, 1)]),
        ((NORM, SCALE, PReLU()), [(0, 1, 2, 3, 4)]),
        ((ReLU(0.5), Power(1.0, 0.5, 2.0)), [(4,), (2, 3)]),
    ],
    ids=lambda value: ",".join(op.type for op in value) if isinstance(value[0], Op) else "",
)
def test_what_follows_in_order_is_one(ops: tuple[Op, ...], places: list[tuple[int, ...]]) -> None:
    graph = behind_a_sum(*ops).graph(f"t{len(ops) - 1}")
    graph.drop_unread()
    works = [node.work for node in graph.nodes if isinstance(node.work, Channelwise)]
    assert [tuple(k for k, it in enumerate(work.operands) if it is not None) for work in works] == places


def test_a_relu_and_the_next_layers_trim_are_fused_with_it() -> None:
    graph = behind_a_sum(NORM, SCALE, ReLU()).conv("t2", "c", COARSE).graph("c")
    graph.drop_unread()
    fuse(graph)
    assert kinds(graph) == ["load", "multiply", "multiply", "join", "channelwise", "multiply", "store"]
    node = made_by(graph, "t1")
    assert (node.trims, node.low) == ([COARSE], 0)


def test_what_stands_between_is_made_for_others_that_read_it() -> None:
    graph = behind_a_sum(NORM, SCALE).graph("t0", "t1")
    graph.drop_unread()
    first, both = (node for node in graph.nodes if isinstance(node.work, Channelwise))
    assert (first.work.factor is None, both.work.factor is None) == (True, False)
    assert first.inputs == both.inputs


def test_it_is_not_taken_over_a_trim() -> None:
    program = Program().add(NORM, "data", top="a", trim_in=E, trim_out=E).add(SCALE, "a", top="b")
    first, second = (node for node in program.graph("b").nodes if isinstance(node.work, Channelwise))
    assert (first.work.factor, second.work.mean) == (None, None)


@pytest.mark.parametrize("ops", [(NORM, SCALE), (SCALE, NORM), (BIAS, FACTOR)], ids=["one", "two", "two more"])
def test_a_function_behind_them_is_looked_up_by_the_codes_before_them(ops: tuple[Op, ...]) -> None:
    program = Program().conv("data", "a")
    for place, (op, blob) in enumerate(zip(ops, "ab", strict=False)):
        program.add(op, blob, top="bc"[place])
    graph = program.add(Sigmoid(), "c", top="d").graph("d")
    graph.drop_unread()
    fuse(graph)
    assert kinds(graph) == ["load", "multiply", "pointwise", "store"]
    assert [layer.op for layer in made_by(graph, "d").before] == list(ops)


def test_concats_of_blobs_on_different_grids_go_through_it() -> None:
    """As in DenseNet, where nothing can be folded into the weights before."""
    program = Program().conv("data", "a").conv("data", "b", E, COARSE).add(Concat(), "a", "b", top="c")
    graph = program.add(NORM, "c", top="d").add(SCALE, "d", top="e").add(ReLU(), "e", top="f").graph("f")
    graph.drop_unread()
    fuse(graph)
    assert kinds(graph) == ["load", "multiply", "multiply", "stack", "channelwise", "store"]


OPERANDS = st.tuples(*[st.none() | NUMBERS] * 5)


def exactly(operands: tuple[float | None, ...], x: Fraction) -> Fraction:
    mean, deviation, factor, summand, _ = operands
    x = x - Fraction(mean or 0)
    x = x / Fraction(deviation) if deviation is not None else x
    x = x * Fraction(factor) if factor is not None else x
    return x + Fraction(summand or 0)


def channelwise(operands: tuple[float | None, ...]) -> Channelwise:
    return Channelwise(*(None if it is None else np.float64([it]) for it in operands))


def test_a_slope_is_no_factor() -> None:
    with pytest.raises(ValueError, match="slope"):
        Channelwise(slope=np.ones(3)).joined(3)


@given(OPERANDS.filter(lambda operands: operands[1] != 0), NUMBERS)
def test_factors_and_summands_do_the_same(operands: tuple[float | None, ...], x: float) -> None:
    operands = (*operands[:4], None)
    factors, summands = channelwise(operands).joined(1)
    wanted = exactly(operands, Fraction(x))
    assert factors[0] * x + summands[0] == pytest.approx(float(wanted), rel=1e-12, abs=1e-9)


@pytest.mark.parametrize(
    ("given", "factors", "summands"),
    [
        (Channelwise(factor=np.float64([-2, np.inf])), [-2, np.inf], [0.0, 0.0]),
        (Channelwise(summand=np.float64([-0.0, 3])), [1, 1], [0.0, 3]),
        (Channelwise(mean=np.float64([0, 1]), deviation=np.float64([2, 4])), [0.5, 0.25], [-0.0, -0.25]),
    ],
    ids=["factor", "summand", "mean"],
)
def test_signs_of_zeros_stay_what_they_are_in_files(given: Channelwise, factors: list, summands: list) -> None:
    for found, wanted in zip(given.joined(2), (factors, summands), strict=True):
        assert found.tobytes() == np.float64(wanted).tobytes()


@pytest.mark.parametrize(
    ("op", "shape", "size"),
    [
        (Scale(Coverage(1, -1)), (2, 3, 1, 1), (3, 1, 1)),
        (Bias(Coverage(1, 3)), (2, 3, 1, 1), (3, 1, 1)),
        (Scale(Coverage(1, -1), bias_term=True), (2, 3), (3,)),
        (Scale(Coverage(-3, 1)), (2, 3, 4, 5), (3,)),
        (Scale(Coverage(-1, 1)), (2, 3), (3,)),
        (Scale(Coverage(1, 0)), (2, 3, 4, 5), ()),
        (PReLU(channel_shared=True), (2, 3, 4, 5), ()),
        (Power(1.0, 0.5, 0.25), (2, 3), None),
        (ReLU(0.3), (2, 3, 4, 5), None),
    ],
    ids=str,
)
@pytest.mark.parametrize("function", [Sigmoid(), AbsVal()], ids=["sigmoid", "abs"])
def test_any_numbers_for_each_channel_may_stand_before_a_function(
    op: Op, shape: tuple[int, ...], size: tuple[int, ...] | None, function: Op
) -> None:
    rng = np.random.default_rng(3)
    assert op.blob_shapes([shape])[:1] == (() if size is None else (size,))
    first = InnerProduct(3) if len(shape) == 2 else Convolution(3, (1, 1))
    layers = [Layer("data", Input((shape,)), (), ("data",))]
    for name, each, quant in (("a", first, LayerQuant(E, E, E)), ("b", op, None), ("c", function, None)):
        blobs = tuple(rng.normal(0, 1, blob).astype(np.float32) for blob in each.blob_shapes([shape]))
        layers.append(Layer(name, each, layers[-1].tops, (name,), blobs, quant=quant))
    net = Net("net", tuple(layers)).for_phase(Phase.TEST)
    check_same_bits(net, {"data": rng.normal(0, 2, shape).astype(np.float32)}, EXACT)


def test_a_slope_that_is_one_for_all_makes_no_table_for_each_channel() -> None:
    """16 bits of 64 channels would be too many."""
    fine = FixedPoint(16, 8)
    program = Program((2, 64, 4, 5)).add(ReLU(0.5), "data", top="a", trim_in=fine).add(Sigmoid(), "a", top="b")
    assert not made_by(program.graph("b"), "b").work.by_channel


@given(OPERANDS, OPERANDS)
def test_two_are_one_only_in_order(first: tuple[float | None, ...], second: tuple[float | None, ...]) -> None:
    used, added = ([place for place, it in enumerate(given) if it is not None] for given in (first, second))
    both = channelwise(first).then(channelwise(second))
    if used and added and max(used) >= min(added):
        assert both is None
    else:
        assert both
        found = [None if it is None else it[0] for it in both.operands]
        assert found == [b if a is None else a for a, b in zip(first, second, strict=True)]
