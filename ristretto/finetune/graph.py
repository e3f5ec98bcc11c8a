"""Graph: a net run forward in torch, so that gradients can go back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import torch
from torch import Tensor

from ristretto.errors import DataError, ModelError, in_layer
from ristretto.execute.executor import check_ready
from ristretto.finetune.functions import Run
from ristretto.finetune.nodes import Nodes
from ristretto.finetune.paths import check_paths
from ristretto.finetune.shadow import Shadow
from ristretto.finetune.trimming import LearnedRadixPoint, instead, trim_activations, trim_weights
from ristretto.formats import EXACT, Format
from ristretto.net import Layer, Net, Scheme, Shape
from ristretto.net.op import Array
from ristretto.net.quant import LAYER_IN, LAYER_OUT, PARAMS
from ristretto.passes import SpellOutSharing

Blobs = dict[str, Tensor]


class Activations(Enum):
    """What training does with the formats of layers' inputs and outputs."""

    TRIM = "trim"
    """It trims them, as the net is scored later."""
    FLOAT = "float"
    """It leaves them out, as the original does in its TRAIN phase."""


@dataclass(frozen=True, eq=False)
class Forward:
    """What a graph gives.

    Parameters
    ----------
    blobs : dict of str to Tensor
        Every blob as it stands at the end, in real units.
    loss : Tensor
        The sum of all tops, each times its ``loss_weight``; one number.
    """

    blobs: Blobs
    loss: Tensor


