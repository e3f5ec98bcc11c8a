"""Limits: how large a net's blobs and sums may be, so that a slip of the finger does not take the machine down."""

from __future__ import annotations

import math

from ristretto.errors import ModelError
from ristretto.net.op import Geometry, Shape

MOST_NUMBERS, MOST_WEIGHTS = 1 << 28, 1 << 27
"""Numbers in a top and in a blob of weights: 1 GiB and half of that as float32. The first top of VGG-16 has 161 million
at 50 pictures, its largest weights 103 million. What a slip of the finger or a damaged file asks for has far more, and
must not take the machine down. Weights have less, as onnxruntime holds up to four copies while it is prepared."""
MOST_TERMS = 1 << 22
"""Products in one sum. VGG-16's longest sum has 25,088; windows are copied into rows of so many numbers."""


def check_walk(bottom: Shape, walk: Geometry) -> None:
    """Raise a ModelError when a window walks over far too much, or takes in too much at once."""
    check_size("its padded bottom", (math.prod(bottom) // max(math.prod(walk.in_shape), 1), *walk.walked))
    if walk.terms > MOST_TERMS:
        raise ModelError(f"sums of {walk.terms} products, more than {MOST_TERMS}", hint="correct the kernel's size")


def check_size(what: str, shape: Shape, most: int = MOST_NUMBERS) -> None:
    """Raise a ModelError when a blob would hold too much.

    Parameters
    ----------
    what : str
        The blob, as the message calls it.
    shape : shape
    most : int
        Numbers.
    """
    if math.prod(shape) > most:
        raise ModelError(
            f"{what} of shape {shape} has more than {most} numbers",
            hint="correct the settings that make it so large, batch_size among them",
        )
