"""From a quantized net to what each layer does: what the simulating and the integer executor have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ristretto.formats import Arithmetic, Format
from ristretto.net import Layer, LayerQuant, Net
from ristretto.net.op import Array

BITS_OF_EXACT_PRODUCTS = 16
"""Products of so many bits leave float32 room for the sums of real nets; two words of 8 bits."""
SHORT, BITS_OF_SHORT_SUMS = 16, 24
"""Weights of so many bits are multiplied as integers, beside inputs of up to 8: that is twice as fast as float32."""


@dataclass(frozen=True, eq=False)
class Lowered:
    """A layer as both executors run it.

    Parameters
    ----------
    layer : Layer
        With all three formats where `in_full`; else in float, its weights trimmed where they have a format.
    trim_in, trim_out : Format or None
        What a layer in float has its input and its top trimmed to.
    in_full : bool
        Whether the layer is quantized as a whole, with sums that are not rounded.
    """

    layer: Layer
    trim_in: Format | None = None
    trim_out: Format | None = None
    in_full: bool = False

    @property
    def first_trim(self) -> Format | None:
        """What its input blob is trimmed to, in place, before it computes."""
        quant = self.layer.quant if self.in_full and not self.layer.op.trims_inside else None
        return quant.layer_in if quant else self.trim_in

    @property
    def touched(self) -> set[str]:
        """The blobs that it reads or makes."""
        return {*self.layer.bottoms, *self.layer.tops}

    @property
    def changed(self) -> set[str]:
        """The blobs that are not the same after it: its tops, and an input that is trimmed in place."""
        trims = self.in_full or self.trim_in is not None
        return {*self.layer.tops, *(self.layer.bottoms[:1] if trims else ())}


def lower(net: Net, arithmetic: Arithmetic) -> Iterator[Lowered]:
    """Give what each layer of a net does.

    A layer that keeps a place in float (a trial within a search), or has an input or weights of 32 bits (the fork's
    word for float), is a float layer with trimmed weights between trims of its blobs.

    Parameters
    ----------
    net : Net
        Of one phase.
    arithmetic : Arithmetic
    """
    for layer in net:
        if layer.op.is_data:
            continue
        if layer.quant is None:
            yield Lowered(layer)
            continue
        quant = layer.quant.under(arithmetic)
        if layer.op.trims_inside or _in_full(layer, quant, arithmetic):
            yield Lowered(layer, in_full=True)
        else:
            plain = replace(layer, quant=None, blobs=trimmed_blobs(layer, arithmetic))
            yield Lowered(plain, quant.layer_in, quant.layer_out)


def _in_full(layer: Layer, quant: LayerQuant, arithmetic: Arithmetic) -> bool:
    if quant.layer_in is None or quant.layer_out is None or quant.params is None:
        return False
    if arithmetic.sums_in_float32 and not _same_in_float32(quant.layer_in, quant.params):
        return False
    if quant.layer_in.stands_for_float:
        return False
    return not quant.params.stands_for_float or _are_short(layer, quant.params, quant.layer_in)


def _are_short(layer: Layer, params: Format, layer_in: Format) -> bool:
    """Whether weights of 32 bits, the fork's word for float, need no more than `SHORT` of them: then sums are exact.

    With ``fl`` 16, which the original writes where a part is not condensed, weights below one half do.
    """
    if not params.on_one_grid or layer_in.bits + SHORT > BITS_OF_SHORT_SUMS:
        return False
    codes = params.encode(layer.blobs[0])
    return bool(codes.size) and int(codes.min()) >= -(1 << (SHORT - 1)) and int(codes.max()) < 1 << (SHORT - 1)


def _same_in_float32(layer_in: Format, params: Format) -> bool:
    """Whether sums of products come out the same in integers and in float32."""
    return layer_in.on_one_grid and params.on_one_grid and layer_in.bits + params.bits <= BITS_OF_EXACT_PRODUCTS


def trimmed_blobs(layer: Layer, arithmetic: Arithmetic) -> tuple[Array, ...]:
    """Give a layer's weights and bias, trimmed where it has a format for them; real units."""
    params = layer.quant.params if layer.quant else None
    if params is None:
        return layer.blobs
    covered = len(layer.blobs) if params.covers_bias else 1
    trimmed = tuple(params.trim(blob, arithmetic) for blob in layer.blobs[:covered])
    return trimmed + layer.blobs[covered:]
