"""Small tables of float64 numbers, looked up in vectors."""

from __future__ import annotations

import llvmlite.ir as ir
import numpy as np
from numba.core import cgutils
from numpy.typing import NDArray

from ristretto.kernels.cpu import TIER
from ristretto.kernels.vector import F64, I64, call, filled, load, vector

IN_A_REGISTER = 8
"""float64 numbers, on the tiers that take any two registers for a table."""


def look_up(b: ir.IRBuilder, table: NDArray[np.float64], places: ir.Value) -> ir.Value:
    """Give the numbers of a table at a vector of places, int64.

    Parameters
    ----------
    b : IRBuilder
    table : float64 array
        Its length is a power of two, at least 16.
    places : vector of int64
        Within the table.
    """
    lanes = places.type.count
    if lanes == IN_A_REGISTER and TIER.registers == 512:
        return _in_registers(b, table, places)
    kind = ir.ArrayType(F64, len(table))
    address = b.ptrtoint(cgutils.global_constant(b, "table", ir.Constant(kind, [float(x) for x in table])), I64)
    result: ir.Value = ir.Constant(vector(F64, lanes), ir.Undefined)
    for lane in range(lanes):
        at = b.add(address, b.mul(b.extract_element(places, I64(lane)), I64(8)))
        result = b.insert_element(result, load(b, at, F64), I64(lane))
    return result


def _in_registers(b: ir.IRBuilder, table: NDArray[np.float64], places: ir.Value) -> ir.Value:
    """Pick numbers out of registers, two at a time; gathering them from memory takes ten times as long."""
    kind = vector(F64, IN_A_REGISTER)
    registers = [ir.Constant(kind, [float(x) for x in part]) for part in table.reshape(-1, IN_A_REGISTER)]
    # The instruction looks at the lowest four bits of a place; the next ones choose between its results.
    picked = [
        call(b, "llvm.x86.avx512.vpermi2var.pd.512", kind, one, places, other)
        for one, other in zip(registers[::2], registers[1::2], strict=True)
    ]
    bit = 2 * IN_A_REGISTER
    while len(picked) > 1:
        upper = b.icmp_unsigned("!=", b.and_(places, filled(I64, IN_A_REGISTER, bit)), filled(I64, IN_A_REGISTER, 0))
        picked = [b.select(upper, high, low) for low, high in zip(picked[::2], picked[1::2], strict=True)]
        bit *= 2
    return picked[0]
