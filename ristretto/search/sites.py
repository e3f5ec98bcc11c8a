"""Sites: what gets a width of its own where every layer does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ristretto.errors import SearchError
from ristretto.net import Layer, Net, Part
from ristretto.search.widths import LayerWidths
from ristretto.search.workload import Place

NARROWEST, WIDEST = 1, 16
"""The widths that a search may choose from, bits."""


@dataclass(frozen=True)
class Bounds:
    """The narrowest and the widest word that a search may choose, bits.

    Raises
    ------
    SearchError
        When they are no bounds.
    """

    min_bits: int = NARROWEST
    max_bits: int = WIDEST

    def __post_init__(self) -> None:
        if not NARROWEST <= self.min_bits <= self.max_bits <= WIDEST:
            raise SearchError(
                f"widths from {self.min_bits} to {self.max_bits} bits",
                hint=f"min_bits must not exceed max_bits, and both lie between {NARROWEST} and {WIDEST}",
            )

    def hold(self, width: int) -> bool:
        """Whether a width lies within them."""
        return self.min_bits <= width <= self.max_bits


@dataclass(frozen=True)
class Kept:
    """The widths that a layer is to have, bits.

    Parameters
    ----------
    params, activations : int
        Of its weights, and of its input and output.
    """

    params: int
    activations: int


@dataclass(frozen=True)
class Site:
    """Numbers that share a width: a layer's weights, or activations that meet.

    Parameters
    ----------
    name : str
        The layer's name, or that of the first blob.
    part : Part
        What of the net it belongs to.
    places : tuple of Place
        In net order.
    widths : tuple of int
        What may be chosen, from narrow to wide, bits; one where the width is given.
    """

    name: str
    part: Part
    places: tuple[Place, ...]
    widths: tuple[int, ...]

    @property
    def is_weights(self) -> bool:
        """Whether it is the weights of a layer."""
        return self.part is not Part.ACTIVATIONS


Assignment = tuple[int, ...]
"""A width for each site, in their order, bits."""


def find_sites(
    net: Net, names: Sequence[str], bounds: Bounds, keep: Mapping[str, Kept] | None = None
) -> tuple[Site, ...]:
    """Find the sites of a net.

    Activations meet where layers that are not quantized lead from one to the other: what a layer makes meets what is
    read of it behind ReLU, pooling or LRN, and all that is joined by Concat or Eltwise. They share a width, so that
    nothing is stored wider than it is read.

    Parameters
    ----------
    net : Net
        Of one phase.
    names : sequence of str
        The layers that are quantized, in net order.
    bounds : Bounds
    keep : mapping of str to Kept
        Widths that are given, by layer; they need not lie within the bounds.

    Returns
    -------
    tuple of Site
        All weights in net order, then all activations in the order in which they are met.

    Raises
    ------
    SearchError
        When a layer to keep is not there, or two that are kept at different widths have activations that meet.
    """
    keep = keep or {}
    if unknown := [name for name in keep if name not in names]:
        raise SearchError(
            f"no layer '{unknown[0]}' that can be quantized", hint=f"those of the net: {', '.join(names)}"
        )
    free = tuple(range(bounds.min_bits, bounds.max_bits + 1))
    found = []
    for name in names:
        part = net[name].op.part
        assert part is not None, "it can be quantized"
        found.append(Site(name, part, ((name, "params"),), (keep[name].params,) if name in keep else free))
    for blob, places in _meetings(net, names):
        kept = {layer: keep[layer].activations for layer, _ in places if layer in keep}
        if len(set(kept.values())) > 1:
            one, first = next(iter(kept.items()))
            two, second = next((layer, width) for layer, width in kept.items() if width != first)
            raise SearchError(
                f"layers '{one}' and '{two}' are kept at {first} and {second} bits, but their activations meet",
                hint=f"keep both at one width, or give that of the weights apart: {two}=WEIGHTS/{first}",
            )
        found.append(Site(blob, Part.ACTIVATIONS, places, tuple(set(kept.values())) or free))
    return tuple(found)


def _meetings(net: Net, names: Sequence[str]) -> Iterator[tuple[str, tuple[Place, ...]]]:
    """Give the places of activations that meet, behind the name of the first blob."""
    quantized = [layer for layer in net if layer.name in set(names)]
    meeting = _Meeting()
    for layer in net:
        # A score only looks at what it reads: through the labels it would join all that is scored.
        if layer.name in set(names) or layer.op.is_data or layer.op.higher_is_better is not None:
            continue
        meeting.join([net.version(blob, before=layer) for blob in layer.bottoms] + _tops(layer))
    places: dict[str, list[Place]] = {}
    blobs: dict[str, str] = {}
    for layer in quantized:
        read, made = net.version(layer.bottoms[0], before=layer), _tops(layer)[0]
        for version, blob, kind in ((read, layer.bottoms[0], "layer_in"), (made, layer.tops[0], "layer_out")):
            root = meeting.root(version)
            blobs.setdefault(root, blob)
            places.setdefault(root, []).append((layer.name, kind))
    for root, found in places.items():
        yield blobs[root], tuple(found)


def _tops(layer: Layer) -> list[str]:
    return [f"{layer.name}.top{index}" for index in range(len(layer.tops))]


class _Meeting:
    """Versions of blobs, joined where they meet."""

    def __init__(self) -> None:
        self.parents: dict[str, str] = {}

    def root(self, version: str) -> str:
        while (parent := self.parents.setdefault(version, version)) != version:
            version = parent
        return version

    def join(self, versions: Sequence[str]) -> None:
        for version in versions[1:]:
            self.parents[self.root(version)] = self.root(versions[0])


def widths_of(sites: Sequence[Site], assignment: Assignment) -> dict[str, LayerWidths]:
    """Give the widths of every layer's places from those of some sites; what belongs to no site stays in float."""
    found: dict[str, dict[str, int]] = {}
    for site, width in zip(sites, assignment, strict=True):
        for layer, kind in site.places:
            found.setdefault(layer, {})[kind] = width
    return {layer: LayerWidths(**places) for layer, places in found.items()}
