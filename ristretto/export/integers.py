"""``integers``: words as arrays of numpy."""

from __future__ import annotations

from collections.abc import Sequence

from ristretto.export.word_files import WordFiles, Written
from ristretto.export.word_layers import WordLayer


class Integers(WordFiles):
    """One archive of all weights and biases: ``LAYER.weights`` and ``LAYER.bias``."""

    name = "integers"
    summary = "weights as integers in an archive of numpy"

    def write(self, layers: Sequence[WordLayer]) -> Written:
        """Give the archive."""
        return Written.archive("weights.npz", [table for each in layers for table in each.tables])
