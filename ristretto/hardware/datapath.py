"""The data path: a quantized net as integers, grid by grid and shift by shift (Figure 1 of Gysel et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ristretto.formats import Arithmetic, FixedPoint, Format
from ristretto.hardware.forms import Carried
from ristretto.hardware.grid import Grid
from ristretto.hardware.mac import MacPath
from ristretto.hardware.obstacle import Obstacle
from ristretto.net import Layer, Net, Shape


@dataclass(frozen=True)
class Trim:
    """A blob is brought to a format: shifted, rounded, saturated.

    Parameters
    ----------
    blob : str
    format : Format
    source : Grid or None
        What it held before; None for real numbers.
    grid : Grid or None
        What it holds then; None for a format without a grid.
    """

    blob: str
    format: Format
    source: Grid | None
    grid: Grid | None

    @property
    def shift(self) -> int | None:
        """Right shift from the producer's grid to the format, bits; to the left where negative, None from reals."""
        return self.source.fl - self.format.fl if self.source and isinstance(self.format, FixedPoint) else None


@dataclass(frozen=True, eq=False)
class Stage:
    """One layer of the data path.

    Parameters
    ----------
    layer : Layer
        As `execute.lower` gives it: with all three formats where it multiplies integers, its float weights trimmed
        else.
    bottoms : tuple of Grid or None
        What its bottoms hold when it computes, `trim_in` done; None for real numbers.
    tops : tuple of Grid or None
        What its tops hold behind it, `trim_out` done.
    shapes : tuple of shape
        Of its bottoms.
    trim_in : Trim or None
        Of its first bottom, in place: every later reader sees it. A `mac` has one.
    trim_out : Trim or None
        Of its top; of a `mac`, from its accumulator.
    mac : MacPath or None
        Of a layer that multiplies and accumulates integers.
    products : MacPath or None
        The same without its bias, where that lies on no grid: an obstacle, met beside powers of two.
    work : Carried or None
        Of any other layer on integers: how its bottoms meet.
    host : bool
        Whether it is no part of the data path: before the first integers (data, and what is computed from them) or
        behind the last ones (scores, losses, a softmax).
    obstacle : Obstacle or None
        Why shifts do not do for it.
    """

    layer: Layer
    bottoms: tuple[Grid | None, ...]
    tops: tuple[Grid | None, ...]
    shapes: tuple[Shape, ...]
    trim_in: Trim | None = None
    trim_out: Trim | None = None
    mac: MacPath | None = None
    products: MacPath | None = None
    work: Carried | None = None
    host: bool = False
    obstacle: Obstacle | None = None


@dataclass(frozen=True, eq=False)
class Datapath:
    """A net of the TEST phase as a machine of integers runs it.

    Parameters
    ----------
    net : Net
        With the copies that `SpellOutSharing` inserts: every blob is a value of its own.
    shapes : mapping of str to tuple of shapes
        Of every layer's tops, by layer name.
    arithmetic : Arithmetic
        Where halves go.
    stages : tuple of Stage
        Of all layers but data, in order.
    grids : mapping of str to Grid or None
        What each value ``LAYER.topK`` holds right behind its layer; None for real numbers. A later `Stage.trim_in` may
        change the blob.
    """

    net: Net
    shapes: Mapping[str, tuple[Shape, ...]]
    arithmetic: Arithmetic
    stages: tuple[Stage, ...]
    grids: Mapping[str, Grid | None]

    @property
    def obstacles(self) -> tuple[tuple[str, Obstacle], ...]:
        """What needs more than shifts, with the layer's name, in order."""
        return tuple((stage.layer.name, stage.obstacle) for stage in self.stages if stage.obstacle)

    def __getitem__(self, name: str) -> Stage:
        for stage in self.stages:
            if stage.layer.name == name:
                return stage
        raise KeyError(name)
