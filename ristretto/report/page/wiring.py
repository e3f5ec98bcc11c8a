"""The net as boxes and arrows: layers with what works on them in place, and the formats where they meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ristretto.report.page.model import CondensedLayer, Node

FAR = 2
"""Arrows from a data layer that pass over so many boxes are told in words: labels would cross the whole drawing."""


@dataclass(frozen=True)
class Box:
    """A layer, and the layers that work in place on what it makes, one after the other.

    Parameters
    ----------
    main : Node
    followers : tuple of Node
    layer : CondensedLayer or None
        What is known of the main layer's formats.
    index : int or None
        Which of the condensed layers it is.
    """

    main: Node
    followers: tuple[Node, ...]
    layer: CondensedLayer | None
    index: int | None


@dataclass(frozen=True)
class Arrow:
    """What one box makes and another reads; formats as ``bits.fl``, empty for float.

    Parameters
    ----------
    start, end : int
        Of the boxes.
    blob : str
    made, read : str
        The format of the first box's output, and that of the second one's input.
    """

    start: int
    end: int
    blob: str
    made: str
    read: str


def connect(nodes: Sequence[Node], layers: Sequence[CondensedLayer]) -> tuple[list[Box], list[Arrow]]:
    """Give the boxes of a net in its order, and the arrows between them.

    A blob that no layer before makes has no arrow: a net as we write it has none.
    """
    known: Mapping[str, int] = {layer.name: index for index, layer in enumerate(layers)}
    mains: list[Node] = []
    followers: list[list[Node]] = []
    makers: dict[str, int] = {}
    arrows: dict[tuple[int, int], Arrow] = {}
    for node in nodes:
        if node.bottoms == node.tops and len(node.tops) == 1 and node.tops[0] in makers and node.name not in known:
            followers[makers[node.tops[0]]].append(node)
            continue
        box = len(mains)
        mains.append(node)
        followers.append([])
        for place, blob in enumerate(node.bottoms):
            if blob in makers:
                start = makers[blob]
                made = _format(layers, known, mains[start], 2) if blob in mains[start].tops[:1] else ""
                read = _format(layers, known, node, 0) if place == 0 else ""
                arrows.setdefault((start, box), Arrow(start, box, blob, made, read))
        makers.update(dict.fromkeys(node.tops, box))
    boxes = [
        Box(main, tuple(behind), layers[known[main.name]] if main.name in known else None, known.get(main.name))
        for main, behind in zip(mains, followers, strict=True)
    ]
    return boxes, list(arrows.values())


def told_apart(boxes: Sequence[Box], arrows: Sequence[Arrow], ranks: Sequence[int]) -> tuple[list[Arrow], list[Arrow]]:
    """Give the arrows to draw, and those that are told in words in the box that they lead to."""
    drawn: list[Arrow] = []
    told: list[Arrow] = []
    for arrow in arrows:
        from_outside = not boxes[arrow.start].main.bottoms
        far = ranks[arrow.end] - ranks[arrow.start] >= FAR
        (told if from_outside and far else drawn).append(arrow)
    return drawn, told


def _format(layers: Sequence[CondensedLayer], known: Mapping[str, int], node: Node, place: int) -> str:
    if node.name not in known:
        return ""
    fmt = layers[known[node.name]].places[place].fmt
    return "" if fmt is None else fmt.describe()
