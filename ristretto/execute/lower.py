"""From a quantized net to steps: what the simulating and the integer executor have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from ristretto.execute.executor import Step
from ristretto.execute.reference import ReferenceStep
from ristretto.execute.segments import Piece, segment
from ristretto.execute.trim_step import Trim, TrimInsideStep, TrimStep
from ristretto.formats import Arithmetic, Format
from ristretto.net import Layer, LayerQuant, Net, Shape
from ristretto.net.op import Array

BITS_OF_EXACT_PRODUCTS = 16
"""Products of so many bits leave float32 room for the sums of real nets; two words of 8 bits."""


def lower(
    net: Net,
    shapes: Mapping[str, tuple[Shape, ...]],
    keep: frozenset[str],
    arithmetic: Arithmetic,
    *,
    quantized: Callable[[Layer], Step],
    trim: Trim,
) -> list[Step]:
    """Give a net's steps.

    A layer with all three formats becomes one step of the executor's own. A layer that keeps a place in float (a trial
    within a search), or has an input or weights of 32 bits (the fork's word for float), is a float layer with trimmed
    weights between trims of its blobs. Float layers that multiply and accumulate run in onnxruntime, cut into the same
    segments for every executor that comes here: so their sums, which are rounded, are rounded alike.

    Parameters
    ----------
    net : Net
        Of one phase.
    shapes : mapping of str to tuple of shapes
        The shapes of every layer's tops.
    keep : frozenset of str
        Values to keep, as ``LAYER.topK``.
    arithmetic : Arithmetic
    quantized : callable
        Gives the step of a layer that has all three formats.
    trim : callable
        How a blob is trimmed around a float layer.
    """
    pieces: list[Piece] = []
    for layer in net:
        if layer.op.is_data:
            continue
        if layer.quant is None:
            pieces.append(layer)
        else:
            quant = layer.quant.under(arithmetic)
            if layer.op.trims_inside:
                pieces.append(TrimInsideStep(layer, arithmetic))
            elif _in_full(quant, arithmetic):
                pieces.append(quantized(layer))
            else:
                pieces.extend(_partly(layer, quant, arithmetic, trim))
    return segment(net, pieces, shapes, keep, join_without_macs=False)


def _in_full(quant: LayerQuant, arithmetic: Arithmetic) -> bool:
    if quant.layer_in is None or quant.layer_out is None or quant.params is None:
        return False
    operands = (quant.layer_in, quant.params)
    if arithmetic.sums_in_float32 and not _same_in_float32(quant.layer_in, quant.params):
        return False
    return not any(fmt.stands_for_float for fmt in operands)


def _same_in_float32(layer_in: Format, params: Format) -> bool:
    """Whether sums of products come out the same in integers and in float32."""
    return layer_in.on_one_grid and params.on_one_grid and layer_in.bits + params.bits <= BITS_OF_EXACT_PRODUCTS


def _partly(layer: Layer, quant: LayerQuant, arithmetic: Arithmetic, trim: Trim) -> Iterator[Piece]:
    if quant.layer_in:
        yield TrimStep(layer.name, layer.bottoms[0], quant.layer_in, arithmetic, trim)
    plain = replace(layer, quant=None, blobs=trimmed_blobs(layer, arithmetic))
    # The fork multiplies matrices with a BLAS, as numpy does: then even the order of its float sums is the same.
    yield ReferenceStep(plain) if arithmetic.sums_in_float32 else plain
    if quant.layer_out:
        yield TrimStep(layer.name, layer.tops[0], quant.layer_out, arithmetic, trim, is_top=True)


def trimmed_blobs(layer: Layer, arithmetic: Arithmetic) -> tuple[Array, ...]:
    """Give a layer's weights and bias, trimmed where it has a format for them; real units."""
    params = layer.quant.params if layer.quant else None
    if params is None:
        return layer.blobs
    covered = len(layer.blobs) if params.covers_bias else 1
    trimmed = tuple(params.trim(blob, arithmetic) for blob in layer.blobs[:covered])
    return trimmed + layer.blobs[covered:]
