"""Which values have no negative numbers, whatever the picture."""

from __future__ import annotations

from ristretto.execute.compiled.graph import Graph, Move, Node, Value
from ristretto.net.form import Join, Pieces, Response, Stack, Window


def never_negative(graph: Graph) -> set[Value]:
    """Give the values of a graph without negative numbers: those behind a ReLU, and what passes such numbers on."""
    found: set[Value] = set()
    for node in graph.nodes:
        from_zero_on = node.low >= 0 or (_keeps_signs(node) and found.issuperset(node.inputs))
        # A clamp may end below zero, too.
        if node.output and from_zero_on and node.high >= 0:
            found.add(node.output)
    return found


def _keeps_signs(node: Node) -> bool:
    """Whether a node makes no negative number of inputs that have none."""
    work = node.work
    if isinstance(work, Join):
        return work.operation != "SUM" or min(work.factors) >= 0
    if isinstance(work, Response):
        # A base below zero has negative powers.
        return min(work.k, work.alpha) >= 0
    return bool(node.inputs) and isinstance(work, Move | Pieces | Stack | Window)
