"""A quantized net's operations as plain data, and a reference program in C99 that is made from them."""

from ristretto.export.program.generate import generate
from ristretto.export.program.operations import Operations, operations

__all__ = ["Operations", "generate", "operations"]
