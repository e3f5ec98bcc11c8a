"""Labels: the true class of each picture, as layers that score a net read them."""

from __future__ import annotations

import numpy as np

from ristretto.errors import ModelError
from ristretto.net.op import FLOAT32, Array, OnnxNode, Shape


def check_labels(labels: Array, classes: int) -> None:
    """Raise a ModelError when a label, a whole number, is none of the classes 0 .. `classes` - 1."""
    wrong = labels[(labels < 0) | (labels >= classes)]
    if wrong.size:
        raise ModelError(f"label {wrong[0]} where the net has {classes} classes", hint="does the data fit the net?")


def kept_nodes(labels: str, shape: Shape, ignored: int | None) -> tuple[OnnxNode, ...]:
    """Give the ONNX nodes of ``kept``: which of some whole labels count, all but those of the ignored class."""
    if ignored is None:
        return (OnnxNode("Identity", ("all",), ("kept",), constants={"all": np.ones(shape, bool)}),)
    constants = {"ignored": np.array(ignored, np.int64)}
    return (
        OnnxNode("Equal", (labels, "ignored"), ("dropped",), constants=constants),
        OnnxNode("Not", ("dropped",), ("kept",)),
    )


def count_nodes(count: int | None) -> tuple[OnnxNode, ...]:
    """Give the ONNX nodes of ``count``, what a sum over labels is divided by: at least 1; None counts ``kept``."""
    if count is not None:
        number = {"fixed": np.array(max(count, 1), np.float32)}
        return (OnnxNode("Identity", ("fixed",), ("count",), constants=number),)
    return (
        OnnxNode("Cast", ("kept",), ("ones",), {"to": FLOAT32}),
        OnnxNode("ReduceSum", ("ones",), ("valid",), {"keepdims": 0}),
        OnnxNode("Max", ("valid", "least"), ("count",), constants={"least": np.ones((), np.float32)}),
    )
