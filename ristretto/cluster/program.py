"""What a program's numbers depend on, so that machines with different ones are not mixed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

from ristretto import __version__
from ristretto.identity import hash_files
from ristretto.kernels.cpu import TIER, features

LIBRARIES = ("numba", "numpy")
"""Those that the numbers of nets that run on workers go through."""


@cache
def program() -> Mapping[str, str]:
    """Give this program by its parts; marks are the same wherever all of them are."""
    # A version says too little while the package is being worked on.
    sources = hash_files(sorted(Path(__file__).parent.parent.rglob("*.py")))
    # All tiers give the same bits, but for float32 on a processor that cannot multiply and add at once.
    fused = "sse2" not in TIER.needs or "fma" in features()
    return {
        "ristretto": __version__,
        "ristretto's sources": sources[:16],
        **{library: version(library) for library in LIBRARIES},
        "fused multiplication and addition": "yes" if fused else "no",
    }


def difference(other: Mapping[str, str]) -> str:
    """Say in what another program differs from this one; nothing where it does not."""
    own = program()
    return ", ".join(
        f"{part} {other.get(part, 'none')} instead of {own[part]}" for part in own if other.get(part) != own[part]
    )
