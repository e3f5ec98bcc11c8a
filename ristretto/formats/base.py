"""Format: a set of numbers, as a value."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from numpy.typing import NDArray

FloatArray = NDArray[Any]
CodeArray = NDArray[Any]


class Rounding(Enum):
    """Where a number half-way between two codes goes."""

    HALF_AWAY = "away"
    """Away from zero: Caffe's CPU code, and the default everywhere."""
    HALF_EVEN = "even"
    """To the even code: the fork's GPU code."""


@dataclass(frozen=True)
class Format(ABC):
    """A number format: which numbers exist, and how to reach them.

    A format is one subclass in one file and one entry in ``ristretto.formats.FORMATS``.
    """

    name: ClassVar[str]
    """The format's name in messages and reports."""

    @property
    @abstractmethod
    def bits(self) -> int:
        """Bits of one number, sign included."""

    @property
    @abstractmethod
    def low(self) -> float:
        """The smallest number, in real units."""

    @property
    @abstractmethod
    def high(self) -> float:
        """The largest number, in real units."""

    @abstractmethod
    def trim(self, x: FloatArray, rounding: Rounding = Rounding.HALF_AWAY) -> FloatArray:
        """Round to the nearest number of this format, saturating at its ends."""

    @abstractmethod
    def encode(self, x: FloatArray, rounding: Rounding = Rounding.HALF_AWAY) -> CodeArray:
        """Give the integer codes of the trimmed numbers."""

    @abstractmethod
    def decode(self, codes: CodeArray) -> FloatArray:
        """Give the numbers of integer codes, as float32 in real units."""

    @abstractmethod
    def describe(self) -> str:
        """Give the format in a few characters, for tables."""
