"""Nets compiled once into programs: a graph of layers, made smaller, laid out in memory, and packed for the kernels."""

from ristretto.execute.compiled.graph import Builder
from ristretto.execute.compiled.piece import Codes, Piece
from ristretto.execute.compiled.step import ProgramStep

__all__ = ["Builder", "Codes", "Piece", "ProgramStep"]
