"""The graph of a program: nodes that make values, each value one version of a blob."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ristretto.execute.compiled.piece import Codes, Piece, picture
from ristretto.formats import FixedPoint
from ristretto.kernels.pointwise import MOST_BOTTOMS
from ristretto.net import Geometry, Layer, Shape
from ristretto.net.form import Channelwise, Clamp, Form, Pieces, Pointwise, Same, Stack, Window
from ristretto.net.op import Array

Picture = tuple[int, int, int]
"""Channels, height, width."""

MOST_RESULTS = 1 << 20
"""Entries of the longest table of a function of one number."""
MOST_TRIMS = 2
"""Trims that a multiplication does on its sums: its layer's own, and that of the layer that reads next."""
WIDEST_CODE = 16
"""Bits of the longest codes that are stored as such; longer words are stored as float32."""


@dataclass(eq=False)
class Value:
    """What a blob holds between two nodes.

    Parameters
    ----------
    shape : (channels, height, width)
    fmt : FixedPoint or None
        The numbers that it is trimmed to; None for any real numbers.
    real : bool
        Whether it is stored as float32 all the same.
    """

    shape: Picture
    fmt: FixedPoint | None
    real: bool = False


@dataclass(frozen=True, eq=False)
class Outside:
    """Stands for an array outside the program, by its name there."""

    name: str


@dataclass(frozen=True, eq=False)
class Move:
    """Passes numbers on, to be trimmed, clamped or stored otherwise."""


@dataclass(frozen=True, eq=False)
class Multiply:
    """A multiply-accumulate layer.

    Parameters
    ----------
    geometry : Geometry
        Of the pictures as they are stored.
    rows : array (outputs, terms)
        Weights, terms in the order (channel, row, column): codes, or float32.
    codes : Codes or None
        None for sums in float32.
    bias : float32 array (outputs,) or None
        The bias of sums in float32.
    """

    geometry: Geometry
    rows: Array
    codes: Codes | None
    bias: Array | None

    @property
    def across(self) -> bool:
        """Whether all pictures are multiplied at once: where there is one sum in each, weights are met only once."""
        return self.geometry.out_shape[1:] == (1, 1) and not self.depthwise

    @property
    def depthwise(self) -> bool:
        """Whether every channel has a window of its own, for which there is a kernel."""
        walk = self.geometry
        return walk.groups > 1 and walk.in_shape[0] == walk.out_shape[0] == walk.groups


Work = Form | Channelwise | Multiply | Move | Outside


@dataclass(eq=False)
class Node:
    """Makes a value.

    Parameters
    ----------
    work : Work
        What it does; an `Outside` loads what stands there, or stores its only input there.
    layer : Layer or None
        Whose work it is, for messages and for `Op.forward`.
    inputs : list of Value
    output : Value or None
        None for what stores outside.
    trims : list of FixedPoint
        What its result is trimmed to, one after the other.
    low, high : float
        The ends of a clamp after the trims, real units.
    trimmed_by : str
        The layer whose input a trim is.
    blob : str
        The blob that this is a version of, for messages.
    before : tuple of Layer
        Layers whose work the node does before its own: functions of one number all of them.
    """

    work: Work
    layer: Layer | None
    inputs: list[Value]
    output: Value | None
    trims: list[FixedPoint] = field(default_factory=list)
    low: float = -math.inf
    high: float = math.inf
    trimmed_by: str = ""
    blob: str = ""
    before: tuple[Layer, ...] = ()

    @property
    def clamps(self) -> bool:
        """Whether there is a clamp."""
        return not (math.isinf(self.low) and math.isinf(self.high))

    @property
    def makes_codes(self) -> bool:
        """Whether its sums are integers, which must be stored as such."""
        return isinstance(self.work, Multiply) and self.work.codes is not None

    @property
    def passes_on(self) -> bool:
        """Whether its results are some of its inputs' numbers, so that a trim before it does what one behind does."""
        return isinstance(self.work, Stack) or (isinstance(self.work, Window) and not self.work.mean)


def within(low: float, high: float, fmt: FixedPoint) -> bool:
    """Whether a clamp of a format's numbers leaves numbers of that format: a trim and the clamp may change places."""
    on_grid = all(math.isinf(end) or math.ldexp(end, fmt.fl).is_integer() for end in (low, high))
    return on_grid and low <= fmt.high and high >= fmt.low


def code_ends(fmt: FixedPoint, low: float, high: float) -> tuple[int, int]:
    """Give the codes between which a clamp leaves numbers of a format; its ends are on the format's grid."""
    low_code = fmt.low_code if math.isinf(low) else max(fmt.low_code, round(math.ldexp(low, fmt.fl)))
    high_code = fmt.high_code if math.isinf(high) else min(fmt.high_code, round(math.ldexp(high, fmt.fl)))
    return low_code, high_code


