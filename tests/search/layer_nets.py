"""Nets for tests of widths of layers."""

from __future__ import annotations

import numpy as np

from ristretto.layers import Accuracy, Concat, Convolution, Eltwise, InnerProduct, Input, Pooling, ReLU, Softmax
from ristretto.net import Layer, Net, Phase
from ristretto.net.op import Array

SHAPES = {"data": (4, 2, 6, 6), "label": (4,)}


def blobs(*shape: int, seed: int = 0) -> tuple[Array, Array]:
    """Give weights and a bias."""
    rng = np.random.default_rng((seed, *shape))
    weights = rng.normal(scale=1 / np.sqrt(np.prod(shape[1:])), size=shape)
    return weights.astype(np.float32), rng.normal(scale=0.1, size=shape[0]).astype(np.float32)


def max_pooling() -> Pooling:
    """Give a pooling of 2 by 2."""
    return Pooling("MAX", (2, 2), (2, 2))


def small_net() -> Net:
    """Give two convolutions, pooling between them, and an inner product that an accuracy reads."""
    return Net(
        "small",
        (
            Layer("numbers", Input(tuple(SHAPES.values())), (), ("data", "label")),
            Layer("conv1", Convolution(3, (3, 3)), ("data",), ("conv1",), blobs(3, 2, 3, 3)),
            Layer("relu1", ReLU(), ("conv1",), ("conv1",)),
            Layer("pool1", max_pooling(), ("conv1",), ("pool1",)),
            Layer("conv2", Convolution(5, (1, 1), bias_term=False), ("pool1",), ("conv2",), blobs(5, 3, 1, 1)[:1]),
            Layer("ip", InnerProduct(4), ("conv2",), ("ip",), blobs(4, 20)),
            Layer("accuracy", Accuracy(), ("ip", "label"), ("accuracy",)),
        ),
    ).for_phase(Phase.TEST)


def branched_net() -> Net:
    """Give a net that forks: a shortcut around a convolution, then two convolutions side by side."""
    one = Convolution(2, (1, 1), bias_term=False)
    return Net(
        "branched",
        (
            Layer("numbers", Input(tuple(SHAPES.values())), (), ("data", "label")),
            Layer("stem", one, ("data",), ("stem",), blobs(2, 2, 1, 1)[:1]),
            Layer("inner", one, ("stem",), ("inner",), blobs(2, 2, 1, 1, seed=1)[:1]),
            Layer("sum", Eltwise("SUM"), ("stem", "inner"), ("sum",)),
            Layer("left", one, ("sum",), ("left",), blobs(2, 2, 1, 1, seed=2)[:1]),
            Layer("right", one, ("sum",), ("right",), blobs(2, 2, 1, 1, seed=3)[:1]),
            Layer("joined", Concat(), ("left", "right"), ("joined",)),
            Layer("ip", InnerProduct(4, bias_term=False), ("joined",), ("ip",), blobs(4, 144)[:1]),
            Layer("prob", Softmax(), ("ip",), ("prob",)),
            Layer("accuracy", Accuracy(), ("prob", "label"), ("accuracy",)),
        ),
    ).for_phase(Phase.TEST)
