"""Teacher: the float net, whose outputs a condensed net learns to give (knowledge distillation)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from ristretto.errors import ModelError
from ristretto.finetune.graph import Blobs, Graph
from ristretto.finetune.shadow import Shadow
from ristretto.net import Layer, Net, Phase, QuantSpec, Shape
from ristretto.net.op import Array
from ristretto.passes import QuantizeLayers


class Teacher:
    """The net in float, as it is in TEST: without random masks, with stored statistics.

    Where the loss compares class scores by a softmax, what is learned are the teacher's probabilities: the
    Kullback-Leibler divergence from them, with all scores divided by a temperature and the result multiplied by its
    square, in the mean over all places that have classes, which are pictures as a rule (Hinton et al. 2015, "Distilling
    the knowledge in a neural network"). Elsewhere it is half the mean squared difference of the outputs, per picture,
    as in a EuclideanLoss.

    Parameters
    ----------
    net : Net
        Of the TRAIN phase, with the float weights.
    inputs : mapping of str to shape
        Of one batch.
    temperature : float
        Above 1, less likely classes tell more.
    device : torch.device or str

    Raises
    ------
    ModelError
        When the net has no loss whose input could be learned.
    """

    def __init__(
        self, net: Net, inputs: Mapping[str, Shape], *, temperature: float, device: torch.device | str = "cpu"
    ) -> None:
        loss = _loss_of(net)
        self.blob, self.temperature = loss.bottoms[0], temperature
        self.compares_classes = loss.op.ignores_common_shift
        # Where classes stand; Caffe's default for what does not say it.
        self.axis: int = getattr(loss.op, "axis", 1)
        end = net.layers.index(loss)
        plain = QuantizeLayers(QuantSpec("", {}))(net)
        layers = tuple(replace(layer, op=layer.op.in_phase(Phase.TEST)) for layer in plain.layers[:end])
        self.graph = Graph(replace(net, layers=layers), inputs, device=device)
        self.shadow = Shadow(self.graph.net, device=device)

    @torch.no_grad()
    def outputs(self, batch: Mapping[str, Array | Tensor]) -> Tensor:
        """Give what the float net makes of a batch."""
        return self.graph(self.shadow, batch).blobs[self.blob].detach()

    def loss(self, blobs: Blobs, wanted: Tensor) -> Tensor:
        """Give how far a net's outputs are from the teacher's."""
        if not self.compares_classes:
            return (blobs[self.blob] - wanted).square().sum() / (2 * len(wanted))
        ours, theirs = (
            functional.log_softmax(scores / self.temperature, dim=self.axis) for scores in (blobs[self.blob], wanted)
        )
        divergence = functional.kl_div(ours, theirs, reduction="sum", log_target=True)
        return divergence * self.temperature**2 * wanted.shape[self.axis] / wanted.numel()


def _loss_of(net: Net) -> Layer:
    """Give the last loss of a net."""
    losses = [layer for layer in net if layer.op.higher_is_better is False and layer.bottoms]
    if not losses:
        raise ModelError(
            f"net '{net.name}' has no loss in the TRAIN phase",
            hint="add a loss layer: distillation learns what it reads",
        )
    return losses[-1]
