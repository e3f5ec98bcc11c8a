"""Accumulators: how wide a layer's sums must be, and its weights packed for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ristretto.kernels.cpu import TIER
from ristretto.kernels.epilogue import SPLIT
from ristretto.kernels.tile import WORD, Operand
from ristretto.net.op import Array

NARROW_BITS = 31
SHORT_BITS = 15
"""Of a sum in 16 bits, without its sign."""
MOST_FILLING = 8
"""A run may be filled up with zeros, to whole groups of words, by one number in so many."""
FEWEST_WORDS = 8
"""Words in a piece of a sum for which int32 must do, if its pieces are to be added up in 64 bits: with fewer, adding
the pieces up costs more than splitting the weights."""


@dataclass(frozen=True, eq=False)
class Walk:
    """How the terms of a sum lie in memory: runs of words, the weights beside them in the same order.

    Parameters
    ----------
    offsets : int64 array (runs,)
        Where each run starts, bytes from the pixel's first input.
    terms : integer array (runs, words * per word)
        Which of a row's weights each number meets; -1 for none.
    lines : int
        Of the window, of which each has as many runs; 1 where runs of different lines are not told apart.
    """

    offsets: Array
    terms: Array
    lines: int = 1


@dataclass(frozen=True, eq=False)
class Accumulator:
    """What a job's sums are made of.

    Parameters
    ----------
    walk : Walk
        With runs cut into pieces that fit.
    halves : sequence of integer arrays (outputs, terms)
        The weights; two where they are split: the upper bits, then the lower `SPLIT` ones.
    wide : bool
        Whether pieces are added up in 64 bits.
    runs_at_a_time : int
        How many runs int32 holds.
    operand : Operand
        What is multiplied; with `Operand.HALVES`, the one array of weights has both halves, by vectors.
    in_registers : bool
        Whether sums become codes there.
    """

    walk: Walk
    halves: Sequence[Array]
    wide: bool
    runs_at_a_time: int
    operand: Operand
    in_registers: bool = False

    @property
    def name(self) -> str:
        """The kind: int32, flushed or split; or joined, where halves become codes in registers."""
        if self.operand is Operand.HALVES:
            return "joined"
        return ("flushed", "split")[len(self.halves) - 1] if self.wide else "int32"


def laid_out(rows: Array, walk: Walk) -> Array:
    """Give rows of weights in the order of a walk, zeros where a number meets none: (outputs, runs, numbers)."""
    padded = np.concatenate([rows, np.zeros((len(rows), 1), rows.dtype)], axis=1)
    return padded[:, walk.terms]


@dataclass(frozen=True, eq=False)
class Totals:
    """What sums are made of beside products, and rounded by: ``(sum * 2**lift + bias) * 2**-shift``.

    Parameters
    ----------
    bias : int64 array (outputs,), on the accumulator's grid; or float64, which needs sums of 64 bits
    shift : int
        To the first stage's grid, bits.
    lift : int
        Left shift of a sum to the accumulator's grid, bits.
    left : int
        Left shift in the end, bits.
    """

    bias: Array
    shift: int
    lift: int = 0
    left: int = 0


def fits_int32(rows: Array, totals: Totals, largest_input: int) -> bool:
    """Whether int32 holds every total, rounded, in whatever order it is added up; see `choose_accumulator`."""
    if totals.bias.dtype == np.float64 or totals.lift or not 0 <= totals.shift <= NARROW_BITS:
        return False
    sizes = np.abs(rows.astype(np.int64)).sum(axis=1)
    half = (1 << totals.shift) >> 1
    greatest = (int(size) * largest_input + abs(int(b)) + half for size, b in zip(sizes, totals.bias, strict=True))
    return max(greatest) >> NARROW_BITS == 0


def halves_fit_int32(halves: Sequence[Array], totals: Totals, largest_input: int) -> bool:
    """Whether int32 holds both halves of every total, rounded, where weights are split."""
    if totals.bias.dtype == np.float64 or totals.lift or not SPLIT < totals.shift <= NARROW_BITS + SPLIT:
        return False
    if totals.left > totals.shift - SPLIT:
        return False
    upper, lower = (np.abs(half.astype(np.int64)).sum(axis=1) * largest_input for half in halves)
    bias_upper, bias_lower = split_bias(totals.bias)
    lower += bias_lower + 1
    upper += np.abs(bias_upper) + (1 << (totals.shift - SPLIT) >> 1) + (lower >> SPLIT) + 1
    return int(max(upper.max(), lower.max())) >> NARROW_BITS == 0


def choose_accumulator(
    rows: Array, walk: Walk, operand: Operand, largest_input: int, totals: Totals, finished: Totals | None = None
) -> Accumulator:
    """Choose by the exact bound: the greatest total that any input of the format can cause.

    Parameters
    ----------
    rows : integer array (outputs, terms)
    walk : Walk
    operand : Operand
    largest_input : int
        The greatest absolute value of an input code.
    totals : Totals
    finished : Totals or None
        The same as totals that become codes in registers, if they can.
    """
    narrow = _in_int32(rows, walk, operand, largest_input, totals, finished)
    if narrow:
        return narrow
    # Bytes are stored with an offset, so what the sums meet may be larger than any code.
    stored = largest_input + (TIER.offset if operand is Operand.BYTES else 0)
    flushed = _in_pieces([rows], walk, operand, stored)
    if flushed and flushed.walk.terms.shape[1] * flushed.runs_at_a_time >= FEWEST_WORDS * operand.per_word:
        return flushed
    halves = split(rows)
    in_halves = _joined(halves, walk, operand, largest_input, finished) or _in_pieces(halves, walk, operand, stored)
    assert in_halves, "weights of eight bits and inputs of sixteen fit int32 by the hundred"
    return in_halves


def choose_depthwise(
    rows: Array, walk: Walk, operand: Operand, largest_input: int, totals: Totals, finished: Totals | None = None
) -> Accumulator:
    """Choose for sums of a channel's own window, the halves of which int32 always holds; see `choose_accumulator`."""
    narrow = _in_int32(rows, walk, operand, largest_input, totals, finished)
    if narrow:
        return narrow
    halves = split(rows)
    return _joined(halves, walk, operand, largest_input, finished) or Accumulator(
        walk, halves, wide=True, runs_at_a_time=len(walk.offsets), operand=operand
    )


