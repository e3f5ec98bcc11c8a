"""Neighbours: nets that a search of layers' widths looks at beside those that sensitivities point to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product

from ristretto.net import Part
from ristretto.search.allocation import Allocation
from ristretto.search.mode import LADDER
from ristretto.search.sites import Assignment, Site

LEAST_SAVING = 1e-3
"""What a net must save, as a share of the cost, to be worth a trial."""
GIVEN_BACK = 8
"""Sites that may take a bit for one that is saved: those where it helps most for what it costs."""


def with_one_width(allocation: Allocation, choices: Mapping[Part, Sequence[int]] | None = None) -> list[Assignment]:
    """Give the nets with one width for each part that have the least distortion for their cost, from cheap to dear.

    Parameters
    ----------
    allocation : Allocation
        A site without a choice keeps its width.
    choices : mapping of Part to widths, or None
        By default the widths of the ladder that a search of parts walks down.
    """
    free = [site for site in allocation.sites if len(site.widths) > 1]
    parts = list(dict.fromkeys(site.part for site in free))
    allowed = {part: set.intersection(*(set(site.widths) for site in free if site.part is part)) for part in parts}
    rungs = [[width for width in (choices or {}).get(part, LADDER) if width in allowed[part]] for part in parts]
    nets = []
    for choice in product(*rungs):
        chosen = dict(zip(parts, choice, strict=True))
        net = tuple(chosen[site.part] if len(site.widths) > 1 else site.widths[0] for site in allocation.sites)
        nets.append((allocation.price(net), allocation.distortion(net), net))
    found: list[Assignment] = []
    for _, distortion, net in sorted(nets):
        if not found or distortion < allocation.distortion(found[-1]):
            found.append(net)
    return found


def down_to_the_next_rung(sites: Sequence[Site], net: Assignment) -> dict[Part, range]:
    """Give, for each part of a net with one width for each part, its width and all above the ladder's next rung."""
    found = {}
    for site, width in zip(sites, net, strict=True):
        if len(site.widths) > 1:
            below = max((rung for rung in LADDER if rung < width), default=0)
            found[site.part] = range(below + 1, width + 1)
    return found


def a_bit_narrower(sites: Sequence[Site], net: Assignment) -> list[Site]:
    """Give the sites with a choice between a net's width and one bit less, where they may have less."""
    return [
        replace(site, widths=tuple(each for each in (width - 1, width) if each in site.widths))
        for site, width in zip(sites, net, strict=True)
    ]


def narrower(allocation: Allocation, net: Assignment) -> Iterator[Assignment]:
    """Give cheaper nets with a bit less at one site, and perhaps a bit more at another.

    Those come first that suffer least for what they save.
    """
    price, distortion = allocation.price(net), allocation.distortion(net)
    wider = []
    for at in range(len(net)):
        if allocation.allows(more := _changed(net, at, 1)) and (paid := allocation.price(more) - price) > 0:
            wider.append(((allocation.distortion(more) - distortion) / paid, at))
    given_back = [at for _, at in sorted(wider)[:GIVEN_BACK]]
    found = []
    for at in range(len(net)):
        less = _changed(net, at, -1)
        for new in (less, *(_changed(less, other, 1) for other in given_back if other != at)):
            if allocation.allows(new) and (saved := price - allocation.price(new)) >= LEAST_SAVING * price:
                found.append(((allocation.distortion(new) - distortion) / saved, new))
    for _, new in sorted(found):
        yield new


def _changed(net: Assignment, at: int, bits: int) -> Assignment:
    return (*net[:at], net[at] + bits, *net[at + 1 :])
