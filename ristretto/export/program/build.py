"""From a quantized net to the program's graph, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ristretto.errors import ModelError, in_layer
from ristretto.execute.codes import weight_codes
from ristretto.execute.exact import FLOAT32_BITS
from ristretto.execute.executor import check_ready
from ristretto.execute.lower import Lowered, lower
from ristretto.export.base import Subject
from ristretto.export.program.graph import Copy, Function, Graph, Load, Multiply, Node, Output, Pick, Value, Work
from ristretto.export.program.numbers import Bound, Step, Trim
from ristretto.export.program.results import numbers_of
from ristretto.formats import Arithmetic, FixedPoint
from ristretto.hardware.grid import Grid
from ristretto.net import Layer, Net, Shape
from ristretto.net.form import Clamp, InFloat, Pieces, Pointwise, Same, Stack
from ristretto.net.op import Array
from ristretto.passes import SpellOutSharing
from ristretto.passes.spell_out_sharing import is_read

MOST_RESULTS = 1 << 20
"""Entries of the longest table of a function of one number."""
HINT = "leave it to the end of the net, fold it (`ristretto fold`), or take another layer"

Reason = tuple[Layer, str]
"""A layer that the program cannot run, and why."""


def build(subject: Subject) -> Graph:
    """Give the program of a net.

    It ends where no quantized layer comes behind: what a layer that has no integers there reads is its output.

    Raises
    ------
    ModelError
        When a layer that others depend on cannot be done in integers, or there is none that can.
    """
    arithmetic = subject.arithmetic
    net = SpellOutSharing(subject.net.shapes(subject.inputs), arithmetic)(subject.net)
    builder = _Builder(net, net.shapes(subject.inputs), arithmetic)
    for lowered in lower(net, arithmetic):
        builder.add(lowered)
    for blob in subject.net.outputs:
        builder.give(blob, "")
    if not any(isinstance(node.work, Multiply) for node in builder.graph.nodes):
        raise ModelError(f"net '{net.name}' has no quantized layer", hint="`ristretto quantize` makes a net with some")
    graph = builder.graph
    graph.drop_unread()
    graph.fuse(_may_fuse)
    return graph


def _may_fuse(maker: Node, node: Node) -> bool:
    """Say no to what loads a blob, and where a clamp makes a float32 of a code: that is an operation of its own."""
    becomes_real = isinstance(maker.output.numbers, Grid) and not isinstance(node.output.numbers, Grid)
    return not isinstance(maker.work, Load) and not becomes_real


@dataclass(eq=False)
class _Builder:
    """A graph under construction.

    Parameters
    ----------
    net : Net
    shapes : mapping of str to tuple of shapes
        Of every layer's tops.
    arithmetic : Arithmetic
    values : dict of str to Value
        What each blob holds now.
    apart : dict of str to Reason
        The blobs that the program cannot make: the layer that makes each one, and why.
    """

    net: Net
    shapes: dict[str, tuple[Shape, ...]]
    arithmetic: Arithmetic
    graph: Graph = field(default_factory=Graph)
    values: dict[str, Value] = field(default_factory=dict)
    apart: dict[str, Reason] = field(default_factory=dict)

    def add(self, lowered: Lowered) -> None:
        """Add a layer, or leave it and what depends on it to those who run the program."""
        layer, given = lowered.layer, self.net[lowered.layer.name]
        bottoms = self.net.bottom_shapes(given, self.shapes)
        check_ready(given, bottoms)
        missing = next((blob for blob in layer.bottoms if blob in self.apart), None)
        coded = layer.op.part is not None or layer.quant is not None
        if missing and coded:
            first, reason = self.apart[missing]
            raise ModelError(f"{reason}, and layer '{layer.name}' depends on it", layer=first.name, hint=HINT)
        with in_layer(layer.name):
            made = self.apart[missing] if missing else self._made(lowered, bottoms, coded=coded)
        if isinstance(made, tuple):
            for blob in layer.bottoms:
                self.give(blob, layer.name)
            self.apart |= dict.fromkeys(layer.tops, made)
            return
        for top, value in zip(layer.tops, made, strict=False):
            self.values[top] = value
            self.apart.pop(top, None)

    def give(self, blob: str, reader: str) -> None:
        """Make what a blob holds now an output."""
        value = None if blob in self.apart else self.values.get(blob)
        if value is None or isinstance(self.graph.maker(value).work, Load):
            return
        for index, output in enumerate(self.graph.outputs):
            if output.value is value:
                readers = (*output.readers, *([reader] if reader and reader not in output.readers else []))
                self.graph.outputs[index] = replace(output, readers=readers)
                return
        self.graph.outputs.append(Output(blob, value, (reader,) if reader else ()))

    def _coded(self, lowered: Lowered, bottoms: Sequence[Shape]) -> list[Value]:
        """Add a multiply-accumulate layer on codes, between its trims.

        Raises
        ------
        ModelError
            When it has no codes.
        """
        layer, quant = lowered.layer, lowered.layer.quant
        if not lowered.in_full or quant is None or quant.params is None:
            raise ModelError(
                "it multiplies in float", hint=f"give input, weights and output formats of up to {FLOAT32_BITS} bits"
            )
        layer_in, layer_out = quant.layer_in, quant.layer_out
        codes = None if layer.op.trims_inside else weight_codes(layer, quant.params, self.arithmetic)
        walk = layer.op.geometry(bottoms[0])
        if codes is None or not isinstance(layer_in, FixedPoint) or not isinstance(layer_out, FixedPoint) or not walk:
            raise ModelError("minifloat has no integers", hint="condense it with dynamic_fixed_point")
        # The executors keep activations in float32.
        if max(layer_in.bw, layer_out.bw) > FLOAT32_BITS:
            raise ModelError(
                f"activations of {max(layer_in.bw, layer_out.bw)} bits", hint=f"use up to {FLOAT32_BITS} bits"
            )
        if math.prod(walk.in_shape) != math.prod(bottoms[0][1:]):
            raise ModelError("it multiplies along some axes of a picture only", hint="use axis: 1")
        blob = layer.bottoms[0]
        x = self._stepped(self._value(blob), Trim(layer_in), layer.name)
        self.values[blob] = x
        y = self._node(Multiply(layer, walk, codes), layer, [x], layer.tops[0])
        return [self._stepped(y, Trim(layer_out), layer.name)]

    def _made(self, lowered: Lowered, bottoms: Sequence[Shape], *, coded: bool) -> list[Value] | Reason:
        """Add a layer and give what its tops hold; or say why it cannot be one of the program's."""
        if coded:
            return self._coded(lowered, bottoms)
        layer = lowered.layer
        if not bottoms or any(len(shape) < 2 or not math.prod(shape) for shape in [*bottoms, *self.shapes[layer.name]]):
            return layer, "it does not work on pictures"
        form, kept = layer.op.form(bottoms), layer.op.passes_on(len(bottoms))
        if isinstance(form, Same):
            return [self._value(layer.bottoms[0])] * len(layer.tops)
        if isinstance(form, Stack | Pieces) or kept:
            return self._picked(layer, bottoms, kept or len(bottoms))
        if form is None or isinstance(form, InFloat):
            return layer, f"{layer.op.type} computes in float"
        if isinstance(form, Clamp):
            bound = Bound(form.low, form.high)
            return [self._stepped(self._value(layer.bottoms[0]), bound, layer.name, layer.tops[0])]
        if isinstance(form, Pointwise):
            return self._function(layer, form)
        return [self._node(form, layer, [self._value(blob) for blob in layer.bottoms], layer.tops[0])]

    def _function(self, layer: Layer, form: Pointwise) -> list[Value] | Reason:
        value = self._value(layer.bottoms[0])
        before: tuple[Layer, ...] = ()
        by_channel = form.by_channel
        maker = self.graph.maker(value)
        if isinstance(maker.work, Function) and not maker.steps:
            # BatchNorm, Scale and what follows are one table.
            (value,), before, by_channel = maker.inputs, maker.work.layers, by_channel or maker.work.by_channel
        numbers = value.numbers
        span = numbers.high - numbers.low + 1 if isinstance(numbers, Grid) else MOST_RESULTS + 1
        if span * (value.channels if by_channel else 1) > MOST_RESULTS:
            return layer, f"{layer.op.type} is a function of numbers that have too many codes for a table, or none"
        work = Function((*before, layer), by_channel)
        return [self._node(work, layer, [value], layer.tops[0], [each.name for each in before])]

    def _picked(self, layer: Layer, bottoms: Sequence[Shape], kept: int) -> list[Value] | Reason:
        found = [picked_places(layer, bottoms, top) for top in range(len(layer.tops))]
        places = [each for each in found if each is not None]
        if len(places) < len(found):
            return layer, f"{layer.op.type} mixes pictures of a batch"
        inputs = [self._value(blob) for blob in layer.bottoms[:kept]]
        return [self._pick(layer, inputs, each, top) for top, each in enumerate(places)]

    def _pick(self, layer: Layer, inputs: list[Value], places: Array, top: int) -> Value:
        shape = self.shapes[layer.name][top][1:]
        # The same numbers in the same places, under another shape, are a copy.
        same = len(inputs) == 1 and np.array_equal(places, np.arange(math.prod(inputs[0].shape)))
        return self._append(Node(Copy() if same else Pick(places), [layer.name], inputs, Value(layer.tops[top], shape)))

    def _value(self, blob: str) -> Value:
        if blob not in self.values:
            producer = next(layer for layer in self.net.data_layers if blob in layer.tops)
            shape = self.shapes[producer.name][producer.tops.index(blob)]
            self.values[blob] = self._append(Node(Load(), [producer.name], [], Value(blob, shape[1:])))
        return self.values[blob]

    def _stepped(self, value: Value, step: Step, layer: str, blob: str = "") -> Value:
        if (
            isinstance(step, Trim)
            and isinstance(value.numbers, Grid)
            and value.numbers.trimmed(step.fmt, self.arithmetic) == value.numbers
        ):
            return value
        output = Value(blob or value.blob, value.shape)
        maker = self.graph.maker(value)
        if (
            isinstance(maker.work, Load)
            and isinstance(step, Trim)
            and not maker.steps
            and not self.graph.readers(value)
            and not self._has_other_readers(value, self.net[layer])
        ):
            # What comes from outside comes as codes.
            maker.steps, maker.output = [step], output
            output.numbers = numbers_of(maker, self.arithmetic)
            return output
        return self._append(Node(Copy(), [layer], [value], output, [step]))

    def _has_other_readers(self, value: Value, layer: Layer) -> bool:
        """Whether what a layer trims in place is read behind it, untrimmed, under another name."""
        index = self.net.layers.index(layer)
        return any(
            held is value and blob != layer.bottoms[0] and is_read(self.net, blob, index)
            for blob, held in self.values.items()
        )

    def _node(self, work: Work, layer: Layer, inputs: list[Value], blob: str, before: Sequence[str] = ()) -> Value:
        return self._append(Node(work, [*before, layer.name], inputs, Value(blob, self.shapes[layer.name][0][1:])))

    def _append(self, node: Node) -> Value:
        self.graph.nodes.append(node)
        node.output.numbers = numbers_of(node, self.arithmetic)
        return node.output


def picked_places(layer: Layer, bottoms: Sequence[Shape], top: int) -> Array | None:
    """Give where in one picture's bottoms each number of a top stands; None where pictures are mixed."""
    count = bottoms[0][0]
    sizes = [math.prod(shape[1:]) for shape in bottoms]
    if any(shape[0] != count for shape in bottoms):
        return None
    every = np.arange(count * sum(sizes), dtype=np.float64).reshape(count, -1)
    parts = np.split(every, np.cumsum(sizes)[:-1], axis=1)
    numbered = [part.reshape(shape) for part, shape in zip(parts, bottoms, strict=True)]
    result = layer.op.forward(numbered, layer.blobs)[top]
    if result.shape[0] != count:
        return None
    places = result.reshape(count, -1).astype(np.int64)
    first = places[0]
    same = (places == first + np.arange(count)[:, None] * every.shape[1]).all()
    return first if same and first.max(initial=0) < every.shape[1] else None
