"""Net and Layer: a frozen net, in prototxt order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ristretto.errors import ModelError, in_layer
from ristretto.net.filler import Filler
from ristretto.net.limits import MOST_WEIGHTS, check_size, check_walk
from ristretto.net.op import Op, Shape
from ristretto.net.param import ParamSpec
from ristretto.net.phase import NetState, Phase, Rule
from ristretto.net.quant import LayerQuant


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of a net.

    Parameters
    ----------
    name : str
        The layer's name; unique within a phase, not within a file.
    op : Op
        What it computes.
    bottoms, tops : tuple of str
        Blob names; a top that is also a bottom is computed in place.
    blobs : tuple of float32 arrays, read-only
        The weights; empty until they are loaded.
    include, exclude : tuple of Rule
        When the layer takes part.
    quant : LayerQuant or None
        The formats of a quantized layer.
    params : tuple of ParamSpec
        How its weights are trained and shared, in blob order, as far as the prototxt says it; see `param`.
    fillers : tuple of Filler
        How new weights are made, in blob order (see `Op.parse_fillers`).
    loss_weights : tuple of float
        For each top its factor in the sum that training minimizes; empty where the prototxt is silent (see
        `loss_weight`).
    propagate_down : tuple of bool
        For each bottom whether gradients go on through it; empty where the prototxt leaves it to Caffe, that is to
        where trained weights are.
    source : int
        Where the layer stands in its prototxt, counted from 0; -1 for one that no prototxt holds.
    """

    name: str
    op: Op
    bottoms: tuple[str, ...] = ()
    tops: tuple[str, ...] = ()
    blobs: tuple[NDArray[np.float32], ...] = ()
    include: tuple[Rule, ...] = ()
    exclude: tuple[Rule, ...] = ()
    quant: LayerQuant | None = None
    params: tuple[ParamSpec, ...] = ()
    fillers: tuple[Filler, ...] = ()
    loss_weights: tuple[float, ...] = ()
    propagate_down: tuple[bool, ...] = ()
    source: int = -1

    @property
    def type(self) -> str:
        """The type that a prototxt gives this layer."""
        return self.op.quantized_type if self.quant else self.op.type

    @property
    def shared(self) -> tuple[str, ...]:
        """The names under which it shares weights with other layers (``param { name: "..." }``)."""
        return tuple(spec.name for spec in self.params if spec.name)

    def param(self, blob: int) -> ParamSpec:
        """Say how a weight blob is trained; by Caffe's defaults where the prototxt has no ``param`` block for it."""
        return self.params[blob] if blob < len(self.params) else ParamSpec(lr_mult=float(self.op.learns))

    def loss_weight(self, top: int) -> float:
        """Give a top's factor in the sum that training minimizes: as written, else 1 for a loss and 0 for the rest."""
        if self.loss_weights:
            return self.loss_weights[top]
        return float(top == 0 and self.op.higher_is_better is False)

    @property
    def adds_to_loss(self) -> bool:
        """Whether it makes a part of the sum that training minimizes; a loss without a top does so all the same."""
        return any(self.loss_weight(top) for top in range(max(len(self.tops), 1)))

    def passes_down(self, bottom: int) -> bool:
        """Whether gradients may go on through a bottom, as far as the prototxt says."""
        return self.propagate_down[bottom] if self.propagate_down else True

    def takes_part(self, state: NetState) -> bool:
        """Whether the layer is in the net of a state (Caffe's ``FilterNet``).

        Raises
        ------
        ModelError
            When it has rules of both kinds.
        """
        if self.include and self.exclude:
            raise ModelError("include and exclude rules stand together", layer=self.name, hint="keep one kind")
        if self.include:
            return any(rule.met_by(state) for rule in self.include)
        return not any(rule.met_by(state) for rule in self.exclude)


