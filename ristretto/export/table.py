"""Table: an array of words, as files for hardware hold it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ristretto.net.op import Array

TWOS_COMPLEMENT = "twos_complement"
"""The packing of words that are integers with a sign."""
WIDEST_WORD = 64
"""Bits of the longest word that files hold."""


@dataclass(frozen=True, eq=False)
class Table:
    """An array of words.

    Parameters
    ----------
    stem : str
        Its layer's name in files and in C (see `stems`).
    name : str
        What it holds: "weights", "bias", "inputs", "accumulators" or "outputs".
    words : integer array
        Of two's complement with their sign, of any other packing not negative.
    axes : tuple of str
        What its axes count; the last one runs fastest.
    bits : int
        Width of a word, up to `WIDEST_WORD`.
    packing : str
        What the bits of a word mean: `TWOS_COMPLEMENT`, "sign_exponent", "minifloat" or "binary64".
    fl : int or None
        Fractional length, bits: a word w stands for ``w * 2**-fl``; None where its packing says more.
    """

    stem: str
    name: str
    words: Array
    axes: tuple[str, ...]
    bits: int
    packing: str = TWOS_COMPLEMENT
    fl: int | None = None

    @property
    def key(self) -> str:
        """Its name among all tables."""
        return f"{self.stem}.{self.name}"

    @property
    def is_signed(self) -> bool:
        """Whether words are integers with a sign."""
        return self.packing == TWOS_COMPLEMENT

    @property
    def container(self) -> np.dtype[np.integer]:
        """The smallest of numpy's and C's integers that holds a word."""
        size = next(bits for bits in (8, 16, 32, 64) if self.bits <= bits)
        return np.dtype(f"{'int' if self.is_signed else 'uint'}{size}")

    @property
    def array(self) -> Array:
        """The words in their container, C-contiguous, little-endian."""
        return np.ascontiguousarray(self.words, self.container.newbyteorder("<"))

    @property
    def patterns(self) -> NDArray[np.uint64]:
        """The bits of each word, in order, with zeros above them."""
        words = self.words.reshape(-1).astype(np.uint64)
        return words & np.uint64((1 << self.bits) - 1)

    @property
    def caption(self) -> str:
        """What it is in one line of ASCII, for comments."""
        shape = " x ".join(f"{axis} {size}" for axis, size in zip(self.axes, self.words.shape, strict=True))
        scale = "" if self.fl is None else f", fl {self.fl}"
        return f"{self.key}: {shape}; {self.words.size} words of {self.bits} bits, {self.packing}{scale}"
