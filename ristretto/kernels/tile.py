"""The innermost loop of every multiplication: a tile of sums that stays in registers.

A tile is `height` pixels by `vectors` vectors of output channels. The inputs of a pixel are walked as *runs*: pieces of
memory, each of as many 32-bit *words* (four codes of 8 bits, two of 16, one float32), at offsets that are the same for
every pixel of the tile. No window is ever copied. The weights lie in the order in which the loop meets them:
``[word][vector][lane]``, 32 bits each.

The products of one output are added up in the order of the walk, in every tile and on every tier. So sums in float32
are the same wherever a fused multiplication and addition is at hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from functools import partial, reduce

import llvmlite.ir as ir

from ristretto.kernels.cpu import TIER, Shape, Tier, features
from ristretto.kernels.vector import (
    F32,
    I8,
    I16,
    I32,
    I64,
    Emit,
    call,
    filled,
    load,
    prefetch,
    splat,
    store,
    suffix,
    vector,
)

WORD = 4
"""Bytes of a word."""
CACHE_LINE = 64
"""Bytes that come from memory at a time, on all processors that tiers are made for."""


class Operand(Enum):
    """What is multiplied."""

    BYTES = 0
    """Stored codes of 8 bits and weights of 8 bits."""
    PAIRS = 1
    """Codes and weights of 16 bits."""
    FLOATS = 2
    """float32."""
    BYTES_BY_TWO = 3
    """Bytes, of which the products of two words are added up in 16 bits first."""
    BYTES_BY_FOUR = 4
    """Bytes, of which those of four words are."""
    HALVES = 5
    """Codes of 16 bits, and weights of 16 bits in two halves, whose sums are two: see `finished`."""

    @property
    def per_word(self) -> int:
        """How many of them a word holds."""
        return (4, 2, 1, 4, 4, 2)[self.value]

    @property
    def parts(self) -> int:
        """How many sums an output has."""
        return 2 if self is Operand.HALVES else 1

    @property
    def words(self) -> int:
        """How many words are multiplied at a time; every run has a multiple of so many."""
        return (1, 1, 1, 2, 4, 1)[self.value]

    @property
    def bits(self) -> int:
        """The width of each."""
        return 8 * WORD // self.per_word

    @property
    def are_bytes(self) -> bool:
        """Whether they are stored codes of 8 bits."""
        return self.per_word == 4


def operands_of(tier: Tier) -> tuple[Operand, ...]:
    """Give what a tier multiplies."""
    by_bytes = (Operand.BYTES,) if tier.multiplies_bytes else ()
    in_short_sums = (Operand.BYTES_BY_TWO, Operand.BYTES_BY_FOUR) if tier.short_dot8 else ()
    return (*by_bytes, Operand.PAIRS, Operand.FLOATS, *in_short_sums)


Words = Sequence[ir.Value]
"""Vectors of int32, or of float32."""


def dots(b: ir.IRBuilder, tier: Tier, operand: Operand, total: ir.Value, xs: Words, ws: Words) -> ir.Value:
    """Add the products of words of inputs and of weights in each lane: as many as are multiplied at a time."""
    if not (operand.are_bytes and tier.short_dot8):
        (x,), (w,) = xs, ws
        return dot(b, tier, operand, total, x, w)
    # Whoever chooses the operand has made sure that 16 bits hold the sum of all positive products, and that of all
    # negative ones: no pair saturates, and no addition runs over.
    kind, lanes = vector(I16, 2 * total.type.count), total.type.count
    bytes_of = vector(I8, 4 * lanes)
    products = [
        call(b, tier.short_dot8, kind, b.bitcast(x, bytes_of), b.bitcast(w, bytes_of))
        for x, w in zip(xs, ws, strict=True)
    ]
    short = reduce(b.add, products)
    return b.add(total, call(b, tier.dot16, total.type, short, filled(I16, 2 * lanes, 1)))


def dot(b: ir.IRBuilder, tier: Tier, operand: Operand, total: ir.Value, x: ir.Value, w: ir.Value) -> ir.Value:
    """Add the products of a word of inputs and a word of weights in each lane.

    Parameters
    ----------
    b : IRBuilder
    tier : Tier
    operand : Operand
    total : vector of int32, or of float32
    x, w : vectors of int32, or of float32
        Words.
    """
    kind, lanes = total.type, total.type.count
    if operand is Operand.FLOATS:
        if "sse2" in tier.needs and "fma" not in features():
            return b.fadd(total, b.fmul(x, w))
        return call(b, f"llvm.fma.{suffix(kind)}", kind, x, w, total)
    if operand is Operand.BYTES:
        if tier.name.startswith("neon"):
            x, w = (b.bitcast(v, vector(I8, 4 * lanes)) for v in (x, w))
        return call(b, tier.dot8, kind, total, x, w)
    if tier.dot16_adds:
        return call(b, tier.dot16, kind, total, x, w)
    x, w = (b.bitcast(v, vector(I16, 2 * lanes)) for v in (x, w))
    if tier.dot16:
        return b.add(total, call(b, tier.dot16, kind, x, w))
    return b.add(b.add(total, _every_second(b, x, w, 0)), _every_second(b, x, w, 1))


def _every_second(b: ir.IRBuilder, x: ir.Value, w: ir.Value, first: int) -> ir.Value:
    lanes = x.type.count // 2
    places = ir.Constant(vector(I32, lanes), list(range(first, 2 * lanes, 2)))
    unused = ir.Constant(x.type, ir.Undefined)
    halves = [b.sext(b.shuffle_vector(v, unused, places), vector(I32, lanes)) for v in (x, w)]
    return b.mul(*halves)


Sums = list[list[ir.Value]]
"""The vectors of a tile's sums, by pixel."""


