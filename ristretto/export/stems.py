"""Stems: layers' names as files and C have room for them."""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST_STEM = 40
"""Characters: C99 tells names apart by 63, and some stand behind a stem."""
RESERVED = frozenset({"con", "prn", "aux", "nul", "golden", "manifest", "net", "weights"})
"""What a stem must not be: file names that Windows keeps for itself, and those of other files of an export."""


def stems(names: Iterable[str]) -> dict[str, str]:
    """Give each layer a name of letters, digits and underscores, none of which differ in case only.

    Parameters
    ----------
    names : iterable of str
        Different ones, in net order.

    Examples
    --------
    >>> stems(["fire2/squeeze1x1", "fire2_squeeze1x1", "1st", "Conv", "conv"])
    {'fire2/squeeze1x1': 'fire2_squeeze1x1', 'fire2_squeeze1x1': 'fire2_squeeze1x1_2', '1st': 'l_1st', 'Conv': 'Conv', \
'conv': 'conv_2'}
    """
    taken = set(RESERVED)
    result: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "layer"
        plain = (plain if plain[0].isalpha() else f"l_{plain}")[:LONGEST_STEM]
        stem, count = plain, 1
        while stem.lower() in taken:
            count += 1
            stem = f"{plain[: LONGEST_STEM - len(str(count)) - 1]}_{count}"
        taken.add(stem.lower())
        result[name] = stem
    return result
