"""Factors and summands for each channel, worked into the weights of a multiply-accumulate layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ristretto.errors import ModelError
from ristretto.net.op import Array

_BELONGS = "does the caffemodel belong to this prototxt?"


def scaled_blobs(
    blobs: Sequence[Array],
    factors: Array,
    summands: Array,
    *,
    view: Sequence[int],
    aligned: Sequence[int],
    bias_term: bool,
) -> tuple[Array, ...]:
    """Give weights, and a bias where one is needed, that make ``factors * top + summands``.

    Parameters
    ----------
    blobs : sequence of arrays
        The weights, and the bias if there is one.
    factors, summands : float64 arrays, (channels,)
    view : sequence of int
        The shape in which the weights have an axis, or two, for the outputs; one length may be -1.
    aligned : sequence of int
        The shape of the factors over that view.
    bias_term : bool
        Whether there is a bias.

    Returns
    -------
    tuple of float64 arrays
        In the shapes of `blobs`.

    Raises
    ------
    ModelError
        When weights are missing or do not fit.
    """
    if not blobs:
        raise ModelError("no weights", hint=_BELONGS)
    if len(blobs) != 1 + bias_term:
        raise ModelError(f"{len(blobs)} weight blobs where {1 + bias_term} are needed", hint=_BELONGS)
    weights, *bias = blobs
    if weights.size % factors.size or any(blob.size != factors.size for blob in bias):
        shapes = ", ".join(str(blob.shape) for blob in blobs)
        raise ModelError(f"weights of shapes {shapes} for {factors.size} outputs", hint=_BELONGS)
    result = (np.asarray(weights, np.float64).reshape(view) * factors.reshape(aligned)).reshape(weights.shape)
    if bias:
        summands = np.asarray(bias[0], np.float64).reshape(-1) * factors + summands
        return result, summands.reshape(bias[0].shape)
    return (result, summands) if summands.any() else (result,)