class Graph:
    """A net of one phase, prepared for batches of fixed shapes.

    Weights that have a format are trimmed from the shadow weights each time; the gradient is taken at the trimmed ones
    and belongs to the shadow weights (Gysel et al. 2016, section 5). A layer's input blob is trimmed in place, as in
    TEST: every later reader sees the trimmed one. Sums are those of torch, in float32: `Evaluation` has the exact ones.

    Layers say what they do in training (`Op.training_form`); one without such a form runs its plain `forward`. A layer
    that trims inside (``LRNRistretto``) gives the trimmed numbers with the gradient of the layer in float; with
    `Activations.FLOAT` it runs in float, as all of the original's do in TRAIN.

    Parameters
    ----------
    net : Net
        Of one phase, with its weights.
    inputs : mapping of str to shape
        The shapes of the data layers' tops for one batch; those that the prototxt declares may be left out.
    activations : Activations
    rounding : Scheme or None
        How weights are rounded; None for what each layer's ``rounding_scheme`` says.
    learned : mapping of (str, str) to LearnedRadixPoint
        By layer name and place (one of ``ristretto.net.quant.PLACES``): what trims instead of the net's format.
    seed : int
        Of all that is random: masks and stochastic rounding.
    dtype : torch.dtype
    device : torch.device or str

    Raises
    ------
    ModelError
        When weights are missing or do not fit, when a layer cannot be trained, or when a gradient would have to pass
        one that has none.
    """

    def __init__(
        self,
        net: Net,
        inputs: Mapping[str, Shape],
        *,
        activations: Activations = Activations.TRIM,
        rounding: Scheme | None = None,
        learned: Mapping[tuple[str, str], LearnedRadixPoint] | None = None,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        if activations is Activations.FLOAT:
            net = replace(net, layers=tuple(_without_activations(layer) for layer in net))
        self.net = SpellOutSharing(net.shapes(inputs), EXACT)(net)
        self.shapes = self.net.shapes(inputs)
        self.inputs = {
            top: shape
            for layer in net.data_layers
            for top, shape in zip(layer.tops, self.shapes[layer.name], strict=True)
        }
        self.rounding, self.learned = rounding, dict(learned or {})
        self.seed, self.dtype, self.device = seed, dtype, torch.device(device)
        self.generator = torch.Generator(self.device)
        run = Run(dtype, self.device, self._draw)
        self.steps = [self._step(layer, run) for layer in self.net if not layer.op.is_data]
        check_paths(self.net, self.shapes)

    def _step(self, layer: Layer, run: Run) -> Step:
        bottoms = self.net.bottom_shapes(layer, self.shapes)
        # Stochastic rounding, which no executor takes, is what training is for.
        quant = replace(layer.quant, scheme=Scheme.NEAREST) if layer.quant else None
        check_ready(replace(layer, quant=quant), bottoms)
        with in_layer(layer.name):
            form = layer.op.training_form(bottoms)
            nodes = None if form is None else Nodes(form, run)
        return Step(layer, nodes, layer.op.blob_shapes(bottoms))

    def _draw(self, shape: Sequence[int]) -> Tensor:
        return torch.rand(tuple(shape), generator=self.generator, dtype=self.dtype, device=self.device)

    def __call__(self, shadow: Shadow, batch: Mapping[str, Array | Tensor], iteration: int = 0) -> Forward:
        """Run one batch.

        Parameters
        ----------
        shadow : Shadow
            The weights; blobs that a layer keeps by itself (BatchNorm's sums) hold new numbers afterwards.
        batch : mapping of str to array or Tensor
            The data layers' tops, in real units.
        iteration : int
            Counts the batches: of one seed and one iteration, all that is random is the same.

        Raises
        ------
        DataError
            When a blob is missing or has another shape.
        ModelError
            When a layer finds numbers that it cannot work on, as a label beyond the classes.
        """
        # Seeds of neighbouring iterations would otherwise be neighbours, too.
        state = np.random.SeedSequence((self.seed, iteration)).generate_state(1, np.uint64)
        self.generator.manual_seed(int(state[0] >> np.uint64(1)))
        blobs = self._taken(batch)
        loss = torch.zeros((), dtype=self.dtype, device=self.device)
        for step in self.steps:
            with in_layer(step.layer.name):
                loss = loss + self._run(step, shadow, blobs)
        return Forward(blobs, loss)

    def _taken(self, batch: Mapping[str, Array | Tensor]) -> Blobs:
        for blob, shape in self.inputs.items():
            if blob not in batch or tuple(batch[blob].shape) != tuple(shape):
                got = tuple(batch[blob].shape) if blob in batch else "nothing"
                raise DataError(f"blob '{blob}' needs shape {shape}, the batch holds {got}")
        taken = {blob: torch.as_tensor(batch[blob]).to(self.device, self.dtype) for blob in self.inputs}
        # On a CPU a convolutional net takes 0.6 of the time with channels last in memory: torch keeps that order.
        if self.device.type == "cpu":
            taken |= {k: x.contiguous(memory_format=torch.channels_last) for k, x in taken.items() if x.dim() == 4}
        return taken

    def _run(self, step: Step, shadow: Shadow, blobs: Blobs) -> Tensor | float:
        """Run one layer on the blobs; give what it adds to the loss."""
        layer, quant = step.layer, step.layer.quant
        tensors = shadow.layer(layer)
        if len(tensors) < len(step.weights):
            raise ModelError("no weights", hint="does the caffemodel belong to this prototxt?")
        weights = [tensor.view(shape) for tensor, shape in zip(tensors, step.weights, strict=True)]
        if quant and not layer.op.trims_inside:
            weights = self._trimmed_weights(layer, weights)
            if quant.layer_in is not None:
                blobs[layer.bottoms[0]] = self._trim(layer, LAYER_IN, quant.layer_in, blobs[layer.bottoms[0]])
        tops = self._tops(step, [blobs[bottom] for bottom in layer.bottoms], weights, tensors)
        if quant and layer.op.trims_inside:
            tops = (_trimmed_inside(layer, blobs[layer.bottoms[0]], tops[0]),)
        elif quant and quant.layer_out is not None:
            tops = (self._trim(layer, LAYER_OUT, quant.layer_out, tops[0]), *tops[1:])
        blobs.update(zip(layer.tops, tops, strict=False))
        factors = [layer.loss_weight(index) for index in range(len(tops))]
        return sum(factor * top.sum() for factor, top in zip(factors, tops, strict=True) if factor)

    def _tops(
        self, step: Step, bottoms: list[Tensor], weights: list[Tensor], tensors: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        layer = step.layer
        if step.nodes is None:
            arrays = [bottom.detach().cpu().numpy() for bottom in bottoms]
            results = layer.op.forward(arrays, [weight.detach().cpu().numpy() for weight in weights])
            return tuple(torch.tensor(top).to(self.device, self.dtype) for top in results)
        # A loss that no top is named for is computed all the same.
        count = max(len(layer.tops), int(layer.op.higher_is_better is False))
        inputs = [x if layer.passes_down(index) else x.detach() for index, x in enumerate(bottoms)]
        found = step.nodes(inputs, weights, count)
        with torch.no_grad():
            for index, value in found.blobs.items():
                tensors[index].copy_(value.view(tensors[index].shape))
        return found.tops

    def _trimmed_weights(self, layer: Layer, weights: list[Tensor]) -> list[Tensor]:
        quant = layer.quant
        if quant is None or quant.params is None:
            return weights
        by_chance = (self.rounding or quant.scheme) is Scheme.STOCHASTIC
        covered = len(weights) if quant.params.covers_bias else 1
        learned = self.learned.get((layer.name, PARAMS))
        result = []
        for x in weights[:covered]:
            noise = self._draw(x.shape) if by_chance else None
            result.append(learned(x, noise) if learned else trim_weights(quant.params, x, noise))
        return result + weights[covered:]

    def _trim(self, layer: Layer, place: str, fmt: Format, x: Tensor) -> Tensor:
        learned = self.learned.get((layer.name, place))
        result: Tensor = learned(x) if learned else trim_activations(fmt, x)
        return result


@dataclass(frozen=True, eq=False)
class Step:
    """A layer, prepared.

    Parameters
    ----------
    layer : Layer
    nodes : Nodes or None
        What it does in training; None where its plain `forward` runs.
    weights : tuple of shapes
        Of its blobs, as the nodes take them.
    """

    layer: Layer
    nodes: Nodes | None
    weights: tuple[Shape, ...]


def _without_activations(layer: Layer) -> Layer:
    """Give a layer whose input and output have no format; one that trims inside has none at all then."""
    if layer.quant is None:
        return layer
    quant = None if layer.op.trims_inside else replace(layer.quant, layer_in=None, layer_out=None)
    return replace(layer, quant=quant)


def _trimmed_inside(layer: Layer, x: Tensor, top: Tensor) -> Tensor:
    """Give the numbers of the layer that trims on the way, with the gradient of the one in float."""
    fmt = layer.quant.layer_out if layer.quant else None
    assert fmt is not None
    (value,) = layer.op.forward_trimmed([x.detach().cpu().to(torch.float32).numpy()], fmt.trim)
    return instead(torch.from_numpy(value).to(top.device, top.dtype), top)
