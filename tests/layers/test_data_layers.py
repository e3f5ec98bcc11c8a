"""ImageData, HDF5Data, MemoryData and DummyData: settings, as the layers hold them."""

from __future__ import annotations

import pytest

from ristretto.errors import ModelError
from ristretto.layers.dummy_data import DummyData
from ristretto.layers.hdf5_data import HDF5Data
from ristretto.layers.image_data import ImageData
from ristretto.layers.memory_data import MemoryData
from ristretto.net import Filler

IMAGES = 'type: "ImageData" top: "data" top: "label" image_data_param {{ {settings} }}'
HDF5 = 'type: "HDF5Data" top: "data" hdf5_data_param {{ {settings} }}'
MEMORY = 'type: "MemoryData" top: "data" top: "label" memory_data_param {{ {settings} }}'
DUMMY = 'type: "DummyData" top: "a" top: "b" dummy_data_param {{ {settings} }}'


def test_image_data_holds_its_settings(layer) -> None:
    settings = """source: "list.txt" batch_size: 5 rand_skip: 3 shuffle: true new_height: 20 new_width: 30
        is_color: false root_folder: "pictures/" """
    op = layer(IMAGES.format(settings=settings) + " transform_param { scale: 0.5 crop_size: 16 }")
    assert op == ImageData("list.txt", 5, 3, True, 20, 30, False, "pictures/", op.transform)
    assert (op.transform.scale, op.transform.crop_size) == (0.5, 16)
    assert op.is_data
    assert op.bottom_counts() == (0, 0)
    assert op.declared_shape(0) is None


def test_image_data_has_caffes_defaults(layer) -> None:
    assert layer(IMAGES.format(settings='source: "list.txt"')) == ImageData("list.txt")


def test_hdf5_data_holds_its_settings(layer) -> None:
    op = layer(HDF5.format(settings='source: "files.txt" batch_size: 7 shuffle: true'))
    assert op == HDF5Data("files.txt", 7, True)
    assert op.is_data


def test_memory_data_declares_its_shapes(layer) -> None:
    op = layer(MEMORY.format(settings="batch_size: 5 channels: 3 height: 6 width: 7"))
    assert op == MemoryData(5, 3, 6, 7, op.transform)
    assert (op.declared_shape(0), op.declared_shape(1)) == ((5, 3, 6, 7), (5,))


@pytest.mark.parametrize(
    ("settings", "shapes"),
    [
        ("shape { dim: [2, 3] }", ((2, 3), (2, 3))),
        ("shape { dim: [2, 3] } shape { dim: 4 }", ((2, 3), (4,))),
        ("shape { }", ((), ())),
        ("num: 2 channels: 3 height: 4 width: 5", ((2, 3, 4, 5), (2, 3, 4, 5))),
        ("num: 2 num: 7 channels: 3 height: 4 height: 1 width: 5", ((2, 3, 4, 5), (7, 3, 1, 5))),
    ],
)
def test_dummy_data_declares_its_shapes(layer, settings, shapes) -> None:
    op = layer(DUMMY.format(settings=settings))
    assert (op.declared_shape(0), op.declared_shape(1)) == shapes
    assert op.filler(0) == op.filler(1) == Filler("constant", 0.0)


def test_dummy_data_holds_its_fillers(layer) -> None:
    settings = """shape { dim: 2 }
        data_filler { type: "gaussian" mean: 1 std: 2 sparse: 3 }
        data_filler { type: "uniform" min: -1 max: 4 }"""
    op = layer(DUMMY.format(settings=settings))
    assert op.filler(0) == Filler("gaussian", mean=1, std=2, sparse=3)
    assert op.filler(1) == Filler("uniform", min=-1, max=4)
    one = layer(DUMMY.format(settings='shape { dim: 2 } data_filler { type: "msra" variance_norm: AVERAGE }'))
    assert one.filler(1) == Filler("msra", variance_norm="AVERAGE")
    assert isinstance(one, DummyData)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (IMAGES.format(settings="batch_size: 0"), "batch_size must be at least 1"),
        (IMAGES.format(settings="new_height: 5"), "must stand together"),
        (HDF5.format(settings='source: "x"'), "batch_size must be at least 1"),
        (HDF5.format(settings="batch_size: 1") + " transform_param { scale: 2 }", "takes no transform_param"),
        (MEMORY.format(settings="batch_size: 5 channels: 3 height: 6"), "must be at least 1"),
        (DUMMY.format(settings=""), "no shape"),
        (DUMMY.format(settings="shape { dim: -1 }"), "negative length"),
        (DUMMY.format(settings="shape { dim: 1 } num: 2 channels: 3 height: 4 width: 5"), "shape stands beside"),
        (DUMMY.format(settings="num: 2 channels: 3"), "differ in number"),
        (DUMMY.format(settings="num: [1, 2, 3] channels: 3 height: 4 width: 5"), "3 shapes for 2 tops"),
        (
            DUMMY.format(settings="shape { dim: 1 } data_filler { } data_filler { } data_filler { }"),
            "3 fillers for 2 tops",
        ),
    ],
)
def test_faults_are_named(layer, text, fault) -> None:
    with pytest.raises(ModelError, match=fault):
        layer(text)
