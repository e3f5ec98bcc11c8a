"""What the tests of the layer types ask for; the checks themselves are in ``tests/battery.py``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ristretto.net import Op
from tests.battery import check_layer, check_misfit, parse_layer, run_onnx


@pytest.fixture(scope="session")
def layer() -> Callable[..., Op]:
    """From a layer's text to its operation."""
    return parse_layer


@pytest.fixture(scope="session")
def onnx_tops() -> Callable[..., list[np.ndarray]]:
    """From an operation, bottoms and blobs to the tops that onnxruntime gives."""
    return run_onnx


@pytest.fixture(scope="session")
def check() -> Callable[..., None]:
    """Hold a layer to the tops that a plain loop gives."""
    return check_layer


@pytest.fixture(scope="session")
def misfit() -> Callable[..., None]:
    """See that a layer refuses bottoms of some shapes, and says why."""
    return check_misfit


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers in every run."""
    return np.random.default_rng(20160406)
