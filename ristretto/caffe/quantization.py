"""``quantization_param``: formats from a prototxt, and back.

A format that a prototxt can carry is one entry in `PRECISIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ristretto.errors import ModelError
from ristretto.formats import FixedPoint, Format, MiniFloat, PowerOfTwo
from ristretto.net import Fields, LayerQuant, Scheme

Lines = list[tuple[str, str]]


@dataclass(frozen=True)
class Precision:
    """How one value of ``precision`` is read and written.

    Parameters
    ----------
    formats : type of Format
        The format of the weights, by which a layer's precision is told.
    read : callable
        Gives the formats of input, output and weights.
    write : callable
        Gives the fields and their values, in the fork's order.
    """

    formats: type[Format]
    read: Callable[[Fields], tuple[Format, Format, Format]]
    write: Callable[[LayerQuant], Lines]


def _read_fixed_point(param: Fields) -> tuple[Format, Format, Format]:
    return _fixed_point(param, "layer_in"), _fixed_point(param, "layer_out"), _fixed_point(param, "params")


def _fixed_point(param: Fields, place: str) -> FixedPoint:
    return FixedPoint(param.integer(f"bw_{place}"), param.integer(f"fl_{place}"))


def _write_fixed_point(quant: LayerQuant) -> Lines:
    return _widths({"layer_in": quant.layer_in, "layer_out": quant.layer_out, "params": quant.params})


def _widths(places: Mapping[str, Format | None]) -> Lines:
    lines: Lines = []
    for prefix in ("bw", "fl"):
        for place, fmt in places.items():
            assert isinstance(fmt, FixedPoint), "a prototxt has no word for a place left in float"
            lines.append((f"{prefix}_{place}", str(getattr(fmt, prefix))))
    return lines


def _read_minifloat(param: Fields) -> tuple[Format, Format, Format]:
    fmt = MiniFloat(exp_bits=param.integer("exp_bits"), mant_bits=param.integer("mant_bits"))
    return fmt, fmt, fmt


def _write_minifloat(quant: LayerQuant) -> Lines:
    fmt = quant.params
    assert isinstance(fmt, MiniFloat)
    if {quant.layer_in, quant.layer_out} != {fmt}:
        raise ModelError("a prototxt holds one minifloat for a layer's input, output and weights")
    return [("mant_bits", str(fmt.mant_bits)), ("exp_bits", str(fmt.exp_bits))]


def _read_power_of_two(param: Fields) -> tuple[Format, Format, Format]:
    weights = PowerOfTwo(exp_min=param.integer("exp_min"), exp_max=param.integer("exp_max"))
    return _fixed_point(param, "layer_in"), _fixed_point(param, "layer_out"), weights


def _write_power_of_two(quant: LayerQuant) -> Lines:
    fmt = quant.params
    assert isinstance(fmt, PowerOfTwo)
    widths = _widths({"layer_in": quant.layer_in, "layer_out": quant.layer_out})
    return [*widths, ("exp_min", str(fmt.exp_min)), ("exp_max", str(fmt.exp_max))]


PRECISIONS: Mapping[str, Precision] = {
    "DYNAMIC_FIXED_POINT": Precision(FixedPoint, _read_fixed_point, _write_fixed_point),
    "MINIFLOAT": Precision(MiniFloat, _read_minifloat, _write_minifloat),
    "INTEGER_POWER_OF_2_WEIGHTS": Precision(PowerOfTwo, _read_power_of_two, _write_power_of_two),
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
