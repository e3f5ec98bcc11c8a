"""Small nets for questions about hardware: a quantized convolution, something, and another one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ristretto.formats import FixedPoint
from ristretto.layers import Convolution, Input
from ristretto.net import Layer, LayerQuant, Net, Phase

SHAPE = (2, 2, 6, 6)
QUANT = LayerQuant(FixedPoint(8, 4), FixedPoint(8, 4), FixedPoint(8, 6))


def conv(name: str, bottom: str, quant: LayerQuant | None = QUANT, channels: int = 2, seed: int = 0) -> Layer:
    """Give a convolution of one pixel with random weights."""
    rng = np.random.default_rng(seed)
    blobs = (rng.normal(0, 0.5, (2, channels, 1, 1)).astype(np.float32), rng.normal(0, 0.5, 2).astype(np.float32))
    return Layer(name, Convolution(2, (1, 1)), (bottom,), (name,), blobs, quant=quant)


def net_of(*layers: Layer, shape: Sequence[int] = SHAPE) -> Net:
    """Give a net of the TEST phase that begins with the blob ``data``."""
    return Net("chain", (Layer("data", Input((tuple(shape),)), (), ("data",)), *layers)).for_phase(Phase.TEST)


def picture(seed: int = 0, shape: Sequence[int] = SHAPE) -> dict[str, np.ndarray]:
    """Give a batch for it, wider than its formats."""
    return {"data": np.random.default_rng(seed).normal(0, 4, shape).astype(np.float32)}
