"""Obstacle: why something in a net needs more than shifts, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


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
