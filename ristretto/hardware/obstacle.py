"""Obstacle: why something in a net needs more than shifts, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ristretto.errors import HardwareError


@dataclass(frozen=True)
class Obstacle:
    """What a machine of integers and shifts cannot do.

    Parameters
    ----------
    kind : str
        In a word or two; the same for the same reason.
    reason : str
        What is so, in one line.
    advice : str
        What to do about it, in one line.
    """

    kind: str
    reason: str
    advice: str


def refuse_obstacles(obstacles: Sequence[tuple[str, Obstacle]]) -> None:
    """Raise a HardwareError for what needs more than shifts, if there is any.

    Raises
    ------
    HardwareError
    """
    if not obstacles:
        return
    (name, first), *rest = obstacles
    others = list(dict.fromkeys(f"'{other}'" for other, _ in rest))
    more = f"; so do {_listed(others)}" if others else ""
    raise HardwareError(
        f"layer '{name}' needs more than shifts: {first.reason}{more}",
        hint=f"{first.advice}; `ristretto hardware` without --strict_hardware shows all of it",
    )


def _listed(names: Sequence[str], most: int = 4) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
