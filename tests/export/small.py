"""Small nets with given numbers, to be exported."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ristretto.export import EXPORTERS, Exported, Subject
from ristretto.formats import EXACT, Arithmetic, Format
from ristretto.layers import InnerProduct, Input
from ristretto.net import Layer, LayerQuant, Net, Phase


def chain(
    weights: np.ndarray, bias: Sequence[float] | None, *formats: Format, name: str = "ip", pictures: int = 1
) -> Net:
    """Give a net of one inner product: formats of its input, its weights and its output."""
    layer_in, params, layer_out = formats
    outputs, inputs = weights.shape
    blobs = (np.float32(weights), *(() if bias is None else (np.float32(bias),)))
    op = InnerProduct(outputs, bias_term=bias is not None)
    layers = (
        Layer("data", Input(((pictures, inputs),)), (), ("data",)),
        Layer(name, op, ("data",), ("top",), blobs, quant=LayerQuant(layer_in, layer_out, params)),
    )
    return Net("small", layers).for_phase(Phase.TEST)


def exported(net: Net, x: np.ndarray | None = None, kind: str = "integers", arithmetic: Arithmetic = EXACT) -> Exported:
    """Export a net, with golden vectors of one blob where it is given."""
    shape = net.layers[0].op.declared_shape(0)
    assert shape is not None
    pictures = None if x is None else {"data": np.float32(x)}
    return EXPORTERS[kind]().export(Subject(net, {"data": shape}, pictures, arithmetic))
