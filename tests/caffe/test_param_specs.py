"""Rates, loss weights and propagate_down from prototxts of every version."""

from __future__ import annotations

from pathlib import Path

import pytest

from ristretto.caffe.reader import read_model
from ristretto.net import Layer, ParamSpec

HEAD = 'input: "data" input_dim: [1, 3, 8, 8]\n'
TODAY = HEAD + (
    'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" %s '
    "convolution_param { num_output: 2 kernel_size: 3 } }"
)
V1 = HEAD + (
    'layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" %s '
    "convolution_param { num_output: 2 kernel_size: 3 } }"
)
V0 = HEAD + ('layers { layer { name: "conv" type: "conv" num_output: 2 kernelsize: 3 %s } bottom: "data" top: "conv" }')


def conv(tmp_path: Path, text: str) -> Layer:
    (tmp_path / "net").write_text(text)
    return read_model(tmp_path / "net").net["conv"]


@pytest.mark.parametrize(
    ("today", "older", "params"),
    [
        ("", "", ()),
        ("param { lr_mult: 2 }", "blobs_lr: 2", (ParamSpec("", 2, 1),)),
        ("param { decay_mult: 0 }", "weight_decay: 0", (ParamSpec("", 1, 0),)),
        (
            "param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }",
            "blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0",
            (ParamSpec("", 1, 1), ParamSpec("", 2, 0)),
        ),
        (
            "param { lr_mult: 0 } param { lr_mult: 0.5 decay_mult: 3 }",
            "weight_decay: 1 weight_decay: 3 blobs_lr: 0 blobs_lr: 0.5",
            (ParamSpec("", 0, 1), ParamSpec("", 0.5, 3)),
        ),
        # The second blob's rate is the default.
        ("param { lr_mult: 5 } param { decay_mult: 0 }", "blobs_lr: 5 weight_decay: 1 weight_decay: 0", None),
    ],
)
def test_rates_are_the_same_in_every_version(
    tmp_path: Path, today: str, older: str, params: tuple[ParamSpec, ...] | None
) -> None:
    wanted = conv(tmp_path, TODAY % today).params
    assert wanted == (params if params is not None else (ParamSpec("", 5, 1), ParamSpec("", 1, 0)))
    assert conv(tmp_path, V1 % older).params == wanted
    assert conv(tmp_path, V0 % older).params == wanted


def test_names_and_rates_stand_together(tmp_path: Path) -> None:
    wanted = (ParamSpec("w", 3), ParamSpec("", 1), ParamSpec("b"))
    found = conv(tmp_path, TODAY % 'param { name: "w" lr_mult: 3 } param { } param { name: "b" }')
    assert found.params == wanted
    assert found.shared == ("w", "b")
    assert conv(tmp_path, V1 % 'param: "w" param: "" param: "b" blobs_lr: 3 blobs_lr: 1').params == wanted


def test_loss_weights_are_the_same_in_both_versions(tmp_path: Path) -> None:
    assert conv(tmp_path, TODAY % "loss_weight: 0.25 loss_weight: 0").loss_weights == (0.25, 0)
    assert conv(tmp_path, V1 % "loss_weight: 0.25 loss_weight: 0").loss_weights == (0.25, 0)
    assert conv(tmp_path, TODAY % "").loss_weights == ()


def test_propagate_down_is_read(tmp_path: Path) -> None:
    assert conv(tmp_path, TODAY % "propagate_down: false").propagate_down == (False,)
    assert conv(tmp_path, TODAY % "").propagate_down == ()
