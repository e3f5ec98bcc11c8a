"""The frozen net and its words."""

from ristretto.net.fields import Fields
from ristretto.net.filler import Filler
from ristretto.net.net import Layer, Net
from ristretto.net.op import Geometry, OnnxNode, Op, Part, Shape
from ristretto.net.param import ParamSpec
from ristretto.net.phase import NetState, Phase, Rule
from ristretto.net.quant import LayerQuant, QuantSpec, Scheme
from ristretto.net.solver import NetTest, SnapshotFormat, Solver

__all__ = [
    "Fields",
    "Filler",
    "Geometry",
    "Layer",
    "LayerQuant",
    "Net",
    "NetState",
    "NetTest",
    "OnnxNode",
    "Op",
    "ParamSpec",
    "Part",
    "Phase",
    "QuantSpec",
    "Rule",
    "Scheme",
    "Shape",
    "SnapshotFormat",
    "Solver",
]
