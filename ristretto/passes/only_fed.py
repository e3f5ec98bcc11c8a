"""OnlyFed: the part of a net that some of its inputs are enough for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ristretto.net import Layer, Net


@dataclass(frozen=True)
class OnlyFed:
    """Leaves out layers that read, themselves or by others, what is not given from outside.

    A training net asks for labels, for its loss and its accuracy. Without them it still makes class scores.

    Parameters
    ----------
    given : frozenset of str
        The tops of data layers that are given.
    """

    given: frozenset[str]

    def __call__(self, net: Net) -> Net:
        """Give the net of one phase without those layers; the same net where all its inputs are given."""
        if all(top in self.given for layer in net.data_layers for top in layer.tops):
            return net
        made: set[str] = set()
        kept: list[Layer] = []
        for layer in net:
            tops = tuple(top for top in layer.tops if top in self.given) if layer.op.is_data else layer.tops
            if (layer.op.is_data and not tops) or not made.issuperset(layer.bottoms):
                # What it would have changed in place is not what its readers ask for.
                made.difference_update(layer.tops)
                continue
            kept.append(replace(layer, tops=tops))
            made.update(tops)
        return replace(net, layers=tuple(kept))
