"""Making a graph smaller: trims and clamps become part of the work that makes their input."""

from __future__ import annotations

from ristretto.execute.compiled.graph import (
    MOST_TRIMS,
    WIDEST_CODE,
    Graph,
    Move,
    Multiply,
    Node,
    Outside,
    Value,
    within,
)


def fuse(graph: Graph) -> None:
    """Fuse every trim and clamp that nothing stands in the way of.

    A trim or clamp goes up through maxima and stacks to what makes their numbers, as long as nobody else reads them.
    """
    pending = [node for node in graph.nodes if isinstance(node.work, Move)]
    while pending:
        pending.extend(_fuse(graph, pending.pop(0)))


def _fuse(graph: Graph, node: Node) -> list[Node]:
    """Fuse a node with the one before it; give the nodes that it became where it went further up."""
    (value,) = node.inputs
    maker = graph.maker(value)
    if len(graph.readers(value)) > 1:
        return []
    if maker.passes_on and not maker.trims:
        return _push_up(graph, node, maker)
    if not _accepts(maker, node):
        return []
    maker.trims += node.trims
    maker.trimmed_by = node.trimmed_by or maker.trimmed_by
    # One clamp behind another: the ends of the first are clamped by the second, which may leave nothing between them.
    maker.low, maker.high = (min(max(end, node.low), node.high) for end in (maker.low, maker.high))
    maker.blob = node.blob if node.trims else maker.blob
    maker.output = node.output
    graph.nodes.remove(node)
    return []


def _accepts(maker: Node, node: Node) -> bool:
    """Whether a node can do another's trim or clamp on top of its own."""
    most = MOST_TRIMS if isinstance(maker.work, Multiply) else 1
    trims = maker.trims + node.trims
    if maker.makes_codes and any(fmt.bw > WIDEST_CODE for fmt in trims):
        return False
    # A clamp is done last, so its ends must be numbers that every trim after it leaves alone.
    if not all(within(n.low, n.high, fmt) for n in (maker, node) for fmt in trims):
        return False
    loads_as_it_is = isinstance(maker.work, Outside) and not node.trims
    return len(trims) <= most and not loads_as_it_is


def _push_up(graph: Graph, node: Node, maker: Node) -> list[Node]:
    """Put a trim before a maximum or a stack instead of behind it."""
    moved = []
    for index, value in enumerate(maker.inputs):
        if not node.clamps and node.trims == [value.fmt]:
            continue
        kept = value.fmt if value.fmt and within(node.low, node.high, value.fmt) else None
        fmt = node.trims[-1] if node.trims else kept
        before = Value(value.shape, fmt)
        copy = Node(
            Move(), node.layer, [value], before, list(node.trims), node.low, node.high, node.trimmed_by, node.blob
        )
        graph.nodes.insert(graph.nodes.index(maker), copy)
        maker.inputs[index] = before
        moved.append(copy)
    maker.output = node.output
    graph.nodes.remove(node)
    return moved
