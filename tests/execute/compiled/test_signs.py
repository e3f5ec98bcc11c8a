"""Which values are known to have no negative numbers."""

from __future__ import annotations

import numpy as np
import pytest

from ristretto.execute import IntegerExecutor, SimulateExecutor
from ristretto.execute.compiled.fuse import fuse
from ristretto.execute.compiled.graph import Graph
from ristretto.execute.compiled.signs import never_negative
from ristretto.formats import FixedPoint
from ristretto.layers import LRN, Clip, Concat, Convolution, Eltwise, Input, Pooling, ReLU, Sigmoid
from ristretto.net import Layer, LayerQuant, Net, Op, Phase
from tests.execute.compiled.programs import E, Program, made_by


def known(program: Program, blob: str) -> bool:
    """Whether a layer's own result is known to have no negative numbers."""
    graph: Graph = program.graph(blob)
    return program.builder.values[blob] in never_negative(graph)


def behind_relu() -> Program:
    return Program((2, 3, 8, 8)).conv("data", "a").add(ReLU(), "a", top="r")


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (ReLU(), True),
        (Clip(0.0, 1.0), True),
        (Clip(-0.5, 1.0), False),
        (Clip(-1.0, -0.5), False),
        (ReLU(0.1), False),
        (Pooling("MAX", (2, 2)), False),
    ],
)
def test_of_signed_numbers_only_a_clamp_makes_others(op: Op, expected: bool) -> None:
    assert known(Program((2, 3, 8, 8)).conv("data", "a").add(op, "a", top="b"), "b") is expected


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (Pooling("MAX", (2, 2)), True),
        (Pooling("AVE", (2, 2)), True),
        (LRN(3, 1.0, 0.75), True),
        (LRN(3, 1.0, 0.75, within_channel=True), True),
        (LRN(3, 1.0, 1.0, k=-5.0), False),
        (LRN(3, -1.0, 1.0), False),
        (Concat(), True),
        (Eltwise("SUM"), True),
        (Eltwise("SUM", (1.0, 0.5)), True),
        (Eltwise("SUM", (1.0, -0.5)), False),
        (Eltwise("PROD"), True),
        (Eltwise("MAX"), True),
        # A look-up of any function: nobody asks what it gives.
        (Sigmoid(), False),
        (Clip(-1.0, -0.5), False),
        (Clip(-1.0, 0.0), True),
    ],
)
def test_what_keeps_signs_hands_them_on(op: Op, expected: bool) -> None:
    bottoms = ("r", "r") if isinstance(op, Concat | Eltwise) else ("r",)
    assert known(behind_relu().add(op, *bottoms, top="b"), "b") is expected


@pytest.mark.parametrize("op", [Concat(), Eltwise("SUM"), Eltwise("MAX")])
def test_one_negative_input_is_enough(op: Op) -> None:
    assert not known(behind_relu().conv("data", "s").add(op, "r", "s", top="b"), "b")


@pytest.mark.parametrize("op", [Pooling("MAX", (2, 2)), Pooling("AVE", (2, 2)), LRN(3), Concat(), Eltwise("SUM")])
def test_a_clamp_that_ends_below_zero_makes_negative_numbers_of_any(op: Op) -> None:
    bottoms = ("r", "r") if isinstance(op, Concat | Eltwise) else ("r",)
    program = behind_relu().add(op, *bottoms, top="b").add(Clip(-1.0, -0.5), "b", top="c")
    graph = program.graph("c")
    assert program.builder.values["c"] not in never_negative(graph)
    fuse(graph)
    assert program.builder.values["c"] not in never_negative(graph)


@pytest.mark.parametrize("op", [ReLU(), Pooling("MAX", (2, 2)), Pooling("AVE", (2, 2)), LRN(3)])
@pytest.mark.parametrize("clip", [Clip(-1.0, -0.5), Clip(-1.0, 1.0), Clip(0.5, 1.0)])
def test_numbers_behind_a_clamp_are_multiplied_with_their_signs(op: Op, clip: Op) -> None:
    """Whatever they are stored in."""
    shape = (2, 3, 6, 6)
    rng = np.random.default_rng(11)
    blobs = (rng.normal(size=(4, 3, 1, 1)).astype(np.float32), np.zeros(4, np.float32))
    layers = [
        Layer("data", Input((shape,)), (), ("data",)),
        Layer("relu", ReLU(), ("data",), ("r",)),
        Layer("op", op, ("r",), ("o",)),
        Layer("clip", clip, ("o",), ("c",)),
        Layer("conv", Convolution(4, (1, 1)), ("c",), ("y",), blobs, quant=LayerQuant(E, E, E)),
    ]
    net = Net("signs", tuple(layers)).for_phase(Phase.TEST)
    batch = {"data": rng.normal(size=shape).astype(np.float32)}
    expected, found = (kind(net, {}).run(batch).outputs["y"] for kind in (SimulateExecutor, IntegerExecutor))
    np.testing.assert_array_equal(found, expected)


def test_a_trim_keeps_signs_and_sums_of_products_do_not() -> None:
    program = behind_relu().conv("r", "c", FixedPoint(4, 2))
    graph = program.graph("c")
    found = never_negative(graph)
    (read,) = made_by(graph, "c").inputs
    assert read.fmt == FixedPoint(4, 2)
    assert read in found
    assert program.builder.values["c"] not in found
    assert program.builder.values["data"] not in found


def test_what_comes_from_outside_may_be_negative() -> None:
    program = Program().add(Pooling("MAX", (2, 2)), "data", top="p", trim_in=E)
    assert not known(program, "p")
