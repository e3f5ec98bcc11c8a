"""Layered: how the widths of layers were chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ristretto.search.allocation import Distortions
from ristretto.search.cost import Cost
from ristretto.search.effort import Effort
from ristretto.search.sites import Site
from ristretto.search.widths import Widths
from ristretto.search.workload import Workload


@dataclass(frozen=True, eq=False)
class Layered:
    """What a search of layers' widths went by.

    Parameters
    ----------
    cost : Cost
        What was minimized.
    workload : Workload
    sites : sequence of Site
        What had a width of its own.
    distortions : mapping
        What each site's widths do to the outputs.
    effort : Effort
        What the search ran.
    best_of_parts : mapping of str to LayerWidths, or None
        The cheapest net with one width for each part that was tried and held, if one did.
    front : bool
        Whether nets along the front were tried, too.
    """

    cost: Cost
    workload: Workload
    sites: Sequence[Site]
    distortions: Distortions
    effort: Effort
    best_of_parts: Widths | None = None
    front: bool = False

    def price(self, widths: Widths) -> float:
        """Give what a net of these widths costs; what has none is in float."""
        return self.cost.total(self.workload, widths)
