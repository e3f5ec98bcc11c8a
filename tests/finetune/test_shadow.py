"""Shadow weights: what is one tensor, what is trained, and the way back to a net."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ristretto.errors import ModelError
from ristretto.finetune.shadow import Shadow
from ristretto.layers import BatchNorm, InnerProduct, Input
from ristretto.net import Layer, Net, ParamSpec, Phase, Rule


def net_of(*layers: Layer) -> Net:
    return Net("net", (Layer("data", Input(((2, 3),)), (), ("data",)), *layers))


def ip(name: str, *params: ParamSpec, bias: tuple[int, ...] = (3,), **rest: object) -> Layer:
    rng = np.random.default_rng(len(name))
    blobs = (rng.normal(size=(3, 3)).astype(np.float32), rng.normal(size=bias).astype(np.float32))
    for blob in blobs:
        blob.setflags(write=False)
    return Layer(name, InnerProduct(3), ("data",), (name,), blobs, params=params, **rest)


def test_weights_come_and_go_back_as_they_are() -> None:
    net = net_of(ip("one"), ip("three", bias=(1, 1, 1, 3)))
    shadow = Shadow(net)
    assert list(shadow.tensors) == [("one", 0), ("one", 1), ("three", 0), ("three", 1)]
    back = shadow.blobs(net)
    for layer, old in zip(back, net, strict=True):
        for blob, wanted in zip(layer.blobs, old.blobs, strict=True):
            assert blob.dtype == np.float32
            assert blob.shape == wanted.shape
            assert blob.tobytes() == wanted.tobytes()
            assert not blob.flags.writeable


def test_a_change_shows_in_the_next_net_only() -> None:
    net = net_of(ip("one"))
    shadow = Shadow(net, dtype=torch.float64)
    before, old = shadow.blobs(net), net["one"].blobs[0].copy()
    with torch.no_grad():
        shadow["one", 0].add_(1)
    np.testing.assert_array_equal(net["one"].blobs[0], old)
    np.testing.assert_array_equal(before["one"].blobs[0], old)
    np.testing.assert_allclose(shadow.blobs(net)["one"].blobs[0], old + 1, rtol=1e-6)
    assert shadow["one", 0].dtype == torch.float64


def test_blobs_of_one_name_are_one_tensor() -> None:
    shared = ParamSpec("w")
    net = net_of(ip("one", shared), ip("three", shared, ParamSpec()))
    shadow = Shadow(net)
    assert shadow["three", 0] is shadow["one", 0]
    assert shadow["three", 1] is not shadow["one", 1]
    assert [key for key, _ in shadow.distinct()] == [("one", 0), ("one", 1), ("three", 1)]
    np.testing.assert_array_equal(shadow.blobs(net)["three"].blobs[0], net["one"].blobs[0])


def test_a_shared_blob_keeps_each_layers_shape() -> None:
    net = net_of(ip("one", ParamSpec(), ParamSpec("b")), ip("three", ParamSpec(), ParamSpec("b"), bias=(1, 1, 1, 3)))
    back = Shadow(net).blobs(net)
    assert back["three"].blobs[1].shape == (1, 1, 1, 3)
    np.testing.assert_array_equal(back["three"].blobs[1].reshape(-1), net["one"].blobs[1])


def test_shared_blobs_of_unlike_sizes_are_named() -> None:
    net = net_of(ip("one", ParamSpec(), ParamSpec("b")), ip("three", ParamSpec(), ParamSpec("b"), bias=(4,)))
    with pytest.raises(ModelError, match=r"layer 'three': weight blob 1 of shape \(4,\) shares one of shape \(3,\)"):
        Shadow(net)


def test_layers_of_one_name_in_two_phases_have_the_same_weights() -> None:
    phases = [replace(ip("one"), include=(Rule(phase),)) for phase in (Phase.TRAIN, Phase.TEST)]
    net = net_of(*phases)
    shadow = Shadow(net)
    assert list(shadow.tensors) == [("one", 0), ("one", 1)]
    with torch.no_grad():
        shadow["one", 0].fill_(2)
    assert all((layer.blobs[0] == 2).all() for layer in shadow.blobs(net) if layer.blobs)


def test_what_gradients_do_not_change_asks_for_none() -> None:
    sums = tuple(np.ones(n, np.float32) for n in (3, 3, 1))
    net = net_of(ip("one", ParamSpec(lr_mult=0)), Layer("bn", BatchNorm(), ("one",), ("bn",), sums))
    asks = {key: tensor.requires_grad for key, tensor in Shadow(net).tensors.items()}
    assert asks == {("one", 0): False, ("one", 1): True, ("bn", 0): False, ("bn", 1): False, ("bn", 2): False}
