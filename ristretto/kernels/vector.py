"""Building blocks for kernels that are written in LLVM's intermediate representation.

LLVM finds the instructions that multiply short integers in none of the loops that numba gives it, so the innermost
loops are spelled out. They see memory as addresses, 64-bit integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import llvmlite.ir as ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
F32, F64 = ir.FloatType(), ir.DoubleType()


def vector(element: ir.Type, lanes: int) -> ir.VectorType:
    """Give the type of a vector."""
    return ir.VectorType(element, lanes)


def filled(element: ir.Type, lanes: int, value: float) -> ir.Constant:
    """Give a vector that holds one constant in all lanes."""
    return ir.Constant(vector(element, lanes), [value] * lanes)


def splat(b: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    """Give a vector that holds one value in all lanes."""
    kind = vector(value.type, lanes)
    first = b.insert_element(ir.Constant(kind, ir.Undefined), value, I32(0))
    return b.shuffle_vector(first, ir.Constant(kind, ir.Undefined), filled(I32, lanes, 0))


def load(b: ir.IRBuilder, address: ir.Value, kind: ir.Type) -> ir.Value:
    """Load from an address that need not be aligned."""
    value = b.load(b.inttoptr(address, kind.as_pointer()))
    value.align = 1
    return value


def store(b: ir.IRBuilder, value: ir.Value, address: ir.Value) -> None:
    """Store to an address that need not be aligned."""
    b.store(value, b.inttoptr(address, value.type.as_pointer())).align = 1


def prefetch(b: ir.IRBuilder, address: ir.Value) -> None:
    """Have the line of memory at an address brought near, into the second cache; there may be nothing at it."""
    to_read, near, of_data = I32(0), I32(2), I32(1)
    call(b, "llvm.prefetch", ir.VoidType(), b.inttoptr(address, I8.as_pointer()), to_read, near, of_data)


def call(b: ir.IRBuilder, name: str, result: ir.Type, *operands: ir.Value) -> ir.Value:
    """Call one of LLVM's own functions."""
    declared = ir.FunctionType(result, [operand.type for operand in operands])
    return b.call(cgutils.get_or_insert_function(b.module, declared, name), operands)


def suffix(kind: ir.VectorType) -> str:
    """Give LLVM's suffix for overloads of a vector type: ``v16i32``, ``v16f32``."""
    scalar = {F32: "f32", F64: "f64"}.get(kind.element) or f"i{kind.element.width}"
    return f"v{kind.count}{scalar}"


def clamp(b: ir.IRBuilder, value: ir.Value, low: ir.Value, high: ir.Value) -> ir.Value:
    """Bring integers between two ends."""
    raised = call(b, f"llvm.smax.{suffix(value.type)}", value.type, value, low)
    return call(b, f"llvm.smin.{suffix(value.type)}", value.type, raised, high)


def clamped(b: ir.IRBuilder, x: ir.Value, low: ir.Value, high: ir.Value) -> ir.Value:
    """Bring real numbers between two ends; NaN stays NaN, and at an end the end is taken, with its sign of zero."""
    # Comparisons this way round let NaN through.
    x = b.select(b.fcmp_ordered(">=", x, high), high, x)
    return b.select(b.fcmp_ordered("<=", x, low), low, x)


def round_away(b: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Round a vector of real numbers to integers, halves away from zero; exact, as ``x - trunc(x)`` is."""
    kind, name = x.type, suffix(x.type)
    whole = call(b, f"llvm.trunc.{name}", kind, x)
    rest = call(b, f"llvm.fabs.{name}", kind, b.fsub(x, whole))
    one = call(b, f"llvm.copysign.{name}", kind, filled(kind.element, kind.count, 1.0), x)
    return b.select(b.fcmp_ordered(">=", rest, filled(kind.element, kind.count, 0.5)), b.fadd(whole, one), whole)


def in_steps(
    b: ir.IRBuilder, x: ir.Value, scale: ir.Value, low: ir.Value, high: ir.Value, *, half_even: bool
) -> ir.Value:
    """Trim a vector of real numbers to whole steps, saturated: ``1 / scale`` is a step, `low` and `high` are codes."""
    x = clamped(b, b.fmul(x, scale), low, high)
    return call(b, f"llvm.rint.{suffix(x.type)}", x.type, x) if half_even else round_away(b, x)


def each(b: ir.IRBuilder, count: ir.Value, body: Callable[[ir.Value, int], None], lanes: int) -> None:
    """Write a loop over numbers, whole vectors of so many first, then one by one."""
    vectors = b.udiv(count, I64(lanes))
    done = b.mul(vectors, I64(lanes))
    with cgutils.for_range(b, vectors) as loop:
        body(b.mul(loop.index, I64(lanes)), lanes)
    with cgutils.for_range(b, b.sub(count, done)) as loop:
        body(b.add(done, loop.index), 1)


Emit = Callable[[ir.IRBuilder, Sequence[ir.Value]], None]
"""Writes a routine's body from its operands; the last block is left open."""


def emit_call(b: ir.IRBuilder, name: str, emit: Emit, operands: Sequence[ir.Value]) -> None:
    """Call a routine, which is written where the module does not have it yet."""
    function = b.module.globals.get(name)
    if function is None:
        function = ir.Function(b.module, ir.FunctionType(ir.VoidType(), [I64] * len(operands)), name)
        # Kernels that call the same routine share it when they are linked.
        function.linkage = "linkonce_odr"
        function.attributes.add("noinline")
        body = ir.IRBuilder(function.append_basic_block("entry"))
        emit(body, function.args)
        body.ret_void()
    b.call(function, operands)


def family(name: str, members: Mapping[int, Emit]) -> Callable[..., None]:
    """Make a function that numba's code can call with a number, and operands that are 64-bit integers.

    Parameters
    ----------
    name : str
        Unique among all families; names the functions in the machine code.
    members : mapping of int to callable
        The routines, by the number that chooses between them; all take as many operands. Another number does nothing.
        Each becomes a function of its own, so that LLVM gives it all the registers.

    Returns
    -------
    callable
        It must be a global of the module whose kernels call it: numba caches them only so.
    """

    def typer(context: Any, number: Any, *operands: Any) -> Any:
        count = len(operands)
        signature = types.void(types.int64, types.StarArgTuple((types.int64,) * count))

        def generate(context: Any, b: ir.IRBuilder, _: Any, values: Sequence[ir.Value]) -> Any:
            given = [b.extract_value(values[1], i) for i in range(count)]
            done = b.append_basic_block("done")
            choice = b.switch(values[0], done)
            for number in members:
                block = b.append_basic_block(f"case_{number}")
                choice.add_case(I64(number), block)
                b.position_at_end(block)
                emit_call(b, f"{name}_{number}", members[number], given)
                b.branch(done)
            b.position_at_end(done)
            return context.get_dummy_value()

        return signature, generate

    made: Callable[..., None] = intrinsic(typer)
    return made


def routine(name: str, emit: Emit) -> Callable[..., None]:
    """Make a function that numba's code can call with operands that are 64-bit integers; a `family` of one."""

    def typer(context: Any, *operands: Any) -> Any:
        count = len(operands)
        signature = types.void(types.StarArgTuple((types.int64,) * count))

        def generate(context: Any, b: ir.IRBuilder, _: Any, values: Sequence[ir.Value]) -> Any:
            emit_call(b, name, emit, [b.extract_value(values[0], i) for i in range(count)])
            return context.get_dummy_value()

        return signature, generate

    made: Callable[..., None] = intrinsic(typer)
    return made
