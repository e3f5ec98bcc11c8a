"""What each kind of operation makes of codes: integers while these are exactly what float32 gives, else float32's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

from ristretto.export.program.graph import Copy, Function, Load, Multiply, Node, Pick, Value, Work
from ristretto.export.program.joined import joined, picked
from ristretto.export.program.made import Results
from ristretto.export.program.multiplied import multiplied
from ristretto.export.program.numbers import (
    Numbers,
    Step,
    Words,
    finished,
    in_order,
    largest_of,
)
from ristretto.export.program.tabled import responded, tabled
from ristretto.export.program.windowed import windowed
from ristretto.formats import Arithmetic, FixedPoint
from ristretto.net.form import Join, Response, Window


def numbers_of(node: Node, arithmetic: Arithmetic) -> Numbers:
    """Give what a node's output holds, whoever reads it."""
    results = results_of(node.work, node.inputs, first_trim(node.steps, arithmetic), arithmetic)
    if results.divisor != 1 and not node.steps:
        return Words(largest_of(node.inputs[0].numbers))
    return finished(results.numbers, node.steps, arithmetic, divides=results.divisor != 1).numbers


def first_trim(steps: Sequence[Step], arithmetic: Arithmetic) -> FixedPoint | None:
    """Give the trim that comes first behind an operation, if there is one."""
    trims, _ = in_order(steps, arithmetic)
    return trims[0] if trims else None


@singledispatch
def results_of(work: Work, inputs: Sequence[Value], trim: FixedPoint | None, arithmetic: Arithmetic) -> Results:
    """Give an operation's results; what is registered below is for its kinds.

    Parameters
    ----------
    work : Work
    inputs : sequence of Value
    trim : FixedPoint or None
        The trim that comes first behind it.
    arithmetic : Arithmetic
    """
    raise TypeError(f"no operation does {type(work).__name__}")


@results_of.register
def _(work: Load, inputs: Sequence[Value], trim: FixedPoint | None, arithmetic: Arithmetic) -> Results:
    return Results(Words())


@results_of.register
def _(work: Copy, inputs: Sequence[Value], trim: FixedPoint | None, arithmetic: Arithmetic) -> Results:
    return Results(inputs[0].numbers)


results_of.register(Pick)(picked)
results_of.register(Multiply)(multiplied)
results_of.register(Function)(tabled)
results_of.register(Window)(windowed)
results_of.register(Join)(joined)
results_of.register(Response)(responded)