@dataclass(frozen=True, eq=False)
class Net:
    """A net: layers in prototxt order.

    Parameters
    ----------
    name : str
        The net's name.
    layers : tuple of Layer
        Of one phase after `for_phase`; of all phases before.
    state : NetState or None
        The state that the layers were chosen for; None before `for_phase`.
    """

    name: str
    layers: tuple[Layer, ...]
    state: NetState | None = field(default=None)

    def __getitem__(self, name: str) -> Layer:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def for_phase(self, phase: Phase, *, level: int = 0, stages: Sequence[str] = ()) -> Net:
        """Give the net of one phase: the layers whose rules hold, with their operations as they act there.

        Raises
        ------
        ModelError
            When a layer cannot be run, when one reads a blob that no layer before it makes, when two layers write one
            blob, when two layers share a name, or when one has more or fewer blobs than its type takes, or than it
            has settings for.
        """
        state = NetState(phase, level, frozenset(stages))
        layers = tuple(_in_phase(layer, phase) for layer in self.layers if layer.takes_part(state))
        net = Net(self.name, layers, state)
        net._check_wiring()
        return net

    def _check_wiring(self) -> None:
        made: set[str] = set()
        names: set[str] = set()
        for layer in self.layers:
            if layer.name in names:
                raise ModelError("its name stands twice in one phase", layer=layer.name, hint="rename one of the two")
            names.add(layer.name)
            fewest, most = layer.op.bottom_counts()
            if not fewest <= len(layer.bottoms) <= most:
                wanted = f"{fewest}" if fewest == most else f"{fewest} to {most}"
                raise ModelError(f"{layer.type} reads {wanted} blobs, not {len(layer.bottoms)}", layer=layer.name)
            if len(layer.tops) < layer.op.fewest_tops:
                raise ModelError(f"{layer.type} without a top", layer=layer.name, hint="name the blob that it makes")
            _check_counts(layer)
            for bottom in layer.bottoms:
                if bottom not in made:
                    raise ModelError(
                        f"unknown bottom blob '{bottom}'",
                        layer=layer.name,
                        hint="a layer before it must have this top in the same phase",
                    )
            for index, top in enumerate(layer.tops):
                in_place = index < len(layer.bottoms) and layer.bottoms[index] == top
                if top in made and not in_place:
                    raise ModelError(f"top blob '{top}' is made twice", layer=layer.name, hint="rename one of the tops")
                made.add(top)

    @cached_property
    def data_layers(self) -> tuple[Layer, ...]:
        """The layers whose tops come from outside the net."""
        return tuple(layer for layer in self.layers if layer.op.is_data)

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """The blobs that no layer reads, in alphabetical order, as Caffe keeps them."""
        unread: set[str] = set()
        for layer in self.layers:
            unread -= set(layer.bottoms)
            unread |= set(layer.tops)
        return tuple(sorted(unread))

    def producer(self, blob: str, before: Layer | None = None) -> Layer | None:
        """Give the last layer that writes a blob, or the last one before a given layer."""
        found = None
        for layer in self.layers:
            if layer is before:
                break
            if blob in layer.tops:
                found = layer
        return found

    def consumers(self, layer: Layer, top: int = 0) -> tuple[Layer, ...]:
        """Give the layers that read a layer's top before another one overwrites it in place.

        Parameters
        ----------
        layer : Layer
            A layer of this net.
        top : int
            Which of its tops.
        """
        blob = layer.tops[top]
        readers = []
        for later in self.layers[self.layers.index(layer) + 1 :]:
            if blob in later.bottoms:
                readers.append(later)
            if blob in later.tops:
                break
        return tuple(readers)

    def version(self, blob: str, before: Layer | None = None) -> str:
        """Name what a blob holds at the end of a run, or when a given layer reads it: ``LAYER.topK``.

        A layer that works in place makes another version of its blob; this tells them apart.
        """
        producer = self.producer(blob, before)
        if producer is None:
            raise ModelError(f"no layer makes the blob '{blob}'")
        return f"{producer.name}.top{producer.tops.index(blob)}"

    def shapes(self, inputs: Mapping[str, Shape]) -> dict[str, tuple[Shape, ...]]:
        """Give the shapes of every layer's tops.

        Parameters
        ----------
        inputs : mapping of str to shape
            The shapes of the data layers' tops, by blob name; those that the prototxt declares may be left out.

        Returns
        -------
        dict of str to tuple of shapes
            By layer name, in top order.

        Raises
        ------
        ModelError
            When a layer cannot take the shapes it gets, its weights have other shapes than these call for, weights
            would hold nothing, or a blob more than `MOST_NUMBERS` (weights: `MOST_WEIGHTS`).
        """
        known: dict[str, Shape] = {}
        result: dict[str, tuple[Shape, ...]] = {}
        for layer in self.layers:
            if layer.op.is_data:
                tops = tuple(self._input_shape(layer, index, inputs) for index in range(len(layer.tops)))
            else:
                tops = self._infer(layer, [known[bottom] for bottom in layer.bottoms])
            result[layer.name] = tops
            known.update(zip(layer.tops, tops, strict=False))
        return result

    def bottom_shapes(self, layer: Layer, shapes: Mapping[str, tuple[Shape, ...]]) -> list[Shape]:
        """Give the shapes of a layer's bottoms from those of all tops, as `shapes` gives them."""
        result = []
        for blob in layer.bottoms:
            producer = self.producer(blob, before=layer)
            assert producer is not None, "the wiring was checked when the phase was chosen"
            result.append(shapes[producer.name][producer.tops.index(blob)])
        return result

    @staticmethod
    def _input_shape(layer: Layer, index: int, inputs: Mapping[str, Shape]) -> Shape:
        top = layer.tops[index]
        with in_layer(layer.name):
            shape = inputs[top] if top in inputs else layer.op.declared_shape(index)
            check_size(f"its top '{top}'", shape or ())
        if shape is None:
            raise ModelError(f"the shape of its top '{top}' is not known", layer=layer.name)
        return shape

    @staticmethod
    def _infer(layer: Layer, bottoms: list[Shape]) -> tuple[Shape, ...]:
        with in_layer(layer.name):
            tops = layer.op.infer(bottoms)
            wanted = layer.op.blob_shapes(bottoms)
            for top, shape in zip(layer.tops, tops, strict=False):
                check_size(f"its top '{top}'", shape)
            for index, shape in enumerate(wanted):
                if 0 in shape:
                    raise ModelError(f"weight blob {index} of shape {shape} holds nothing", hint="is its bottom empty?")
                check_size(f"weight blob {index}", shape, MOST_WEIGHTS)
            if bottoms and (walk := layer.op.geometry(bottoms[0])):
                check_walk(bottoms[0], walk)
        if len(layer.tops) > len(tops):
            raise ModelError(f"{len(layer.tops)} tops where {layer.type} makes {len(tops)}", layer=layer.name)
        if layer.blobs:
            if len(layer.blobs) != len(wanted):
                raise ModelError(
                    f"{len(layer.blobs)} weight blobs where {layer.type} needs {len(wanted)}",
                    layer=layer.name,
                    hint="does the caffemodel belong to this prototxt?",
                )
            for index, (blob, shape) in enumerate(zip(layer.blobs, wanted, strict=True)):
                if squeeze(blob.shape) != squeeze(shape):
                    raise ModelError(
                        f"weight blob {index} has shape {blob.shape}, the prototxt asks for {shape}",
                        layer=layer.name,
                        hint="does the caffemodel belong to this prototxt?",
                    )
        return tops


def _check_counts(layer: Layer) -> None:
    """Raise a ModelError for settings that stand once for each top or bottom, or not at all, and do neither."""
    # A loss without a top has one all the same.
    for name, given, wanted, of in (
        ("loss_weight", len(layer.loss_weights), max(len(layer.tops), 1), "top"),
        ("propagate_down", len(layer.propagate_down), len(layer.bottoms), "bottom"),
    ):
        if given not in (0, wanted):
            raise ModelError(
                f"{name} stands {given} times", layer=layer.name, hint=f"write it once for each {of}, or not at all"
            )


def _in_phase(layer: Layer, phase: Phase) -> Layer:
    with in_layer(layer.name):
        return replace(layer, op=layer.op.in_phase(phase))


def squeeze(shape: Shape) -> Shape:
    """Drop leading axes of length 1: old caffemodels keep a bias as (1, 1, 1, n), and a single number has no axis."""
    start = 0
    while start < len(shape) and shape[start] == 1:
        start += 1
    return shape[start:]
