"""``coe``: words for Xilinx's memory generators."""

from __future__ import annotations

from collections.abc import Sequence

from ristretto.export.memory_files import coe
from ristretto.export.table import Table
from ristretto.export.word_files import GOLDEN, MemoryFile, WordFiles, Written
from ristretto.export.word_layers import WordLayer

COE = MemoryFile("coe", coe)


class CoeFiles(WordFiles):
    """A COE file for each table."""

    name = "coe"
    summary = "weights for Xilinx's memory generators"

    def write(self, layers: Sequence[WordLayer]) -> Written:
        """Give a file for each table."""
        return Written.memories("", [table for each in layers for table in each.tables], {"coe": COE})

    def write_golden(self, tables: Sequence[Table]) -> Written:
        """Give a file for each table, in a folder of their own."""
        return Written.memories(f"{GOLDEN}/", tables, {"coe": COE})
