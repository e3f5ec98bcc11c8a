"""Widths: how many bits each place of each layer gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ristretto.calibrate import CalibrationStats
from ristretto.errors import SearchError
from ristretto.formats import Format
from ristretto.net import LayerQuant, Part

Bits = Mapping[Part, int]
"""The width of each part, bits."""


@dataclass(frozen=True)
class LayerWidths:
    """The widths of one layer's places, bits; None leaves a place in float.

    Parameters
    ----------
    layer_in, layer_out, params : int or None
    """

    layer_in: int | None = None
    layer_out: int | None = None
    params: int | None = None

    @property
    def places(self) -> tuple[int | None, int | None, int | None]:
        """The widths of input, output and weights."""
        return self.layer_in, self.layer_out, self.params

    @property
    def touched(self) -> bool:
        """Whether any place is condensed."""
        return any(width is not None for width in self.places)


Widths = Mapping[str, LayerWidths]
"""By layer name, in net order; a layer that is not named stays in float."""


def parts_of(stats: CalibrationStats) -> list[Part]:
    """Give the parts that a net has, in order."""
    present = {layer.layer.op.part for layer in stats.layers.values()} | {Part.ACTIVATIONS}
    return [part for part in Part if part in present]


def of_parts(stats: CalibrationStats, bits: Bits) -> dict[str, LayerWidths]:
    """Give every layer the widths of its parts; a part without a width stays in float."""
    activations = bits.get(Part.ACTIVATIONS)
    result = {}
    for name, layer in stats.layers.items():
        part = layer.layer.op.part
        assert part is not None
        result[name] = LayerWidths(activations, activations, bits.get(part))
    return result


def check_one_width(bits: Bits) -> None:
    """Raise a SearchError when parts have several widths."""
    if len(set(bits.values())) > 1:
        shown = "/".join(str(width) for width in bits.values())
        raise SearchError(f"widths of {shown} bits in a mode with one width", hint="give all parts the same width")


def one_width(widths: Widths) -> int:
    """Give the width that all condensed places share."""
    (width,) = {width for layer in widths.values() for width in layer.places if width is not None}
    return width


def with_format(widths: LayerWidths, fmt: Format) -> LayerQuant:
    """Give one format to all places that have a width."""
    layer_in, layer_out, params = (None if width is None else fmt for width in widths.places)
    return LayerQuant(layer_in, layer_out, params)