def _in_int32(
    rows: Array, walk: Walk, operand: Operand, largest_input: int, totals: Totals, finished: Totals | None
) -> Accumulator | None:
    in_registers = bool(finished and fits_int32(rows, finished, largest_input))
    if in_registers or fits_int32(rows, totals, largest_input):
        return Accumulator(walk, [rows], False, len(walk.offsets), operand, in_registers)
    return None


def _joined(
    halves: Sequence[Array], walk: Walk, operand: Operand, largest_input: int, finished: Totals | None
) -> Accumulator | None:
    if finished and operand is Operand.PAIRS and halves_fit_int32(halves, finished, largest_input):
        return Accumulator(walk, [by_vectors(halves)], False, len(walk.offsets), Operand.HALVES, in_registers=True)
    return None


def in_short_sums(rows: Array, walk: Walk, largest_input: int) -> tuple[Operand, Walk]:
    """Choose how many words of bytes have their products added up in 16 bits: as many as always fit.

    Parameters
    ----------
    rows : integer array (outputs, terms)
        Weights of up to 8 bits.
    walk : Walk
    largest_input : int
        The greatest input code; none is negative, so the extremes are all weights of one sign times that.

    Returns
    -------
    Operand, Walk
        The walk with runs of whole groups of words.
    """
    for operand in (Operand.BYTES_BY_FOUR, Operand.BYTES_BY_TWO):
        group = operand.words * operand.per_word
        short = -walk.terms.shape[1] % group
        if short * MOST_FILLING > walk.terms.shape[1]:
            continue
        filled = replace(walk, terms=np.pad(walk.terms, ((0, 0), (0, short)), constant_values=-1))
        # Of each word, the first two products make one sum and the others another.
        groups = laid_out(rows, filled).reshape(-1, operand.words, 2, 2)
        sums = (sign(groups, 0).sum(axis=(1, 3), dtype=np.int32) for sign in (np.maximum, np.minimum))
        if max(int(np.abs(sum_of).max(initial=0)) for sum_of in sums) * largest_input >> SHORT_BITS == 0:
            return operand, filled
    return Operand.BYTES, walk


