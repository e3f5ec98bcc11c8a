"""What happens in a training, as it is told to whoever listens: a terminal, a log, a plot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Updated:
    """The weights were updated.

    Parameters
    ----------
    iteration : int
        Updates so far.
    loss : float
        Of the batches of this update.
    smoothed : float
        The mean over the last updates (``average_loss``).
    rate : float
        The learning rate of this update.
    is_due : bool
        Whether the solver wants a line about it (``display``).
    """

    iteration: int
    loss: float
    smoothed: float
    rate: float
    is_due: bool = False


@dataclass(frozen=True)
class Scored:
    """A net was scored on its TEST data, in fixed point where it is quantized.

    Parameters
    ----------
    iteration : int
        Updates so far.
    net : int
        Which of the solver's test nets.
    scores : mapping of str to float
        Output blobs' means and the figures beside them (``accuracy_argmax``), scores as fractions; blobs of several
        numbers are left out.
    """

    iteration: int
    net: int
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Saved:
    """A snapshot was written.

    Parameters
    ----------
    iteration : int
        Updates so far.
    files : tuple of str
    """

    iteration: int
    files: tuple[str, ...]


Event = Updated | Scored | Saved
