"""Where gradients must pass in a net, and whether they can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from ristretto.errors import ModelError, in_layer
from ristretto.finetune.functions import Run
from ristretto.finetune.nodes import Nodes
from ristretto.finetune.shadow import is_trained
from ristretto.net import Layer, Net, Shape

META = torch.device("meta")
"""torch's device of tensors without numbers: it tells shapes, and where gradients go."""


def check_paths(net: Net, shapes: Mapping[str, tuple[Shape, ...]]) -> None:
    """Raise a ModelError when trained weights reach a loss only in part, because a layer lets no gradient through.

    Parameters
    ----------
    net : Net
        Of one phase, with its weights.
    shapes : mapping of str to tuple of shapes
        Of every layer's tops.
    """
    under_loss = _under_loss(net)
    trained: set[str] = set()
    for layer in net:
        if layer.op.is_data:
            continue
        bottoms = net.bottom_shapes(layer, shapes)
        reached = [blob in trained and layer.passes_down(index) for index, blob in enumerate(layer.bottoms)]
        with in_layer(layer.name):
            tops = _trained_tops(layer, bottoms, reached, must_pass=layer.name in under_loss)
        for top, is_one in zip(layer.tops, tops, strict=False):
            (trained.add if is_one else trained.discard)(top)


def _under_loss(net: Net) -> set[str]:
    """Name the layers whose tops go into the sum that is minimized."""
    blobs: set[str] = set()
    names: set[str] = set()
    for layer in reversed(net.layers):
        if layer.adds_to_loss or not blobs.isdisjoint(layer.tops):
            names.add(layer.name)
            blobs = (blobs - set(layer.tops)) | set(layer.bottoms)
    return names


def _trained_tops(layer: Layer, bottoms: Sequence[Shape], reached: Sequence[bool], *, must_pass: bool) -> list[bool]:
    """Say which tops depend on trained weights, by way of gradients."""
    count = len(layer.op.infer(bottoms))
    form = layer.op.training_form(bottoms)
    if form is None:
        if must_pass and any(reached):
            raise _blocked(layer, reached.index(True))
        return [False] * count
    nodes = Nodes(form, Run(torch.float32, META, lambda shape: torch.empty(tuple(shape), device=META)))
    weights = [is_trained(layer, index) for index in range(len(layer.op.blob_shapes(bottoms)))]

    def depend(on_bottoms: Sequence[bool], on_weights: Sequence[bool]) -> list[bool]:
        made = [nodes_input(shape, needed) for shape, needed in zip(bottoms, on_bottoms, strict=True)]
        blobs = zip(layer.op.blob_shapes(bottoms), on_weights, strict=True)
        tops = nodes(made, [nodes_input(shape, needed) for shape, needed in blobs], len(layer.tops) or min(count, 1))
        return [top.requires_grad for top in tops.tops]

    for index in range(len(bottoms)):
        alone = [place == index for place in range(len(bottoms))]
        # A bottom that only shows a size is not read.
        is_read = f"b{index}" in nodes.reads
        if must_pass and reached[index] and is_read and not any(depend(alone, [False] * len(weights))):
            raise _blocked(layer, index)
    return depend(reached, weights)


def nodes_input(shape: Shape, needed: bool) -> torch.Tensor:
    """Give a tensor without numbers."""
    return torch.empty(shape, device=META, requires_grad=needed)


def _blocked(layer: Layer, bottom: int) -> ModelError:
    return ModelError(
        f"{layer.type} lets no gradient through to its bottom '{layer.bottoms[bottom]}'",
        hint="set lr_mult: 0 for the weights before it, or propagate_down: false here",
    )
