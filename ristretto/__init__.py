"""Condense trained Caffe nets to fixed point, without Caffe.

>>> import ristretto
>>> from ristretto import Part
>>> net = ristretto.load("models/lenet/train_val.prototxt", "models/lenet/lenet.caffemodel")
>>> quantized = net.quantize(bits={Part.CONV_PARAMS: 4, Part.FC_PARAMS: 4, Part.ACTIVATIONS: 8}, iterations=2)
>>> quantized.within_margin
True
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ristretto.data import Preparation
    from ristretto.errors import RistrettoError
    from ristretto.model import FinetunedModel, Model, QuantizedModel, load
    from ristretto.net import Part
    from ristretto.search.refine import Techniques
    from ristretto.search.sites import Kept

__version__ = "0.1.0"

__all__ = [
    "FinetunedModel",
    "Kept",
    "Model",
    "Part",
    "Preparation",
    "QuantizedModel",
    "RistrettoError",
    "Techniques",
    "__version__",
    "load",
]

_ROOMS = {
    "FinetunedModel": "model",
    "Kept": "search.sites",
    "Model": "model",
    "Part": "net",
    "Preparation": "data",
    "QuantizedModel": "model",
    "RistrettoError": "errors",
    "Techniques": "search.refine",
    "load": "model",
}
"""Where each public name comes from, when it is first asked for: to import them all takes a second."""


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
