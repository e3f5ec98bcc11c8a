"""A layer's weights as integers, however wide."""

from __future__ import annotations

import numpy as np

from ristretto.execute.compiled.piece import Codes
from ristretto.formats import Arithmetic, FixedPoint, Format, PowerOfTwo
from ristretto.net import Layer

LONGEST_STEP = 62
"""Bits up to which powers of two are kept in numpy's integers; beyond, in Python's."""


def weight_codes(layer: Layer, params: Format, arithmetic: Arithmetic) -> Codes | None:
    """Give a layer's weights as integers, and its bias; None where the format has no grid.

    Parameters
    ----------
    layer : Layer
        With float weights, or trimmed ones.
    params : Format
    arithmetic : Arithmetic
        Where halves go.

    Returns
    -------
    Codes or None
        Powers of two in steps of the smallest; the bias beside them, which has no format, as float64.

    Raises
    ------
    FormatError
        When a weight is NaN.
    """
    if isinstance(params, FixedPoint):
        blobs = [params.encode(blob, arithmetic) for blob in layer.blobs]
        bias = blobs[1].reshape(-1) if len(blobs) > 1 else np.zeros(1)
        return Codes(blobs[0], params.bw, params.fl, bias.astype(np.int64))
    if isinstance(params, PowerOfTwo):
        codes = params.encode(layer.blobs[0], arithmetic)
        span = params.exp_max - params.exp_min
        kind = object if span >= LONGEST_STEP else np.int64
        steps = np.sign(codes).astype(kind) << (np.abs(codes) - 1).astype(kind)
        bias = layer.blobs[1].reshape(-1) if len(layer.blobs) > 1 else np.zeros(1)
        return Codes(steps, span + 2, -params.exp_min, bias.astype(np.float64))
    return None
