"""QONNX: formats as Quant and FloatQuant nodes, which carry width and rounding; FINN, hls4ml and `qonnx` read them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import ClassVar

from ristretto.errors import ModelError
from ristretto.execute.lower import trimmed_blobs
from ristretto.export.onnx.dialect import Chain, Dialect, Operands, number, stored
from ristretto.formats import Arithmetic, FixedPoint, Format, MiniFloat
from ristretto.net import Layer, LayerQuant, OnnxNode, Shape

DOMAIN = "qonnx.custom_op.general"
AWAY, EVEN = "HALF_UP", "ROUND"
"""QONNX's words for halves away from zero, and for halves to the even code."""
WIDEST = 24
"""Bits of a Quant whose codes float32 holds with a half between them."""
LONGEST_MINIFLOAT = 20
"""Bits of a FloatQuant for which logarithms in float32 tell powers of two apart."""


@singledispatch
def trim_nodes(fmt: Format, arithmetic: Arithmetic) -> tuple[OnnxNode, ...]:
    """Give the nodes that trim ``b0`` to a format."""
    raise ModelError(f"QONNX has no operation for activations in {fmt.name} {fmt.describe()}")


@trim_nodes.register
def _(fmt: FixedPoint, arithmetic: Arithmetic) -> tuple[OnnxNode, ...]:
    if fmt.bw > WIDEST:
        return _step_by_step(fmt, arithmetic)
    chain, bits = Chain(), fmt.bw
    if bits == 1:
        # A Quant of one bit has the codes -1 and 1; here they are -1 and 0.
        chain, bits = chain.then("Clip", {"low": number(fmt.low), "high": number(fmt.high)}), 2
    constants = {"scale": number(math.ldexp(1.0, -fmt.fl)), "zeropt": number(0), "bits": number(bits)}
    mode = EVEN if arithmetic.half_even else AWAY
    return chain.then("Quant", constants, signed=1, narrow=0, rounding_mode=mode, domain=DOMAIN).end()


@trim_nodes.register
def _(fmt: MiniFloat, arithmetic: Arithmetic) -> tuple[OnnxNode, ...]:
    """Give a FloatQuant, behind a Where.

    FloatQuant's lowest exponent has no power of two of its own: it continues the next one down to zero, as denormals
    do. A bias that is larger by one makes it ours, an exponent that is longer by one bit reaches our largest number,
    which `max_val` then is; and what lies below the smallest number is made zero beforehand.
    """
    if fmt.bits > LONGEST_MINIFLOAT:
        raise ModelError(
            f"QONNX does not round minifloats of {fmt.bits} bits exactly",
            hint=f"its logarithms in float32 suffice for {LONGEST_MINIFLOAT} bits",
        )
    if arithmetic.minifloat_stops_at_zero or arithmetic.minifloat_passes_top:
        raise ModelError("QONNX has no operation for the original's own minifloats", hint="export without --emulate")
    constants = {
        "scale": number(1),
        "exponent_bits": number(fmt.exp_bits + 1),
        "mantissa_bits": number(fmt.mant_bits),
        "exponent_bias": number(fmt.bias + 1),
        "max_val": number(fmt.high),
    }
    options = {"has_inf": 0, "has_nan": 0, "has_subnormal": 0, "saturation": 1, "rounding_mode": AWAY}
    below = OnnxNode("Less", ("size", "smallest"), ("below",), {}, {"smallest": number(math.ldexp(1.0, -fmt.bias))})
    flushed = OnnxNode("Where", ("below", "nothing", "b0"), ("flushed",), {}, {"nothing": number(0)})
    rounded = Chain("flushed").then("FloatQuant", constants, domain=DOMAIN, **options).end()
    return OnnxNode("Abs", ("b0",), ("size",)), below, flushed, *rounded


def _step_by_step(fmt: FixedPoint, arithmetic: Arithmetic) -> tuple[OnnxNode, ...]:
    """Give a trim in ONNX's own operations, each of them exact; a Quant adds a half, for which float32 has no room."""
    chain = Chain().then("Clip", {"low": number(fmt.low), "high": number(fmt.high)})
    chain = chain.then("Mul", {"up": number(math.ldexp(1.0, fmt.fl))})
    down = {"down": number(math.ldexp(1.0, -fmt.fl))}
    if arithmetic.half_even:
        return chain.then("Round").then("Mul", down).end()
    scaled = chain.source
    whole = chain.then("Abs").then("Floor")
    # What is left over, twice, has the whole part 1 from one half on.
    size = OnnxNode("Abs", (scaled,), ("size",))
    rest = OnnxNode("Sub", ("size", whole.source), ("rest",))
    twice = OnnxNode("Add", ("rest", "rest"), ("twice",))
    step = OnnxNode("Floor", ("twice",), ("step",))
    sign = OnnxNode("Sign", (scaled,), ("sign",))
    rounded = Chain(whole.source, (*whole.nodes, size, rest, twice, step, sign))
    return rounded.then("Add", None, "step").then("Mul", None, "sign").then("Mul", down).end()


@dataclass(frozen=True)
class Qonnx(Dialect):
    """Quant and FloatQuant.

    Parameters
    ----------
    arithmetic : Arithmetic
        Where halves go.
    """

    domains: ClassVar[Mapping[str, int]] = {DOMAIN: 1}

    arithmetic: Arithmetic

    @property
    def rounding(self) -> Arithmetic:
        """Ours: the nodes say it."""
        return self.arithmetic

    def formats(self, layer: Layer) -> LayerQuant | None:
        """Give the layer's own."""
        return layer.quant.under(self.arithmetic) if layer.quant else None

    def trim(self, fmt: Format) -> tuple[OnnxNode, ...]:
        """Give a Quant or a FloatQuant."""
        return trim_nodes(fmt, self.arithmetic)

    def operands(self, layer: Layer, shapes: Sequence[Shape], quant: LayerQuant | None) -> Operands:
        """Give trimmed weights in float32, behind the same nodes as activations where their format has any.

        They change nothing any more; they say the format.
        """
        weights = stored(trimmed_blobs(layer, self.arithmetic), shapes)
        params = quant.params if quant else None
        if params is None or not _has_operation(params):
            return Operands(weights)
        nodes: list[OnnxNode] = []
        for name in weights:
            nodes += _renamed(self.trim(params), name)
        return Operands({f"{name}_trimmed": array for name, array in weights.items()}, tuple(nodes))


def _has_operation(fmt: Format) -> bool:
    return trim_nodes.dispatch(type(fmt)) is not trim_nodes.dispatch(object)


def _renamed(nodes: Sequence[OnnxNode], weight: str) -> list[OnnxNode]:
    """Give the nodes of a trim with other names: they trim a weight, under the name that it is stored with."""
    ends = {"b0": f"{weight}_trimmed", "t0": weight}

    def name(local: str) -> str:
        return ends.get(local, f"{weight}_{local}")

    return [
        OnnxNode(
            node.op_type,
            tuple(map(name, node.inputs)),
            tuple(map(name, node.outputs)),
            node.attributes,
            {name(constant): array for constant, array in node.constants.items()},
            node.domain,
        )
        for node in nodes
    ]