def split(rows: Array) -> list[Array]:
    """Split weights of up to 16 bits in two: ``upper * 2**SPLIT + lower``, lower from -128 to 127."""
    low = ((rows.astype(np.int32) + (1 << (SPLIT - 1))) & ((1 << SPLIT) - 1)) - (1 << (SPLIT - 1))
    return [(rows - low) >> SPLIT, low]


def split_bias(bias: Array) -> list[Array]:
    """Split what is added to sums in two likewise, the lower one from 0 to 255."""
    return [bias >> SPLIT, bias & ((1 << SPLIT) - 1)]


def by_vectors(halves: Sequence[Array]) -> Array:
    """Join two arrays (outputs, ...): the upper halves of a vector of outputs, then their lower ones, and so on."""
    short = -len(halves[0]) % TIER.lanes
    padded = [np.pad(half, ((0, short), *(((0, 0),) * (half.ndim - 1)))) for half in halves]
    vectors = [half.reshape(-1, 1, TIER.lanes, *half.shape[1:]) for half in padded]
    return np.concatenate(vectors, axis=1).reshape(-1, *halves[0].shape[1:])


def _in_pieces(halves: Sequence[Array], walk: Walk, operand: Operand, stored: int) -> Accumulator | None:
    """Cut runs until int32 holds a piece, then take as many at a time as it holds; None where it holds no word."""
    words = walk.terms.shape[1] // operand.per_word
    while True:
        cut = _cut(walk, words, operand)
        sizes = np.maximum.reduce([np.abs(laid_out(half, cut).astype(np.int64)).sum(axis=2) for half in halves])
        if int(sizes.max(initial=0)) * stored >> NARROW_BITS == 0:
            break
        if words == 1:
            return None
        words = -(-words // 2)
    runs = len(cut.offsets)
    while runs > 1:
        starts = np.arange(0, len(cut.offsets), runs)
        if int(np.add.reduceat(sizes, starts, axis=1).max(initial=0)) * stored >> NARROW_BITS == 0:
            break
        runs = -(-runs // 2)
    return Accumulator(cut, halves, wide=True, runs_at_a_time=runs, operand=operand)


def _cut(walk: Walk, words: int, operand: Operand) -> Walk:
    """Cut every run into pieces of so many words."""
    whole = walk.terms.shape[1] // operand.per_word
    pieces = -(-whole // words)
    numbers = words * operand.per_word
    padding = ((0, 0), (0, pieces * numbers - walk.terms.shape[1]))
    terms = np.pad(walk.terms, padding, constant_values=-1).reshape(-1, numbers)
    offsets = walk.offsets[:, None] + np.arange(pieces)[None] * words * WORD
    return Walk(offsets.reshape(-1), terms)


def pack(rows: Array, walk: Walk, operand: Operand, vectors: int) -> Array:
    """Pack weights for the tiles: (panels, runs * words, vectors, lanes, per word), aligned to 64 bytes."""
    kind = np.float32 if operand is Operand.FLOATS else np.dtype(f"int{operand.bits}")
    lanes = TIER.lanes * vectors
    panels = -(-len(rows) // lanes)
    ordered = laid_out(rows, walk).reshape(len(rows), -1, operand.per_word)
    packed = aligned((panels, ordered.shape[1], lanes, operand.per_word), np.dtype(kind))
    packed[...] = 0
    for panel in range(panels):
        part = ordered[panel * lanes : (panel + 1) * lanes]
        packed[panel, :, : len(part)] = part.transpose(1, 0, 2)
    return packed


def aligned(shape: tuple[int, ...], kind: np.dtype[np.generic]) -> Array:
    """Give an array that starts at a multiple of 64 bytes, where a vector's load meets one cache line."""
    size = int(np.prod(shape)) * kind.itemsize
    raw = np.empty(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(kind).reshape(shape)
