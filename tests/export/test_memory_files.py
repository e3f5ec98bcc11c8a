"""Files that initialise memories, read back by other readers than ours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.export.memory_files import coe, intel_hex, readmemh
from ristretto.export.table import Table
from tests.export import readers


@st.composite
def tables(draw: st.DrawFn) -> Table:
    bits = draw(st.integers(1, 64))
    packed = draw(st.booleans())
    low, high = (0, (1 << bits) - 1) if packed else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    kind = np.uint64 if packed else np.int64
    shape = draw(st.sampled_from([(1,), (3,), (2, 5), (4, 4), (33,)]))
    ends = st.sampled_from([low, high, min(1, high)])
    size = int(np.prod(shape))
    words = draw(st.lists(st.one_of(ends, st.integers(low, high)), min_size=size, max_size=size))
    array = np.array(words, kind).reshape(shape)
    axes = tuple(f"axis{index}" for index in range(len(shape)))
    return Table("it", "weights", array, axes, bits, "minifloat" if packed else "twos_complement", 0)


def wanted(table: Table) -> list[int]:
    return [int(word) % (1 << table.bits) for word in table.words.reshape(-1)]


@given(tables())
def test_readmemh_comes_back(table: Table) -> None:
    text = readmemh(table).decode("ascii")
    assert readers.readmemh(text) == wanted(table)
    lines = text.splitlines()[1:]
    assert {len(line) for line in lines} == {-(-table.bits // 4)}


@given(tables())
def test_coe_comes_back(table: Table) -> None:
    text = coe(table).decode("ascii")
    assert readers.coe(text) == wanted(table)
    assert text.endswith(";\n")


@given(tables())
def test_intel_hex_comes_back(table: Table) -> None:
    assert readers.intel_hex(intel_hex(table).decode("ascii"), table.bits) == wanted(table)


def test_short_words_keep_their_sign_in_longer_ones() -> None:
    table = Table("it", "bias", np.array([-3, 5]), ("output",), 12)
    assert intel_hex(table) == b":04000000FDFF0500FB\n:00000001FF\n"


def test_known_files() -> None:
    table = Table("it", "bias", np.array([-1, 0, 7, -8]), ("output",), 4, fl=2)
    head = "it.bias: output 4; 4 words of 4 bits, twos_complement, fl 2"
    assert readmemh(table).decode() == f"// {head}\nf\n0\n7\n8\n"
    assert coe(table).decode() == (
        f"; {head}\nmemory_initialization_radix=16;\nmemory_initialization_vector=\nf,\n0,\n7,\n8;\n"
    )


@pytest.mark.parametrize("count", [65535, 65536, 65537, 131072, 200_001])
def test_intel_hex_reaches_beyond_a_segment(count: int) -> None:
    words = np.random.default_rng(count).integers(-128, 128, count)
    table = Table("it", "weights", words, ("output",), 8)
    assert readers.intel_hex(intel_hex(table).decode("ascii"), 8) == wanted(table)
