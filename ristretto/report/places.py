"""What formats do to the numbers of each layer's places, as plain data: histograms, losses, memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ristretto.api import Quantized
from ristretto.calibrate import Accumulator, Distribution, LayerStats, TrimLoss
from ristretto.formats import Format
from ristretto.formats.base import FLOAT_BITS
from ristretto.net import Layer, LayerQuant
from ristretto.net.op import Array
from ristretto.net.quant import param_bits
from ristretto.passes import TrimWeights
from ristretto.search.cost import ActivationBits
from ristretto.search.widths import LayerWidths

BINS = 64
"""Most bins of a histogram: enough to see where numbers lie."""


def of_layers(result: Quantized) -> dict[str, dict[str, Any]]:
    """Give each layer's places, by layer name.

    Returns
    -------
    dict
        For ``layer_in``, ``layer_out`` and ``params`` a histogram of the float net's numbers and, where the place has a
        format, what they lose in it: ``sqnr`` in dB (None where nothing is lost), ``mean_square`` and
        ``squared_error`` in squared real units, ``saturated`` as a fraction.
    """
    condensed = TrimWeights()(result.net)
    return {
        name: _places(stats, result.result.spec.layers.get(name), condensed[name])
        for name, stats in result.stats.layers.items()
    }


def of_work(result: Quantized, name: str) -> dict[str, Any]:
    """Give what a layer holds and does for a picture: numbers, multiply-accumulates, and bits of memory.

    Returns
    -------
    dict
        Empty for a layer that the TEST net lacks.
    """
    work = result.workload.layers.get(name)
    if work is None:
        return {}
    outputs = next(blob.numbers for blob in result.workload.blobs if (name, "layer_out") in blob.places)
    return {
        "macs": work.macs,
        "numbers": {"layer_in": work.inputs, "layer_out": outputs, "params": work.parameters},
        "param_bits": _param_bits(result.net[name], result.result.spec.layers.get(name)),
    }


def memory(result: Quantized) -> dict[str, Any]:
    """Give the memory that a net takes, bits: its weights, and the blobs that its quantized layers read and make.

    Weights of layers that cannot be quantized count, too, in float.
    """
    quants = result.result.spec.layers
    everything = sum(row.parameters or 0 for row in result.rows)
    known = {name: work.parameters for name, work in result.workload.layers.items()}
    condensed = sum(_param_bits(result.net[name], quants.get(name)) for name in known)
    widths = {
        name: LayerWidths(*(_bits(fmt) for fmt in (quant.layer_in, quant.layer_out, quant.params)))
        for name, quant in quants.items()
    }
    blobs = ActivationBits()
    return {
        "params": {
            "float": FLOAT_BITS * everything,
            "condensed": condensed + FLOAT_BITS * (everything - sum(known.values())),
        },
        "activations": {
            "float": round(blobs.total(result.workload, {})),
            "condensed": round(blobs.total(result.workload, widths)),
        },
    }


def _places(stats: LayerStats, quant: LayerQuant | None, condensed: Layer) -> dict[str, Any]:
    layer_in, layer_out, params = (quant.layer_in, quant.layer_out, quant.params) if quant else (None, None, None)
    return {
        "layer_in": _blob(stats.layer_in, stats.sample_in, layer_in),
        "layer_out": _blob(stats.layer_out, stats.sample_out, layer_out, rectified=stats.rectified),
        "params": _weights(stats.layer.blobs, condensed.blobs, params),
    }


def _blob(seen: Distribution, sample: Array, fmt: Format | None, *, rectified: bool = False) -> dict[str, Any]:
    loss = None if fmt is None else TrimLoss.of_blob(seen, sample, fmt, rectified=rectified)
    return {"histogram": _histogram(seen), "rectified": rectified, **_loss(loss)}


def _weights(before: tuple[Array, ...], after: tuple[Array, ...], fmt: Format | None) -> dict[str, Any]:
    covered = len(before) if fmt is None or fmt.covers_bias else 1
    old, new = (np.concatenate([np.ravel(blob) for blob in blobs[:covered]]) for blobs in (before, after))
    seen = Accumulator()
    seen.add(old)
    return {
        "histogram": _histogram(seen.finish()),
        **_loss(None if fmt is None else TrimLoss.of_numbers(old, new, fmt)),
    }


def _histogram(seen: Distribution) -> dict[str, Any]:
    found = seen.coarse(BINS)
    return {"start": found.start, "width": found.width, "counts": list(found.counts)}


def _loss(loss: TrimLoss | None) -> dict[str, Any]:
    if loss is None:
        return {}
    sqnr = loss.sqnr
    return {
        "sqnr": sqnr if math.isfinite(sqnr) else None,
        "mean_square": loss.mean_square,
        "squared_error": loss.squared_error,
        "saturated": loss.saturated,
    }


def _param_bits(layer: Layer, quant: LayerQuant | None) -> int:
    return param_bits([blob.size for blob in layer.blobs], quant.params if quant else None)


def _bits(fmt: Format | None) -> int | None:
    return None if fmt is None else fmt.bits
