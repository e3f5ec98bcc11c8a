"""What becomes of a layer's output in the layers that it goes through alone, up to pooling by a mean or LRN."""

from __future__ import annotations

from collections.abc import Sequence

from ristretto.net import Layer, Net, Shape
from ristretto.net.form import Form, InFloat, Response, Window
from ristretto.net.op import Array


def layers_behind(net: Net, layer: Layer, shape: Shape) -> tuple[Layer, ...]:
    """Give the layers that an output goes through, one after the other: each alone reads what the one before makes.

    Parameters
    ----------
    net : Net
        Of one phase, with weights.
    layer : Layer
        A layer of this net, which makes one blob.
    shape : shape
        Of that blob.

    Returns
    -------
    tuple of Layer
        Up to the last one whose results each depend on many numbers: pooling by a mean, or LRN. None where there is
        none: what becomes of a number is known then without the others.
    """
    found: list[Layer] = []
    last = 0
    readers = net.consumers(layer)
    while len(readers) == 1 and (form := _form_alone(readers[0], shape)):
        (reader,) = readers
        found.append(reader)
        if isinstance(form, Response) or (isinstance(form, Window) and form.mean):
            last = len(found)
        (shape,) = reader.op.infer([shape])
        readers = net.consumers(reader)
    return tuple(found[:last])


def _form_alone(layer: Layer, shape: Shape) -> Form | None:
    """Give the form of a layer that makes one blob of one and is not quantized; None for others, and for scores."""
    alone = len(layer.bottoms) == len(layer.tops) == 1 and layer.op.part is None
    form = layer.op.form([shape]) if alone else None
    return None if isinstance(form, InFloat) else form


def run_behind(layers: Sequence[Layer], x: Array) -> Array:
    """Give what layers make of a blob, one after the other."""
    for layer in layers:
        (x,) = layer.op.forward([x], layer.blobs)
    return x
