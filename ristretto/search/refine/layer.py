"""A layer's weights as rows of numbers, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ristretto.net import Geometry, Layer
from ristretto.net.op import Array

Float64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rows:
    """The weights of a multiply-accumulate layer, bias last.

    Parameters
    ----------
    layer : Layer
    walk : Geometry
    """

    layer: Layer
    walk: Geometry

    @property
    def has_bias(self) -> bool:
        """Whether the layer has a bias."""
        return len(self.layer.blobs) > 1

    def groups(self, shift: float = 0.0) -> list[Float64]:
        """Give each group's weights, (outputs, terms + 1), in real units; `shift` is added to every bias."""
        weights = self.layer.op.weight_rows(self.layer.blobs[0], self.walk)
        bias = self.layer.blobs[1].reshape(-1) if self.has_bias else np.zeros(len(weights))
        rows = np.concatenate([weights, bias[:, None]], axis=1, dtype=np.float64)
        rows[:, -1] += shift
        return np.split(rows, self.walk.groups)

    def blobs(self, groups: list[Float64]) -> tuple[Array, ...]:
        """Give the layer's blobs from the weights of its groups."""
        rows = np.concatenate(groups).astype(np.float32)
        old = self.layer.blobs
        # Where each number of the blob went, as `weight_rows` has it.
        places = self.layer.op.weight_rows(np.arange(old[0].size).reshape(old[0].shape), self.walk)
        weights = np.empty(old[0].size, np.float32)
        weights[places.reshape(-1)] = rows[:, :-1].reshape(-1)
        new = [weights.reshape(old[0].shape)]
        if self.has_bias:
            new.append(rows[:, -1].reshape(old[1].shape).copy())
        return tuple(new)
