"""``hex``: words for Verilog and for programmers of memories."""

from __future__ import annotations

from collections.abc import Sequence

from ristretto.export.memory_files import intel_hex, readmemh
from ristretto.export.table import Table
from ristretto.export.word_files import GOLDEN, MemoryFile, WordFiles, Written
from ristretto.export.word_layers import WordLayer

READMEMH = MemoryFile("mem", readmemh)
INTEL_HEX = MemoryFile("hex", intel_hex)


class HexFiles(WordFiles):
    """For each table a file for ``$readmemh`` and one in Intel HEX.

    Golden vectors, which a test bench reads, are of the first kind alone.
    """

    name = "hex"
    summary = "weights for Verilog's $readmemh, and in Intel HEX"

    def write(self, layers: Sequence[WordLayer]) -> Written:
        """Give two files for each table."""
        tables = [table for each in layers for table in each.tables]
        return Written.memories("", tables, {"readmemh": READMEMH, "intel_hex": INTEL_HEX})

    def write_golden(self, tables: Sequence[Table]) -> Written:
        """Give a file for each table, in a folder of their own."""
        return Written.memories(f"{GOLDEN}/", tables, {"readmemh": READMEMH})
