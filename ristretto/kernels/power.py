"""Powers in float32, as the C library of most Linux systems computes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numpy.typing import NDArray

from ristretto.kernels.cpu import TIER
from ristretto.kernels.jit import inner, kernel
from ristretto.kernels.look_up import look_up
from ristretto.kernels.memory import bits_of
from ristretto.kernels.tile import WORD
from ristretto.kernels.vector import F32, F64, I32, I64, call, each, filled, load, routine, splat, store, suffix, vector

# The numbers of glibc's powf (since 2.28; Arm's Optimized Routines, MIT licence): 1/c and log2(c) for 16 pieces of
# [0.7, 1.4), a polynomial for log2(1 + r), 2**(i/32) and a polynomial for 2**r.
LOG_TABLE = np.array(
    [
        [float.fromhex(number) for number in pair.split()]
        for pair in (
            "0x1.661ec79f8f3bep+0 -0x1.efec65b963019p-2",
            "0x1.571ed4aaf883dp+0 -0x1.b0b6832d4fca4p-2",
            "0x1.49539f0f010bp+0 -0x1.7418b0a1fb77bp-2",
            "0x1.3c995b0b80385p+0 -0x1.39de91a6dcf7bp-2",
            "0x1.30d190c8864a5p+0 -0x1.01d9bf3f2b631p-2",
            "0x1.25e227b0b8eap+0 -0x1.97c1d1b3b7afp-3",
            "0x1.1bb4a4a1a343fp+0 -0x1.2f9e393af3c9fp-3",
            "0x1.12358f08ae5bap+0 -0x1.960cbbf788d5cp-4",
            "0x1.0953f419900a7p+0 -0x1.a6f9db6475fcep-5",
            "0x1p+0 0x0p+0",
            "0x1.e608cfd9a47acp-1 0x1.338ca9f24f53dp-4",
            "0x1.ca4b31f026aap-1 0x1.476a9543891bap-3",
            "0x1.b2036576afce6p-1 0x1.e840b4ac4e4d2p-3",
            "0x1.9c2d163a1aa2dp-1 0x1.40645f0c6651cp-2",
            "0x1.886e6037841edp-1 0x1.88e9c2c1b9ff8p-2",
            "0x1.767dcf5534862p-1 0x1.ce0a44eb17bccp-2",
        )
    ]
)
INVERSES, LOGARITHMS = np.ascontiguousarray(LOG_TABLE.T)
A0, A1, A2, A3, A4 = (
    float.fromhex(number)
    for number in (
        "0x1.27616c9496e0bp-2",
        "-0x1.71969a075c67ap-2",
        "0x1.ec70a6ca7baddp-2",
        "-0x1.7154748bef6c8p-1",
        "0x1.71547652ab82bp0",
    )
)
C0, C1, C2 = (
    float.fromhex(number) for number in ("0x1.c6af84b912394p-5", "0x1.ebfce50fac4f3p-3", "0x1.62e42ff0c52d6p-1")
)
PIECES, STEPS = 16, 32
POWERS = np.array(
    # 2**(i / 32) as bits, less i in the exponent's last place: the whole part is added to the same bits.
    [np.float64(2.0 ** (i / STEPS)).view(np.uint64) - (np.uint64(i) << np.uint64(47)) for i in range(STEPS)]
).view(np.float64)
SHIFT = float.fromhex("0x1.8p+52") / STEPS
"""Added and taken off again, it rounds a float64 to the nearest multiple of 1/32."""
LEAST, GREATEST, STEEPEST = np.float32(1e-12), np.float32(1e12), 3.0
"""Bases between the two, to exponents up to the third either way, come nowhere near overflow or a denormal."""


def power_of_two(b: ir.IRBuilder, steps: ir.Value) -> ir.Value:
    """Give ``2 ** (steps / STEPS)`` of a vector of int64, in float64, where that is no denormal."""
    lanes, longs = steps.type.count, steps.type
    start = b.bitcast(look_up(b, POWERS, b.and_(steps, filled(I64, lanes, STEPS - 1))), longs)
    return b.bitcast(b.add(start, b.shl(steps, filled(I64, lanes, 47))), vector(F64, lanes))


def _emit_raise(b: ir.IRBuilder, operands: Sequence[ir.Value]) -> None:
    """Write the routine that raises numbers to a power: from where, to where, which may be the same, count, bits.

    The last one are those of the exponent, in float64.
    """
    source, target, count, exponent = operands
    power_of = b.bitcast(exponent, F64)

    def body(first: ir.Value, lanes: int) -> None:
        at, doubles, longs = b.mul(first, I64(WORD)), vector(F64, lanes), vector(I64, lanes)

        def word(number: int) -> ir.Constant:
            return filled(I32, lanes, number)

        def fma(x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
            return call(b, f"llvm.fma.{suffix(doubles)}", doubles, x, y, z)

        a0, a1, a2, a3, a4, c0, c1, c2, one, less_one, shift = (
            filled(F64, lanes, number) for number in (A0, A1, A2, A3, A4, C0, C1, C2, 1.0, -1.0, SHIFT)
        )
        bits = load(b, b.add(source, at), vector(I32, lanes))
        above = b.sub(bits, word(0x3F330000))
        piece, whole = b.and_(b.ashr(above, word(19)), word(PIECES - 1)), b.ashr(above, word(23))
        z = b.fpext(b.bitcast(b.sub(bits, b.shl(whole, word(23))), vector(F32, lanes)), doubles)
        inverse, logarithm = (look_up(b, table, b.zext(piece, longs)) for table in (INVERSES, LOGARITHMS))
        # The order of these operations, each rounded once, is the definition of the result.
        r = fma(z, inverse, less_one)
        r2 = b.fmul(r, r)
        high = fma(a0, r, a1)
        low = fma(fma(a2, r, a3), r2, fma(a4, r, b.fadd(logarithm, b.sitofp(whole, doubles))))
        scaled = b.fmul(splat(b, power_of, lanes), fma(high, b.fmul(r2, r2), low))
        shifted = b.fadd(scaled, shift)
        steps = b.bitcast(shifted, longs)
        rest = b.fsub(scaled, b.fsub(shifted, shift))
        start = power_of_two(b, steps)
        near_one = fma(fma(c0, rest, c1), b.fmul(rest, rest), fma(c2, rest, one))
        store(b, b.fptrunc(b.fmul(near_one, start), vector(F32, lanes)), b.add(target, at))

    each(b, count, body, TIER.lanes // 2)


raise_words = routine("raise", _emit_raise)


@inner
def raise_row(x: NDArray[np.float32], out: NDArray[np.float32], count: int, exponent: np.float32) -> None:
    """Raise `count` positive float32 numbers to a power; `out` may be `x`."""
    tame = abs(exponent) <= STEEPEST
    for i in range(count):
        tame &= (x[i] >= LEAST) & (x[i] <= GREATEST)
    if tame:
        raise_words(x.ctypes.data, out.ctypes.data, count, bits_of(np.float64(exponent)))
    else:
        for i in range(count):
            out[i] = x[i] ** exponent


def power(x: NDArray[Any], out: NDArray[Any], exponent: float) -> None:
    """Raise positive numbers to a power; 1-D arrays of one length and type.

    In float32 this gives what glibc's ``powf`` does, which Caffe calls, on any machine. That is no correct rounding:
    one result in 1,400 is off by the last bit, and a net trimmed behind it sees that bit. numpy's own float32 power
    differs in one of 14, and from one processor to the next.
    """
    if x.dtype == np.float32:
        power_float32(x, out, np.float32(exponent))
    else:
        power_float64(x, out, exponent)


@kernel
def power_float32(x: NDArray[np.float32], out: NDArray[np.float32], exponent: np.float32) -> None:
    """Raise float32 numbers."""
    raise_row(x, out, x.size, exponent)


@kernel
def power_float64(x: NDArray[np.float64], out: NDArray[np.float64], exponent: float) -> None:
    """Raise float64 numbers, as the C library does."""
    for i in range(x.size):
        out[i] = x[i] ** exponent
