"""Tiers: which vector instructions the compiled kernels use on this machine.

A tier is chosen by the features that numba itself compiles for, so that what is chosen also runs. The environment
variable `VARIABLE` forces another one that the machine can run, for tests and comparisons.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from numba.core.registry import cpu_target

from ristretto.errors import RistrettoError

VARIABLE = "RISTRETTO_TIER"

Shape = tuple[int, int]
"""A tile of sums that stay in registers: pixels, vectors of output channels."""

# Vectors of accumulators, the weights beside them and one input fill the 32 registers of the one kind and the 16 of
# the other. The heights divide the widths that pictures have: 7, 8, 13, 14, 27, 28, 32, 55, 56 and their multiples.
WIDE_TILES: tuple[Shape, ...] = ((14, 2), (13, 2), (11, 2), (8, 2), (7, 2), (4, 2), (1, 2), (14, 1), (9, 3))
NARROW_TILES: tuple[Shape, ...] = ((6, 2), (4, 2), (3, 2), (1, 2), (12, 1), (4, 3))
# Where products need a register before they are added, 16 registers have no room for three vectors of weights.
TIGHT_TILES: tuple[Shape, ...] = ((6, 2), (4, 2), (1, 2), (8, 1))


@dataclass(frozen=True)
class Tier:
    """A set of instructions.

    Parameters
    ----------
    name : str
    needs : tuple of str
        LLVM's names of the features without which it does not run.
    lanes : int
        Numbers of 32 bits in a vector.
    dot16 : str
        LLVM's function that multiplies pairs of 16-bit numbers and adds both products up; empty where plain
        instructions say it.
    dot16_adds : bool
        Whether that function adds to an accumulator as well.
    dot8 : str
        The function that adds four products of 8-bit numbers to an accumulator; empty without one.
    short_dot8 : str
        Where there is no such function, one that multiplies unsigned by signed 8-bit numbers and gives the sums of two
        products in 16 bits; `dot16` adds those up. With neither, codes of 8 bits are stored in 16.
    offset : int
        What is added to a signed 8-bit code to store it, where `dot8` multiplies unsigned by signed numbers.
    tiles : tuple of Shape
    """

    name: str
    needs: tuple[str, ...]
    lanes: int
    dot16: str = ""
    dot16_adds: bool = False
    dot8: str = ""
    short_dot8: str = ""
    offset: int = 0
    tiles: tuple[Shape, ...] = NARROW_TILES

    @property
    def registers(self) -> int:
        """The width of a vector, bits."""
        return 32 * self.lanes

    @property
    def multiplies_bytes(self) -> bool:
        """Whether codes of 8 bits are stored in 8: at least where none is negative."""
        return bool(self.dot8 or self.short_dot8)

    @property
    def takes_negative_bytes(self) -> bool:
        """Whether codes of 8 bits are stored in 8 even where some are negative."""
        return bool(self.dot8)

    def runs_on(self, features: frozenset[str]) -> bool:
        """Whether a processor with these features runs it."""
        return features.issuperset(self.needs)


def _vnni(name: str, needs: tuple[str, ...], lanes: int, tiles: tuple[Shape, ...]) -> Tier:
    dots = [f"llvm.x86.avx512.{instruction}.{32 * lanes}" for instruction in ("vpdpwssd", "vpdpbusd")]
    return Tier(name, needs, lanes, dots[0], dot16_adds=True, dot8=dots[1], offset=128, tiles=tiles)


def _pairwise(name: str, needs: tuple[str, ...], lanes: int, dots: tuple[str, str], tiles: tuple[Shape, ...]) -> Tier:
    dot16, short_dot8 = (f"llvm.x86.{instruction}" for instruction in dots)
    return Tier(name, needs, lanes, dot16, short_dot8=short_dot8, tiles=tiles)


TIERS: tuple[Tier, ...] = (
    _vnni("avx512-vnni", ("avx512bw", "avx512vl", "avx512vnni"), 16, WIDE_TILES),
    _pairwise("avx512bw", ("avx512bw", "avx512vl"), 16, ("avx512.pmaddw.d.512", "avx512.pmaddubs.w.512"), WIDE_TILES),
    _vnni("avx-vnni", ("avx2", "avxvnni"), 8, NARROW_TILES),
    _vnni("avx512vl-vnni", ("avx2", "avx512vl", "avx512vnni"), 8, NARROW_TILES),
    _pairwise("avx2", ("avx2",), 8, ("avx2.pmadd.wd", "avx2.pmadd.ub.sw"), TIGHT_TILES),
    Tier("sse2", ("sse2",), 4, "llvm.x86.sse2.pmadd.wd", tiles=TIGHT_TILES),
    Tier("neon-dotprod", ("neon", "dotprod"), 4, dot8="llvm.aarch64.neon.sdot.v4i32.v16i8", tiles=WIDE_TILES),
    Tier("neon", ("neon",), 4, tiles=WIDE_TILES),
    Tier("portable", (), 4),
)
"""Every tier, fastest first; the last one runs wherever LLVM does."""


def cores() -> int:
    """Give the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def features() -> frozenset[str]:
    """Give the features that numba compiles for, by LLVM's names."""
    listed = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
    return frozenset(feature[1:] for feature in listed if feature.startswith("+"))


def runnable() -> tuple[Tier, ...]:
    """Give the tiers that this machine runs, fastest first."""
    present = features()
    return tuple(tier for tier in TIERS if tier.runs_on(present))


def choose(forced: str) -> Tier:
    """Give the fastest tier, or the one of a given name.

    Raises
    ------
    RistrettoError
        When there is no such tier, or this machine does not run it.
    """
    tiers = {tier.name: tier for tier in runnable()}
    if not forced:
        return next(iter(tiers.values()))
    if forced not in tiers:
        known = "this machine does not run it" if forced in {tier.name for tier in TIERS} else "there is no such tier"
        raise RistrettoError(f"{VARIABLE}={forced}: {known}", hint=f"here run: {', '.join(tiers)}")
    return tiers[forced]


TIER = choose(os.environ.get(VARIABLE, ""))
"""The tier of this process."""
