"""Allocation: which widths make the least cost for a distortion, where distortions add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ristretto.search.cost import Cost
from ristretto.search.sites import Assignment, Site, widths_of
from ristretto.search.workload import Place, Workload

Table = NDArray[np.float64]

Distortions = Mapping[tuple[Place, ...], Mapping[int, float]]
"""What the outputs of a net suffer when one site alone is condensed, by its places and its width."""

EQUAL = 1e-12
"""Sums that differ by less, relative to the larger, are the same: they were added up in another order."""
EQUALS_APART = 1e-9
"""The weight of what decides between equals."""


@dataclass(frozen=True, eq=False)
class Allocation:
    """A choice among the widths of sites.

    A layer's cost depends on the width of its weights and on that of its input, a blob's on its own. So once the widths
    of activations are set, each layer's weights can be chosen by themselves, and the least sum of distortion and cost,
    the latter times any factor, is found exactly. All such sums together give the lower convex hull of what can be
    reached.

    Parameters
    ----------
    sites : sequence of Site
        All sites of the net.
    distortions : mapping
        For every width that may be chosen.
    cost : Cost
    workload : Workload
    """

    sites: Sequence[Site]
    distortions: Distortions
    cost: Cost
    workload: Workload

    def price(self, assignment: Assignment) -> float:
        """Give what widths cost."""
        return self.cost.total(self.workload, widths_of(self.sites, assignment))

    def distortion(self, assignment: Assignment) -> float:
        """Give what widths do to the outputs, as far as distortions add up."""
        return sum(self.distortions[site.places][width] for site, width in zip(self.sites, assignment, strict=True))

    def allows(self, assignment: Assignment) -> bool:
        """Whether every site may have its width."""
        return all(width in site.widths for site, width in zip(self.sites, assignment, strict=True))

    def matters(self, at: int) -> bool:
        """Whether the cost depends on the width of the site at a place in the order of all."""
        tables = [table for weights, table in self._read_by[at]]
        tables += [table.T for readers in self._read_by for weights, table in readers if weights == at]
        return bool(np.ptp(self._alone[at])) or any(np.ptp(table, axis=1).any() for table in tables)

    def hull(self) -> list[Assignment]:
        """Give the corners of the lower convex hull, from cheap to dear; distortion falls from one to the next."""
        cheap, dear = self._ends()
        found = [cheap]
        waiting = [(cheap, dear)]
        while waiting:
            left, right = waiting.pop()
            between = self._between(left, right)
            if between is not None:
                # The last one in is the first one out: the left half comes before the right one.
                waiting += [(between, right), (left, between)]
            elif self.price(right) > self.price(found[-1]):
                found.append(right)
        return found

    def _ends(self) -> tuple[Assignment, Assignment]:
        """Give the cheapest net and that with the least distortion; of equals, the better one in the other respect."""
        dear = self._least(1, 0)
        # So little of the other sum that it decides between equals alone.
        cost, distortion = self.price(dear) or 1.0, self.distortion(self._least(0, 1)) or 1.0
        return self._least(EQUALS_APART * cost, distortion), self._least(cost, EQUALS_APART * distortion)

    def _between(self, left: Assignment, right: Assignment) -> Assignment | None:
        """Give a corner that lies below the line through two others, if there is one."""
        dearer = self.price(right) - self.price(left)
        worse = self.distortion(left) - self.distortion(right)
        if dearer <= 0 or worse <= 0:
            return None
        # With these factors the sum is the same at both ends; whatever lies below the line has less.
        found = self._least(dearer, worse)
        here, end = (dearer * self.distortion(a) + worse * self.price(a) for a in (found, left))
        return found if here < end - EQUAL * abs(end) and found not in (left, right) else None

    def _least(self, distortion: float, cost: float) -> Assignment:
        """Give the widths with the least sum of distortion and cost, each times a factor; the narrowest of equals."""
        chosen = [0] * len(self.sites)
        for at, readers in enumerate(self._read_by):
            if self.sites[at].is_weights:
                continue
            whole = distortion * self._suffered[at] + cost * self._alone[at]
            rows = {}
            for weights, table in readers:
                both = distortion * self._suffered[weights][:, None] + cost * table
                rows[weights] = both.argmin(axis=0)
                whole = whole + both.min(axis=0)
            chosen[at] = int(whole.argmin())
            for weights, row in rows.items():
                chosen[weights] = int(row[chosen[at]])
        return tuple(site.widths[index] for site, index in zip(self.sites, chosen, strict=True))

    @cached_property
    def _suffered(self) -> list[Table]:
        """By site, the distortion of each width."""
        return [np.array([self.distortions[site.places][width] for width in site.widths]) for site in self.sites]

    @cached_property
    def _alone(self) -> list[Table]:
        """By site, what each width costs whatever the others are: that of its blobs."""
        tables = [np.zeros(len(site.widths)) for site in self.sites]
        for blob in self.workload.blobs:
            at = self._at[blob.places[0]]
            tables[at] += [self.cost.blob(blob.numbers, width) for width in self.sites[at].widths]
        return tables

    @cached_property
    def _read_by(self) -> list[list[tuple[int, Table]]]:
        """By site of activations, the weights of each layer that reads it, and what the layer costs.

        A table has a row for each width of the weights, and a column for each of the activations.
        """
        readers: list[list[tuple[int, Table]]] = [[] for _ in self.sites]
        for name, work in self.workload.layers.items():
            weights, read = self._at[name, "params"], self._at[name, "layer_in"]
            table = [
                [self.cost.layer(work, params, layer_in) for layer_in in self.sites[read].widths]
                for params in self.sites[weights].widths
            ]
            readers[read].append((weights, np.array(table, np.float64)))
        return readers

    @cached_property
    def _at(self) -> dict[Place, int]:
        """Where each place's site stands."""
        return {place: at for at, site in enumerate(self.sites) for place in site.places}
