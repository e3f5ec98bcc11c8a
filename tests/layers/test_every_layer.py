"""What every layer type keeps, whoever wrote it: a place in LAYERS, a test with its own oracle, words about itself."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import ristretto.layers
from ristretto.layers import LAYERS
from ristretto.net import Op

TESTS = Path(__file__).parent
NAMES = [layer.__name__ for layer in LAYERS]

SHARED_TESTS = {
    "dummy_data": "test_data_layers",
    "hdf5_data": "test_data_layers",
    "image_data": "test_data_layers",
    "memory_data": "test_data_layers",
    "convolution_depthwise": "test_depthwise_convolution",
}
"""Layer types whose test stands in another's file; every other one has a file of its own."""


def written_here(module_name: str) -> list[type[Op]]:
    """Give the layer types that a module of `ristretto.layers` defines."""
    module = importlib.import_module(f"ristretto.layers.{module_name}")
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, Op) and value.__module__ == module.__name__
    ]


def test_every_file_holds_one_layer_type_that_is_registered() -> None:
    found = {module.name: written_here(module.name) for module in pkgutil.iter_modules(ristretto.layers.__path__)}
    concrete = [layer for layers in found.values() for layer in layers if not inspect.isabstract(layer)]
    assert set(concrete) == set(LAYERS)
    assert all(len(layers) <= 1 for layers in found.values())


def test_types_are_registered_once_in_alphabetical_order() -> None:
    types = [layer.type for layer in LAYERS]
    assert types == sorted(set(types), key=str.lower)


@pytest.mark.parametrize("layer", LAYERS, ids=NAMES)
def test_a_layer_type_has_a_test_with_an_oracle(layer: type[Op]) -> None:
    module = layer.__module__.rpartition(".")[2]
    path = TESTS / f"{SHARED_TESTS.get(module, f'test_{module}')}.py"
    assert path.exists(), f"{layer.type} has no test: write tests/layers/{path.name} (docs/add-a-layer.md)"
    text = path.read_text("utf-8")
    if not layer.is_data:
        assert "check(" in text, f"{path.name} holds no case of {layer.type} to an oracle: call the fixture `check`"


@pytest.mark.parametrize("layer", LAYERS, ids=NAMES)
def test_a_layer_type_is_a_frozen_value_with_words_about_it(layer: type[Op]) -> None:
    assert dataclasses.is_dataclass(layer)
    assert layer.__dataclass_params__.frozen
    assert layer.__doc__
    assert not layer.__doc__.startswith(f"{layer.__name__}(")


@pytest.mark.parametrize("layer", [layer for layer in LAYERS if layer.quantized_type], ids=lambda op: op.__name__)
def test_a_layer_type_that_can_be_quantized_belongs_to_a_part_or_has_no_weights(layer: type[Op]) -> None:
    walks = layer.geometry is not Op.geometry
    assert walks is (layer.part is not None)


@pytest.mark.parametrize("layer", LAYERS, ids=NAMES)
def test_only_a_loss_or_a_sink_may_have_no_top(layer: type[Op]) -> None:
    """Caffe makes up a top for a loss that names none."""
    assert (layer.fewest_tops == 0) is (layer.higher_is_better is False or layer.type == "Silence")
