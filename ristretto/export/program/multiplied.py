"""Sums of products: on the accumulator's grid, the bias within."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ristretto.errors import ModelError
from ristretto.execute.exact import EXACT_IN_FLOAT64
from ristretto.export.program.biases import Bias, bias_of
from ristretto.export.program.graph import Multiply, Value
from ristretto.export.program.made import Results, shortest
from ristretto.formats import Arithmetic, FixedPoint
from ristretto.hardware.grid import Grid, bits_for
from ristretto.hardware.mac import MacPath, describe_mac

LONGEST_SHIFTED = 1 << 61
"""Sums below this one leave 64 bits room for rounding."""


def multiplied(work: Multiply, inputs: Sequence[Value], trim: FixedPoint | None, arithmetic: Arithmetic) -> Results:
    """Give a layer's totals."""
    (value,) = inputs
    assert isinstance(value.numbers, Grid)
    layer, codes = work.layer, work.codes
    bare = describe_mac(layer, work.walk, replace(codes, bias=np.zeros(1)), value.numbers)
    assert bare, "zeros lie on every grid"
    if codes.has_real_bias:
        bias = bias_of(codes, bare)
        total = Grid(bare.fl + bias.lift, *_total(bare, bias))
    else:
        path = describe_mac(layer, work.walk, codes, value.numbers)
        assert path, "its bias is on a grid"
        bias, total = Bias(path.aligned_bias, path.lift), path.accumulator
    most = LONGEST_SHIFTED if codes.has_real_bias else EXACT_IN_FLOAT64
    if bare.accumulator.largest >= EXACT_IN_FLOAT64 or total.largest >= most:
        raise ModelError(
            f"its sums may take {bits_for(total.low, total.high)} bits, which float64 rounds",
            hint="use narrower formats",
        )
    weights, powers = bare.rows, bare.shifts_only
    if powers:
        # The exponent above the least, with one added so that it has a sign.
        real = weights.astype(np.float64)
        weights = (np.sign(real) * np.frexp(real)[1]).astype(np.int8)
    settings = {
        "geometry": {
            "groups": work.walk.groups,
            **{name: list(getattr(work.walk, name)) for name in GEOMETRY},
        },
        "weights": {
            "array": "weights", "format": bare.params.describe(), "fl": bare.weight_fl, "powers_of_two": powers,
        },
        "sum": {"fl": bare.fl, "low": bare.low, "high": bare.high},
        # Where there is more to lift than 64 bits hold, all sums are zero.
        "lift": min(bias.lift, LONGEST_LIFT),
        "total": {"fl": total.fl, "low": total.low, "high": total.high},
    }  # fmt: skip
    arrays = {"weights": shortest(weights)}
    if bias.codes is not None:
        arrays["bias"] = shortest(np.array(bias.codes, np.int64))
    return Results(total, settings, arrays)


LONGEST_LIFT = 62
GEOMETRY = ("in_shape", "out_shape", "kernel", "stride", "pad", "dilation", "spread")


def _total(bare: MacPath, bias: Bias) -> tuple[int, int]:
    codes = bias.codes or (0,)
    return (bare.low << bias.lift) + min(codes), (bare.high << bias.lift) + max(codes)
