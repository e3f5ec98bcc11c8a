"""The frozen net and its words."""

from ristretto.net.fields import Fields
from ristretto.net.filler import Filler
from ristretto.net.net import Layer, Net
from ristretto.net.op import Geometry, OnnxNode, Op, Part, Shape
from ristretto.net.phase import NetState, Phase, Rule
from ristretto.net.quant import LayerQuant, QuantSpec, Scheme

__all__ = [
    "Fields",
    "Filler",
    "Geometry",
    "Layer",
    "LayerQuant",
    "Net",
    "NetState",
    "OnnxNode",
    "Op",
    "Part",
    "Phase",
    "QuantSpec",
    "Rule",
    "Scheme",
    "Shape",
]
