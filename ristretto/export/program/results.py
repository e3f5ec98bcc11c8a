"""What each kind of operation makes of codes: integers while these are exactly what float32 gives, else float32's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

from ristretto.export.program.graph import Copy, Function, Load, Multiply, Node, Pick, Value, Work
from ristretto.export.program.joined import joined, picked
from ristretto.export.program.made import Results, divided
from ristretto.export.program.multiplied import multiplied
from ristretto.export.program.numbers import Numbers, Words, finished
from ristretto.export.program.tabled import responded, tabled
from ristretto.export.program.windowed import windowed
from ristretto.formats import Arithmetic, FixedPoint
from ristretto.net.form import Join, Response, Window


def numbers_of(node: Node, arithmetic: Arithmetic) -> Numbers:
    """Give what a node's output holds, whoever reads it, before the trims of others are fused with it."""
    results = divided(results_of(node.work, node.inputs, None, arithmetic), node.inputs)
    return finished(results.numbers, node.steps, arithmetic).numbers


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
