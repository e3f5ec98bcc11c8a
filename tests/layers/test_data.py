"""Data: settings, as the layer holds them."""

from __future__ import annotations

import pytest

from ristretto.errors import ModelError
from ristretto.layers.data import Data, Transform

TEXT = 'type: "Data" top: "data" top: "label" data_param {{ {} }} {}'


def test_it_has_caffes_defaults(layer) -> None:
    op = layer(TEXT.format('source: "db" batch_size: 5', ""))
    assert op == Data("db", 5, "LEVELDB", 0, Transform(1.0, False, 0, "", (), False, False))
    assert op.is_data
    assert op.bottom_counts() == (0, 0)
    assert op.declared_shape(0) is None


def test_it_holds_its_settings(layer) -> None:
    transform = """transform_param { scale: 0.5 mirror: true crop_size: 16 mean_file: "m" mean_value: 1 mean_value: 2
        force_color: true force_gray: true }"""
    op = layer(TEXT.format('source: "db" batch_size: 5 backend: LMDB rand_skip: 3', transform))
    assert op == Data("db", 5, "LMDB", 3, Transform(0.5, True, 16, "m", (1.0, 2.0), True, True))


def test_a_batch_of_nothing_is_named(layer) -> None:
    with pytest.raises(ModelError, match="batch_size must be at least 1"):
        layer(TEXT.format('source: "db"', ""))


def test_its_tops_come_from_outside(layer) -> None:
    with pytest.raises(TypeError, match="come from outside"):
        layer(TEXT.format('source: "db" batch_size: 5', "")).forward([], [])


@pytest.mark.parametrize("setting", ["resize_param { height: 300 width: 300 }", "crop_h: 4", "crop_w: 4"])
@pytest.mark.parametrize("kind", ["Data", "ImageData", "MemoryData"])
def test_settings_of_the_ssd_fork_are_refused(layer, setting: str, kind: str) -> None:
    block = {"Data": "data_param", "ImageData": "image_data_param", "MemoryData": "memory_data_param"}[kind]
    sizes = "channels: 1 height: 2 width: 2" if kind == "MemoryData" else ""
    text = f'type: "{kind}" top: "data" {block} {{ batch_size: 5 {sizes} }} transform_param {{ {setting} }}'
    with pytest.raises(ModelError, match=f"{setting.split()[0].rstrip(':')} in transform_param is not supported"):
        layer(text)


@pytest.mark.parametrize("setting", ["scale: 0.5", 'mean_file: "m"', "crop_size: 4", "mirror: true", "scale: 1"])
@pytest.mark.parametrize("kind", ["Data", "ImageData"])
def test_legacy_settings_that_caffe_passes_over_are_refused(layer, setting: str, kind: str) -> None:
    block = {"Data": "data_param", "ImageData": "image_data_param"}[kind]
    name = setting.split(":")[0]
    with pytest.raises(ModelError, match=f"{name} in {block} has no effect in Caffe") as caught:
        layer(f'type: "{kind}" top: "data" {block} {{ batch_size: 5 {setting} }}')
    assert caught.value.hint == f"move {name} to transform_param"


def test_the_older_name_of_force_color_counts(layer) -> None:
    assert layer(TEXT.format("batch_size: 5 force_encoded_color: true", "")).transform.force_color
