"""``quantization_param``: formats from a prototxt, and back.

A format that a prototxt can carry is one entry in `PRECISIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ristretto.errors import ModelError
from ristretto.formats import FixedPoint, Format
from ristretto.net import Fields, LayerQuant, Scheme

Lines = list[tuple[str, str]]


@dataclass(frozen=True)
class Precision:
    """How one value of ``precision`` is read and written.

    Parameters
    ----------
    formats : type of Format
        The format of all three places.
    read : callable
        Gives the formats of input, output and weights.
    write : callable
        Gives the fields and their values, in the fork's order.
    """

    formats: type[Format]
    read: Callable[[Fields], tuple[Format, Format, Format]]
    write: Callable[[LayerQuant], Lines]


def _read_fixed_point(param: Fields) -> tuple[Format, Format, Format]:
    place = {
        name: FixedPoint(param.integer(f"bw_{name}"), param.integer(f"fl_{name}"))
        for name in ("layer_in", "layer_out", "params")
    }
    return place["layer_in"], place["layer_out"], place["params"]


def _write_fixed_point(quant: LayerQuant) -> Lines:
    formats = {"layer_in": quant.layer_in, "layer_out": quant.layer_out, "params": quant.params}
    lines: Lines = []
    for prefix in ("bw", "fl"):
        for place, fmt in formats.items():
            assert isinstance(fmt, FixedPoint), "a prototxt has no word for a place left in float"
            lines.append((f"{prefix}_{place}", str(getattr(fmt, prefix))))
    return lines


PRECISIONS: Mapping[str, Precision] = {
    "DYNAMIC_FIXED_POINT": Precision(FixedPoint, _read_fixed_point, _write_fixed_point),
}
"""By the enum's name. The first is the default, which the fork's printer leaves out."""


def read_quant(param: Fields) -> LayerQuant:
    """Read a ``quantization_param``; an absent field means its default (32 bits, fl 16), as in the fork.

    Raises
    ------
    ModelError
        When the precision is none of `PRECISIONS`.
    """
    precision = param.text("precision")
    if precision not in PRECISIONS:
        raise ModelError(f"precision {precision} is not supported", hint=f"known: {', '.join(PRECISIONS)}")
    layer_in, layer_out, params = PRECISIONS[precision].read(param)
    return LayerQuant(layer_in, layer_out, params, Scheme(param.text("rounding_scheme")))


def write_quant(quant: LayerQuant) -> Lines:
    """Give the fields of a ``quantization_param`` with their values, in order."""
    for index, (name, precision) in enumerate(PRECISIONS.items()):
        if isinstance(quant.params, precision.formats):
            head: Lines = [] if index == 0 else [("precision", name)]
            if quant.scheme is not Scheme.NEAREST:
                head.append(("rounding_scheme", quant.scheme.value))
            return head + precision.write(quant)
    raise ModelError(f"a prototxt cannot hold the format {quant.params}")