def emit_tile(b: ir.IRBuilder, operands: Sequence[ir.Value], tier: Tier, operand: Operand, shape: Shape) -> None:
    """Write the loop, and store the sums.

    Its operands are: the address of the first pixel's inputs, the distance between pixels, bytes; the address of
    the runs' offsets, bytes, int64; how many runs and words in a run there are, both at least one; the addresses of
    the weights and of the sums' first values (one for each lane of a row); how far behind the weights those stand that
    are wanted next, bytes, 0 where these are fetched, which are at hand; and the address of the sums (height rows).
    """
    sums = emit_sums(b, operands[:-1], tier, operand, shape)
    size = WORD * tier.lanes
    for i, row in enumerate(sums):
        for j, vectors in enumerate(row):
            store(b, vectors, b.add(operands[-1], I64(size * (shape[1] * i + j))))


def emit_sums(b: ir.IRBuilder, operands: Sequence[ir.Value], tier: Tier, operand: Operand, shape: Shape) -> Sums:
    """Write the loop, and give the sums in registers; the operands are those of `emit_tile` but the last."""
    inputs, distance, offsets, runs, words, weights, first, ahead = operands
    height, vectors = shape
    scalar = F32 if operand is Operand.FLOATS else I32
    kind, row = vector(scalar, tier.lanes), WORD * tier.lanes * vectors
    starts = [load(b, b.add(first, I64(WORD * tier.lanes * j)), kind) for j in range(vectors)]
    # Addresses of three pixels are one register and its multiples: more registers would not be left.
    twice, thrice = b.mul(distance, I64(2)), b.mul(distance, I64(3))
    before = b.block
    outer, inner, after, done = (b.function.append_basic_block(name) for name in ("run", "word", "next", "done"))
    b.branch(outer)

    b.position_at_end(outer)
    run, packed = b.phi(I64), b.phi(I64)
    totals = [[b.phi(kind) for _ in range(vectors)] for _ in range(height)]
    address = b.add(inputs, load(b, b.add(offsets, b.mul(run, I64(8))), I64))
    bases = [address]
    for _ in range(1, -(-height // 3)):
        bases.append(b.add(bases[-1], thrice))
    b.branch(inner)

    b.position_at_end(inner)
    left, at = b.phi(I64), b.phi(I64)
    pixels = [b.phi(I64) for _ in bases]
    current = [[b.phi(kind) for _ in range(vectors)] for _ in range(height)]
    at_a_time = range(operand.words)
    rows = [[load(b, b.add(at, I64(row * k + row // vectors * j)), kind) for k in at_a_time] for j in range(vectors)]
    # Next weights come from memory while these are multiplied: nothing else can tell the processor where they are.
    following_weights = b.add(at, ahead)
    for line in range(0, row * operand.words, CACHE_LINE):
        prefetch(b, b.add(following_weights, I64(line)))
    grown = []
    for i in range(height):
        base = pixels[i // 3]
        pixel = (base, b.add(base, distance), b.add(base, twice))[i % 3]
        xs = [splat(b, load(b, b.add(pixel, I64(WORD * k)), scalar), tier.lanes) for k in at_a_time]
        grown.append([dots(b, tier, operand, current[i][j], xs, rows[j]) for j in range(vectors)])
    rest, beyond = b.sub(left, I64(operand.words)), b.add(at, I64(row * operand.words))
    for phi, base in zip(pixels, bases, strict=True):
        phi.add_incoming(base, outer)
        phi.add_incoming(b.add(phi, I64(WORD * operand.words)), inner)
    left.add_incoming(words, outer)
    left.add_incoming(rest, inner)
    at.add_incoming(packed, outer)
    at.add_incoming(beyond, inner)
    b.cbranch(b.icmp_signed(">", rest, I64(0)), inner, after)

    b.position_at_end(after)
    following = b.add(run, I64(1))
    run.add_incoming(I64(0), before)
    run.add_incoming(following, after)
    packed.add_incoming(weights, before)
    packed.add_incoming(beyond, after)
    for i in range(height):
        for j in range(vectors):
            totals[i][j].add_incoming(starts[j], before)
            totals[i][j].add_incoming(grown[i][j], after)
            current[i][j].add_incoming(totals[i][j], outer)
            current[i][j].add_incoming(grown[i][j], inner)
    b.cbranch(b.icmp_signed("<", following, runs), outer, done)

    b.position_at_end(done)
    return grown


TILES_OF_AN_OPERAND = 16
"""More tiles than any tier has: what tells the operands' tiles apart by number."""


def number(operand: Operand, index: int) -> int:
    """Give the number of the `index`-th tile of the tier in its family."""
    return operand.value * TILES_OF_AN_OPERAND + index


def tiles(tier: Tier = TIER) -> Mapping[int, Emit]:
    """Give a tier's tiles of integers, by `number`; those of real numbers all finish their sums (see `finished`)."""
    return {
        number(operand, index): partial(emit_tile, tier=tier, operand=operand, shape=shape)
        for operand in operands_of(tier)
        if operand is not Operand.FLOATS
        for index, shape in enumerate(tier.tiles)
    }
