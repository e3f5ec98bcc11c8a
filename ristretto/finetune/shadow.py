"""Shadow: the float weights that training updates while the net computes with trimmed ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ristretto.errors import ModelError
from ristretto.net import Layer, Net
from ristretto.net.op import Array
from ristretto.passes import SetWeights

Key = tuple[str, int]
"""A layer's name, and the index of one of its weight blobs."""


def is_trained(layer: Layer, blob: int) -> bool:
    """Whether gradients change a weight blob: not with a learning rate of 0, nor what the layer keeps by itself."""
    return layer.op.learns and layer.param(blob).lr_mult != 0


class Shadow:
    """The float weights of a net as torch tensors.

    Blobs that share a name (``param { name: "..." }``) are one tensor, that of the first of them; layers of one name
    in several phases have the same, as in Caffe.

    Parameters
    ----------
    net : Net
        Of one phase or of all, with its weights.
    dtype : torch.dtype
        float32, or float64 in tests.
    device : torch.device or str

    Attributes
    ----------
    tensors : dict of (str, int) to Tensor
        By layer name and blob index, in the net's order, real units; those that are trained have ``requires_grad``.

    Raises
    ------
    ModelError
        When blobs that share a name, or belong to one layer in two phases, do not have as many numbers.
    """

    def __init__(self, net: Net, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> None:
        self.tensors: dict[Key, Tensor] = {}
        owners: dict[str, Key] = {}
        for layer in net:
            for index, blob in enumerate(layer.blobs):
                key, name = (layer.name, index), layer.param(index).name
                owner = owners.setdefault(name, key) if name else key
                if owner not in self.tensors:
                    # A copy: the net's own arrays are read-only, and stay as they are.
                    tensor = torch.tensor(np.asarray(blob), dtype=dtype, device=device)
                    self.tensors[owner] = tensor.requires_grad_(is_trained(layer, index))
                shared = self.tensors.setdefault(key, self.tensors[owner])
                if shared.numel() != blob.size:
                    raise ModelError(
                        f"weight blob {index} of shape {blob.shape} shares one of shape {tuple(shared.shape)}",
                        layer=layer.name,
                        hint="blobs of one name must have as many numbers",
                    )

    def __getitem__(self, key: Key) -> Tensor:
        return self.tensors[key]

    def layer(self, layer: Layer) -> tuple[Tensor, ...]:
        """Give the blobs of a layer, in order; a shared one in its owner's shape. None without weights."""
        found: list[Tensor] = []
        while (key := (layer.name, len(found))) in self.tensors:
            found.append(self.tensors[key])
        return tuple(found)

    def distinct(self) -> Iterator[tuple[Key, Tensor]]:
        """Give every tensor once, under the first of its keys."""
        seen: set[int] = set()
        for key, tensor in self.tensors.items():
            if id(tensor) not in seen:
                seen.add(id(tensor))
                yield key, tensor

    def blobs(self, net: Net) -> Net:
        """Give a net with the present values as its weights, float32 and read-only, in the shapes that it has.

        Layers that are not here, as those of another phase, keep their own.
        """
        held = [layer for layer in net if layer.blobs and (layer.name, 0) in self.tensors]
        return SetWeights({layer.name: self._arrays(layer) for layer in held})(net)

    def _arrays(self, layer: Layer) -> tuple[Array, ...]:
        return tuple(
            tensor.detach().cpu().to(torch.float32).numpy().reshape(blob.shape).copy()
            for tensor, blob in zip(self.layer(layer), layer.blobs, strict=True)
        )
