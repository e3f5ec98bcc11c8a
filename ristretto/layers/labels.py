"""Labels: the true class of each picture, as layers that score a net read them."""

from __future__ import annotations

from ristretto.errors import ModelError
from ristretto.net.op import Array


def check_labels(labels: Array, classes: int) -> None:
    """Raise a ModelError when a label, a whole number, is none of the classes 0 .. `classes` - 1."""
    wrong = labels[(labels < 0) | (labels >= classes)]
    if wrong.size:
        raise ModelError(f"label {wrong[0]} where the net has {classes} classes", hint="does the data fit the net?")
