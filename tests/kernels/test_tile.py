"""The innermost loops, compiled for processors that this machine need not have: the instructions that they are for."""

from __future__ import annotations

import functools
import math
import re
from collections import Counter

import llvmlite.binding as llvm
import pytest
from llvmlite import ir

from ristretto.kernels import finished, tile
from ristretto.kernels.cpu import TIERS, Shape
from ristretto.kernels.finished import emit_clamped_tile
from ristretto.kernels.tile import Operand, emit_tile, operands_of
from ristretto.kernels.vector import I64

NAMED = {tier.name: tier for tier in TIERS}
X86, ARM = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"
PROCESSORS = {
    "avx512-vnni": (X86, "znver4", ""),
    "avx512bw": (X86, "skylake-avx512", ""),
    "avx-vnni": (X86, "alderlake", ""),
    "avx512vl-vnni": (X86, "znver4", "-avx512bw"),
    "avx2": (X86, "haswell", ""),
    "sse2": (X86, "x86-64", ""),
    "neon-dotprod": (ARM, "", "+neon,+dotprod"),
    "neon": (ARM, "", "+neon"),
}
"""For each tier but the portable one a processor that has it: the target, its name and features."""


@functools.cache
def assembly(tier: str, operand: Operand, shape: Shape) -> str:
    """Compile one tile for the processor of its tier."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * 12), "tile")
    builder = ir.IRBuilder(function.append_basic_block())
    if operand is Operand.FLOATS:
        emit_clamped_tile(builder, function.args, NAMED[tier], operand, shape)
    else:
        emit_tile(builder, function.args[:9], NAMED[tier], operand, shape)
    builder.ret_void()
    triple, cpu, features = PROCESSORS[tier]
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features, opt=3)
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    return str(machine.emit_assembly(parsed))


def used(tier: str, operand: Operand, shape: Shape) -> Counter[str]:
    """Count the instructions of a tile by name."""
    text = assembly(tier, operand, shape)
    return Counter(re.findall(r"^\t(?:\{e?vex\}\s+)?([a-z][a-z0-9]*)", text, re.MULTILINE))


MULTIPLIERS = {
    ("avx512-vnni", Operand.BYTES): "vpdpbusd",
    ("avx512-vnni", Operand.PAIRS): "vpdpwssd",
    ("avx512bw", Operand.PAIRS): "vpmaddwd",
    ("avx512bw", Operand.BYTES): "vpmaddubsw",
    ("avx512bw", Operand.BYTES_BY_TWO): "vpmaddubsw",
    ("avx512bw", Operand.BYTES_BY_FOUR): "vpmaddubsw",
    ("avx-vnni", Operand.BYTES): "vpdpbusd",
    ("avx-vnni", Operand.PAIRS): "vpdpwssd",
    ("avx512vl-vnni", Operand.BYTES): "vpdpbusd",
    ("avx512vl-vnni", Operand.PAIRS): "vpdpwssd",
    ("avx2", Operand.PAIRS): "vpmaddwd",
    ("avx2", Operand.BYTES): "vpmaddubsw",
    ("avx2", Operand.BYTES_BY_TWO): "vpmaddubsw",
    ("avx2", Operand.BYTES_BY_FOUR): "vpmaddubsw",
    ("sse2", Operand.PAIRS): "pmaddwd",
    ("neon-dotprod", Operand.BYTES): "sdot",
}


@pytest.mark.parametrize(("tier", "operand"), MULTIPLIERS, ids=lambda value: getattr(value, "name", value))
def test_one_instruction_multiplies_and_adds_a_word(tier: str, operand: Operand) -> None:
    """There is one for each vector of sums in the tile: nothing is multiplied piecemeal."""
    name = MULTIPLIERS[tier, operand]
    for shape in NAMED[tier].tiles:
        found = used(tier, operand, shape)
        assert found[name], shape
        # Where LLVM thinks it faster, on Intel's processors, it parts this one into a multiplication and an addition.
        parted = found["vpmaddwd"] if name == "vpdpwssd" else 0
        assert found[name] + parted == operand.words * math.prod(shape), shape
        if name == "vpmaddubsw":
            # However many words it was, their sum in 16 bits is widened once.
            assert found["vpmaddwd"] == math.prod(shape), shape


@pytest.mark.parametrize("tier", ["neon", "neon-dotprod"])
def test_neon_multiplies_pairs_into_longer_words(tier: str) -> None:
    for shape in NAMED[tier].tiles:
        found = used(tier, Operand.PAIRS, shape)
        longer = sum(found[name] for name in ("smlal", "smlal2", "smull", "smull2"))
        assert longer == 2 * math.prod(shape), shape
        assert not found["mul"] + found["mla"]


@pytest.mark.parametrize(
    ("tier", "name"),
    [
        *((tier, "vfmadd") for tier in ("avx512-vnni", "avx512bw", "avx-vnni", "avx512vl-vnni", "avx2")),
        *((tier, "fmla") for tier in ("neon-dotprod", "neon")),
    ],
)
def test_real_numbers_are_multiplied_and_added_at_once(tier: str, name: str) -> None:
    for shape in NAMED[tier].tiles:
        found = used(tier, Operand.FLOATS, shape)
        assert sum(count for each, count in found.items() if each.startswith(name)) == math.prod(shape), shape
        assert not any("mul" in each for each in found)


@pytest.mark.parametrize(
    ("tier", "operand"),
    [(tier, operand) for tier in PROCESSORS for operand in operands_of(NAMED[tier])],
    ids=lambda value: getattr(value, "name", value),
)
def test_sums_stay_in_registers(tier: str, operand: Operand) -> None:
    """A vector stored and loaded again in the loop costs more than what the loop does."""
    for shape in NAMED[tier].tiles:
        spilled = [
            line
            for line in assembly(tier, operand, shape).splitlines()
            if re.search(r"Spill|Reload", line) and re.search(r"[xyz]mm\d|\bq\d", line)
        ]
        assert not spilled, shape


@pytest.mark.parametrize("tier", PROCESSORS)
def test_next_weights_are_fetched_line_by_line(tier: str) -> None:
    lanes, name = NAMED[tier].lanes, "prfm" if tier.startswith("neon") else "prefetcht1"
    for shape in NAMED[tier].tiles:
        weights = tile.WORD * lanes * shape[1]
        assert used(tier, Operand.PAIRS, shape)[name] == math.ceil(weights / tile.CACHE_LINE), shape


def test_every_tile_has_a_number_of_its_own() -> None:
    for tier in TIERS:
        numbers, finishing = tile.tiles(tier), finished.finished_tiles(tier)
        of_integers = 2 if tier.dot8 else 4 if tier.short_dot8 else 1
        assert len(numbers) == len(tier.tiles) * of_integers
        for operand in Operand:
            known = [
                [tile.number(operand, index) in family for index in range(len(tier.tiles))]
                for family in (numbers, finishing)
            ]
            # Sums of real numbers are never stored as they are, and halves never apart.
            assert set(known[0]) == {operand in operands_of(tier) and operand is not Operand.FLOATS}
            wanted = operand in (*operands_of(tier), Operand.HALVES)
            assert known[1] == [wanted and vectors % operand.parts == 0 for _, vectors in tier.tiles]


@pytest.mark.parametrize("tier", NAMED)
def test_a_line_of_one_pixel_has_a_tile(tier: str) -> None:
    """Whatever the width, some tile fits."""
    assert (1, 2) in NAMED[tier].tiles
