"""Which values are known to have no negative numbers."""

from __future__ import annotations

import pytest

from ristretto.execute.compiled.graph import Graph
from ristretto.execute.compiled.signs import never_negative
from ristretto.formats import FixedPoint
from ristretto.layers import LRN, Clip, Concat, Eltwise, Pooling, ReLU, Sigmoid
from ristretto.net import Op
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
    ],
)
def test_what_keeps_signs_hands_them_on(op: Op, expected: bool) -> None:
    bottoms = ("r", "r") if isinstance(op, Concat | Eltwise) else ("r",)
    assert known(behind_relu().add(op, *bottoms, top="b"), "b") is expected


def test_one_negative_input_is_enough() -> None:
    program = behind_relu().conv("data", "s")
    for op in (Concat(), Eltwise("SUM"), Eltwise("MAX")):
        assert not known(
            program.add(op, "r", "s", top=type(op).__name__ + getattr(op, "operation", "")), [*program.shapes][-1]
        )


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
