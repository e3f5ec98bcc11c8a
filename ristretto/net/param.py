"""ParamSpec: how fast one weight blob is trained, and the name under which layers share it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ParamSpec:
    """One ``param`` block of a layer; the first is of its first blob, and so on.

    Parameters
    ----------
    name : str
        Blobs of one name are one blob; empty for one that is the layer's own.
    lr_mult : float
        Factor of the solver's learning rate; 0 for a blob that stays as it is.
    decay_mult : float
        Factor of the solver's weight decay.
    """

    name: str = ""
    lr_mult: float = 1.0
    decay_mult: float = 1.0