@dataclass(eq=False)
class Graph:
    """A program before it is laid out.

    Parameters
    ----------
    nodes : list of Node
        In an order in which they can run.
    """

    nodes: list[Node] = field(default_factory=list)

    def maker(self, value: Value) -> Node:
        """Give the node that makes a value."""
        return next(node for node in self.nodes if node.output is value)

    def readers(self, value: Value) -> list[Node]:
        """Give the nodes that read a value, in order."""
        return [node for node in self.nodes if value in node.inputs]

    def drop_unread(self) -> None:
        """Leave out what makes values that nobody reads."""
        read: set[Value] = set()
        for node in reversed(list(self.nodes)):
            if node.output and node.output not in read:
                self.nodes.remove(node)
            else:
                read.update(node.inputs)

    def insert_before(self, node: Node, value: Value, *, real: bool) -> Value:
        """Let a node read a copy of a value, stored in another way."""
        copy = Value(value.shape, value.fmt, real)
        trims = [] if real or value.fmt is None else [value.fmt]
        # Who reads it, and what: a number that has no code is only met here.
        blob, reader = self.maker(value).blob, node.layer.name if node.layer else ""
        move = Node(Move(), None, [value], copy, trims, trimmed_by=reader, blob=blob)
        self.nodes.insert(self.nodes.index(node), move)
        node.inputs = [copy if read is value else read for read in node.inputs]
        return copy


