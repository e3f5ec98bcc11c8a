"""Reach: which layers read the output channels of another one, through layers that keep the channels apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ristretto.net import Layer, Net, Phase, Shape
from ristretto.passes.states import nets_of_states


@dataclass(frozen=True)
class Link:
    """A layer whose output channels may take factors, and the layers that take them back.

    Parameters
    ----------
    writer : str
    readers : tuple of (str, int)
        By name, with the channel of its bottom that the writer's first one becomes; a layer may be there twice.
    """

    writer: str
    readers: tuple[tuple[str, int], ...]


@dataclass(frozen=True, eq=False)
class Wiring:
    """A net, seen by what its layers read of each other.

    Parameters
    ----------
    net : Net
        Of all phases or of one.
    test : Net
        Of the TEST phase, or of the one.
    shapes : mapping of str to tuple of shapes
        Of the tops of the layers in TEST, by layer name.
    fed : mapping of str to shape
        Of what comes from outside the net in TEST, by blob name; other phases may have other layers for it.
    """

    net: Net
    test: Net
    shapes: Mapping[str, tuple[Shape, ...]]
    fed: Mapping[str, Shape]

    @classmethod
    def of(cls, net: Net, inputs: Mapping[str, Shape]) -> Wiring:
        """See a net as the TEST phase has it.

        Parameters
        ----------
        net : Net
        inputs : mapping of str to shape
            Of the data layers' tops in TEST, by blob name; those that the prototxt declares may be left out.

        Raises
        ------
        ModelError
            When the net cannot take these inputs.
        """
        test = net if net.state else net.for_phase(Phase.TEST)
        shapes = test.shapes(inputs)
        data = [(layer, shapes[layer.name]) for layer in test.data_layers]
        fed = {top: shape for layer, tops in data for top, shape in zip(layer.tops, tops, strict=True)}
        return cls(net, test, shapes, fed)

    def links(self) -> list[Link]:
        """Give every layer whose output reaches nothing but layers that can take a factor back, in the net's order.

        These must be the same in all phases, levels and stages that have one of them: they share their weights.
        """
        states = nets_of_states(self.net)
        parts = [{layer.name: layer for layer in state} for state in states]
        found = []
        for name in dict.fromkeys(layer.name for layer in self.net if layer.op.output_channels is not None):
            reaches = [
                self._reach(state, layers[name]) for state, layers in zip(states, parts, strict=True) if name in layers
            ]
            if (
                not reaches
                or name not in self.shapes
                or None in reaches
                or any(reach != reaches[0] for reach in reaches)
            ):
                continue
            assert reaches[0] is not None
            if all(name in layers for reader, _ in reaches[0] for layers in parts if reader in layers):
                found.append(Link(name, tuple(sorted(reaches[0]))))
        return found

    def bottom(self, name: str) -> Shape:
        """Give the shape of the first bottom of a layer that takes part in TEST."""
        return self.test.bottom_shapes(self.test[name], self.shapes)[0]

    def channels(self, state: Net, layer: Layer) -> int | None:
        """Give the channels of a layer's bottom where each has weights of its own in it; None where that is not so."""
        bottoms = self._bottom_shapes(state, layer)
        # What works in place may share memory with a blob that then changes, too.
        if bottoms is None or not self._is_free(layer) or set(layer.tops) & set(layer.bottoms):
            return None
        walk = layer.op.geometry(bottoms[0])
        if walk is None or len(bottoms[0]) < 2 or math.prod(walk.in_shape) != math.prod(bottoms[0][1:]):
            return None
        return bottoms[0][1]

    def _reach(self, state: Net, writer: Layer) -> set[tuple[str, int]] | None:
        if writer.op.part is None or self.channels(state, writer) is None:
            return None
        found = set()
        todo = [(writer, 0)]
        while todo:
            layer, start = todo.pop()
            for number, top in enumerate(layer.tops):
                readers = state.consumers(layer, number)
                if not readers:
                    return None
                for reader in readers:
                    if reader.op.part is not None:
                        if self.channels(state, reader) is None:
                            return None
                        found.add((reader.name, start))
                        continue
                    bottoms = self._bottom_shapes(state, reader)
                    starts = None if bottoms is None else reader.op.channel_starts(bottoms)
                    if starts is None:
                        return None
                    places = zip(reader.bottoms, starts, strict=True)
                    todo += [(reader, start + place) for bottom, place in places if bottom == top]
        return found

    def _bottom_shapes(self, state: Net, layer: Layer) -> list[Shape] | None:
        """Give the shapes of a layer's bottoms; None where TEST does not tell them."""
        result = []
        for bottom in layer.bottoms:
            producer = state.producer(bottom, before=layer)
            if producer is None:
                return None
            if producer.op.is_data:
                shape = self.fed.get(bottom)
            elif producer.name in self.shapes and self._is_alike(producer):
                shape = self.shapes[producer.name][producer.tops.index(bottom)]
            else:
                shape = None
            if shape is None:
                return None
            result.append(shape)
        return result

    def _is_alike(self, layer: Layer) -> bool:
        """Whether all layers of its name do the same."""
        return all((other.op, other.tops) == (layer.op, layer.tops) for other in self.net if other.name == layer.name)

    def _is_free(self, layer: Layer) -> bool:
        """Whether a layer's weights may change: no other layer has them, and no format was chosen for them."""
        named = [other for other in self.net if other.name == layer.name]
        return (
            self._is_alike(layer)
            and not any(other.quant for other in named)
            and not any(set(layer.shared) & set(other.shared) for other in self.net if other.name != layer.name)
        )
