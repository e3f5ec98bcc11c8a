"""AddAccuracy: gives a deploy net a score."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ristretto.layers.accuracy import Accuracy
from ristretto.layers.input import Input
from ristretto.net import Layer, Net, Shape

ACCURACY = "accuracy"


@dataclass(frozen=True)
class AddAccuracy:
    """Adds an Accuracy of the net's output against labels that come from outside.

    Nothing is added to a net that has a score (an accuracy or a loss), nor to one in which not exactly one output
    holds a number for each picture and class.

    Parameters
    ----------
    label : str
        The blob with the labels; the net gets an Input layer for it.
    inputs : mapping of str to shape
        Of everything that comes from outside, the labels among them.
    """

    label: str
    inputs: Mapping[str, Shape]

    def __call__(self, net: Net) -> Net:
        """Give the net with an output blob ``accuracy``; the same net where nothing is added.

        Raises
        ------
        ModelError
            When the net cannot take these inputs.
        """
        taken = {name for layer in net for name in (layer.name, *layer.tops)}
        if self.label in taken or ACCURACY in taken or _has_score(net):
            return net
        classes = [blob for blob, shape in self._output_shapes(net).items() if self._is_like_scores(shape)]
        if len(classes) != 1:
            return net
        labels = Layer(self.label, Input(shapes=(self.inputs[self.label],)), tops=(self.label,))
        accuracy = Layer(ACCURACY, Accuracy(), bottoms=(classes[0], self.label), tops=(ACCURACY,))
        return replace(net, layers=(*net.layers, labels, accuracy))

    def _output_shapes(self, net: Net) -> dict[str, Shape]:
        shapes = net.shapes(self.inputs)
        result = {}
        for blob in net.outputs:
            producer = net.producer(blob)
            assert producer is not None
            result[blob] = shapes[producer.name][producer.tops.index(blob)]
        return result

    def _is_like_scores(self, shape: Shape) -> bool:
        pictures = math.prod(self.inputs[self.label])
        return len(shape) >= 2 and shape[0] == pictures and shape[1] > 1 and math.prod(shape[2:]) == 1


def _has_score(net: Net) -> bool:
    producers = [net.producer(blob) for blob in net.outputs]
    return any(layer is not None and layer.op.higher_is_better is not None for layer in producers)