class Builder:
    """Builds the graph of a program, layer by layer."""

    def __init__(self) -> None:
        self.graph = Graph()
        self.pictures = 0
        self.values: dict[str, Value] = {}
        self.loaded: list[str] = []
        self.written: dict[str, Shape] = {}
        self.kept: dict[str, Shape] = {}

    def takes(self, piece: Piece, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> bool:
        """Whether a program can run a layer, behind those that it has.

        Parameters
        ----------
        piece : Piece
        bottoms, tops : sequence of shape
        """
        shapes = [*bottoms, *tops]
        count = self.pictures or shapes[0][0] if shapes and shapes[0] else 0
        if not count or any(picture(shape) is None or shape[0] != count or not math.prod(shape) for shape in shapes):
            return False
        op = piece.layer.op
        walk = op.geometry(bottoms[0])
        if walk:
            return math.prod(walk.in_shape) == math.prod(bottoms[0][1:])
        if channelwise_of(piece.layer, bottoms[0][1]):
            return True
        form = op.form(bottoms)
        if isinstance(form, Pointwise):
            value = self.values.get(piece.layer.bottoms[0])
            codes, _, by_channel = self._codes_behind(value) if value else (None, (), False)
            fmt = piece.trim_in or (codes.fmt if codes else None)
            tables = bottoms[0][1] if form.by_channel or by_channel else 1
            return fmt is not None and fmt.bw <= WIDEST_CODE and tables << fmt.bw <= MOST_RESULTS
        return form is not None and len(bottoms) <= MOST_BOTTOMS

    def add(self, piece: Piece, bottoms: Sequence[Shape], tops: Sequence[Shape], keep: frozenset[str]) -> None:
        """Add a layer that the program `takes`, and store what is to be kept of it outside.

        Parameters
        ----------
        piece : Piece
        bottoms, tops : sequence of shape
        keep : frozenset of str
            Values to keep, as ``LAYER.topK``.
        """
        layer = piece.layer
        self.pictures = bottoms[0][0]
        values = [self._value(blob, shape) for blob, shape in zip(layer.bottoms, bottoms, strict=True)]
        if piece.trim_in:
            values[0] = self._trim(values[0], piece.trim_in, layer, layer.bottoms[0])
            self._bind(layer.bottoms[0], values[0], bottoms[0])
        form = layer.op.form(bottoms)
        if isinstance(form, Pieces):
            made = [self._piece(layer, form, index, values[0], shape) for index, shape in enumerate(tops)]
        else:
            made = [self._made(piece, values, bottoms, tops[0])] * len(layer.tops)
        if piece.trim_out:
            made[0] = self._trim(made[0], piece.trim_out, layer, layer.tops[0])
        for index, (top, value, shape) in enumerate(zip(layer.tops, made, tops, strict=False)):
            self._bind(top, value, shape)
            if f"{layer.name}.top{index}" in keep:
                self.store(value, f"{layer.name}.top{index}")
                self.kept[f"{layer.name}.top{index}"] = shape

    def store(self, value: Value, name: str) -> None:
        """Store a value outside."""
        self.graph.nodes.append(Node(Outside(name), None, [value], None))

    def _bind(self, blob: str, value: Value, shape: Shape) -> None:
        self.values[blob] = value
        self.written[blob] = shape

    def _value(self, blob: str, shape: Shape) -> Value:
        if blob not in self.values:
            stored = picture(shape)
            assert stored is not None
            self.values[blob] = self._append(Node(Outside(blob), None, [], Value(stored, None), blob=blob))
            self.loaded.append(blob)
        return self.values[blob]

    def _append(self, node: Node) -> Value:
        self.graph.nodes.append(node)
        assert node.output is not None
        return node.output

    def _trim(self, value: Value, fmt: FixedPoint, layer: Layer, blob: str) -> Value:
        if value.fmt == fmt:
            return value
        output = Value(value.shape, fmt)
        return self._append(Node(Move(), layer, [value], output, [fmt], trimmed_by=layer.name, blob=blob))

    def _made(self, piece: Piece, values: list[Value], bottoms: Sequence[Shape], top: Shape) -> Value:
        """Add the node of a layer's own work, and give what it makes."""
        layer, shape, blob = piece.layer, picture(top), piece.layer.tops[0]
        assert shape is not None
        walk = layer.op.geometry(bottoms[0])
        if walk:
            multiply = _multiply(piece, values[0].shape, walk)
            return self._append(Node(multiply, layer, values[:1], Value(shape, None), blob=blob))
        channelwise = channelwise_of(layer, shape[0])
        if channelwise:
            return self._append(_channelwise(channelwise, layer, values[0], self.graph.maker(values[0]), blob))
        form = layer.op.form(bottoms)
        assert form is not None
        if isinstance(form, Same):
            return values[0]
        if isinstance(form, Clamp):
            (x,) = values
            fmt = x.fmt if x.fmt and within(form.low, form.high, x.fmt) else None
            node = Node(Move(), layer, [x], Value(shape, fmt), low=form.low, high=form.high, blob=blob)
            return self._append(node)
        if isinstance(form, Pointwise):
            codes, before, by_channel = self._codes_behind(values[0])
            work = Pointwise(form.by_channel or by_channel)
            return self._append(Node(work, layer, [codes], Value(shape, None), blob=blob, before=before))
        node = Node(form, layer, values, Value(shape, None), blob=blob)
        formats = {value.fmt for value in values}
        if node.passes_on and len(formats) == 1:
            node.output = Value(shape, formats.pop())
        return self._append(node)

    def _piece(self, layer: Layer, form: Pieces, index: int, value: Value, top: Shape) -> Value:
        """Add the node of one top that is a piece of a value, and give it."""
        stored = picture(top)
        assert stored is not None
        work = replace(form, channels=form.channels[index : index + 1])
        return self._append(Node(work, layer, [value], Value(stored, value.fmt), blob=layer.tops[index]))

    def _codes_behind(self, value: Value) -> tuple[Value, tuple[Layer, ...], bool]:
        """Give the codes that a value is a function of, number by number; the layers between; whether by channel.

        BatchNorm, Scale and what follows are one look-up so.
        """
        maker = self.graph.maker(value)
        if value.fmt or not isinstance(maker.work, Channelwise | Pointwise):
            return value, (), False
        assert maker.layer
        codes, before, by_channel = self._codes_behind(maker.inputs[0])
        return codes, (*before, *maker.before, maker.layer), by_channel or maker.work.by_channel


def channelwise_of(layer: Layer, channels: int) -> Channelwise | None:
    """Give what a layer does by channel. A variance below zero makes no numbers, as in `forward`, and no warnings."""
    with np.errstate(all="ignore"):
        return layer.op.channelwise(layer.blobs, channels)


def _channelwise(work: Channelwise, layer: Layer, value: Value, maker: Node, blob: str) -> Node:
    """Give the node of a layer that multiplies and adds; it does what the one before it does, too, where it can."""
    output = Value(value.shape, None)
    both = maker.work.then(work) if isinstance(maker.work, Channelwise) and not value.fmt else None
    if both is None:
        return Node(work, layer, [value], output, blob=blob)
    assert maker.layer
    return Node(both, layer, maker.inputs, output, blob=blob, before=(*maker.before, maker.layer))


def _multiply(piece: Piece, stored: Picture, walk: Geometry) -> Multiply:
    layer, codes = piece.layer, piece.codes
    rows = layer.op.weight_rows(codes.weights if codes else layer.blobs[0], walk)
    if walk.in_shape[1:] == (1, 1) and walk.in_shape != stored:
        # An inner product sees a row of numbers; they are stored as a picture, which one window covers.
        walk = replace(walk, in_shape=stored, kernel=stored[1:])
    bias = layer.blobs[1].reshape(-1) if len(layer.blobs) > 1 and not codes else None
    return Multiply(walk, rows, codes, bias)
