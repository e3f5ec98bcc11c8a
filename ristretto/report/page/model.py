"""What a page shows, as read from files: frozen, typed, and fit to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ristretto.formats import Format


@dataclass(frozen=True)
class Bins:
    """A histogram: where the first bin begins and how wide each is, real units, and the counts."""

    start: float
    width: float
    counts: tuple[int, ...]

    @property
    def end(self) -> float:
        """Where the last bin ends."""
        return self.start + self.width * len(self.counts)


@dataclass(frozen=True)
class Place:
    """A layer's input, its output or its weights.

    Parameters
    ----------
    key : str
        ``layer_in``, ``layer_out`` or ``params``.
    fmt : Format or None
        None for one that is left in float.
    low, high : float
        The range, real units.
    bins : Bins
    sqnr : float or None
        In dB; None where nothing is lost, or there is no format.
    saturated : float or None
        The share of the numbers; None where there is no format.
    rectified : bool
        Whether negative numbers count as zeros, as a ReLU follows.
    """

    key: str
    fmt: Format | None
    low: float
    high: float
    bins: Bins
    sqnr: float | None
    saturated: float | None
    rectified: bool


@dataclass(frozen=True)
class CondensedLayer:
    """A layer that can be quantized; counts are None where the TEST net lacks it.

    Parameters
    ----------
    name, type, part : str
    places : tuple of Place
        Input, weights, output.
    macs : int or None
        For one picture.
    numbers : mapping of str to int
        How many numbers a place holds, for one picture.
    param_bits : int or None
        The memory that its weights take, bits.
    """

    name: str
    type: str
    part: str
    places: tuple[Place, Place, Place]
    macs: int | None
    numbers: Mapping[str, int]
    param_bits: int | None


@dataclass(frozen=True)
class Node:
    """A layer of the net, whatever its type: names of blobs, shapes of its tops."""

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    parameters: int | None
    macs: int | None


@dataclass(frozen=True)
class Interval:
    """Where a difference of scores lies, as fractions, at a level of confidence."""

    low: float
    high: float
    level: float


@dataclass(frozen=True)
class Attempt:
    """A scored net; see ``ristretto.search.Trial``.

    Parameters
    ----------
    part : str
    widths : str
        In a few characters.
    mean : float or None
        The mean width of what was condensed, bits: the part's own, or that of all weights where parts or layers have
        several; None where these are in float.
    score, argmax : float or None
        As fractions; None for a score that is no number.
    holds, stopped : bool
    difference : Interval or None
    cost : float or None
    """

    part: str
    widths: str
    mean: float | None
    score: float | None
    argmax: float | None
    holds: bool
    stopped: bool
    difference: Interval | None
    cost: float | None


@dataclass(frozen=True)
class Site:
    """Numbers that share a width, and the distortion that each width makes; `chosen` is the one taken, bits."""

    name: str
    part: str
    distortions: Mapping[int, float | None]
    chosen: int | None


@dataclass(frozen=True)
class FrontNet:
    """A net of a Pareto front."""

    prototxt: str
    cost: float
    score: float | None
    argmax: float | None
    holds: bool
    chosen: bool


@dataclass(frozen=True)
class Front:
    """A Pareto front: nets from cheap to dear, and the cost of the float net."""

    net: str
    cost: str
    unit: str
    in_float: float
    nets: tuple[FrontNet, ...]


@dataclass(frozen=True)
class SweptPoint:
    """A net of a sweep: one part at one width, in one trimming mode."""

    mode: str
    part: str
    width: int
    score: float | None


@dataclass(frozen=True)
class Sweep:
    """A sweep, with the float net's score."""

    net: str
    score_blob: str
    higher_is_better: bool
    baseline: float | None
    points: tuple[SweptPoint, ...]


@dataclass(frozen=True)
class Memory:
    """Bits that something takes in float, and condensed."""

    in_float: int
    condensed: int


@dataclass(frozen=True)
class Cost:
    """What was minimized, if anything was."""

    name: str
    unit: str


@dataclass(frozen=True)
class Result:
    """A search's result, as ``ristretto quantize --json`` writes it; scores are fractions.

    Parameters
    ----------
    decided_baseline : float or None
        The float net's score on the batches that the trials were scored on.
    """

    version: str
    net: str
    trimming_mode: str
    preset: str
    score_blob: str
    higher_is_better: bool
    baseline: float | None
    baseline_argmax: float | None
    decided_baseline: float | None
    score: float | None
    argmax: float | None
    difference: Interval | None
    error_margin: float
    confidence: float | None
    within_margin: bool
    bits: Mapping[str, int]
    attempts: tuple[Attempt, ...]
    layers: tuple[CondensedLayer, ...]
    nodes: tuple[Node, ...]
    sites: tuple[Site, ...]
    macs: int
    weights: Memory
    activations: Memory
    cost: Cost | None
    source: str
    batches: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Findings:
    """All that one page is about."""

    result: Result
    sweep: Sweep | None = None
    front: Front | None = None
