"""Lockstep: the float net and the condensed one, run side by side from one layer with weights to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ristretto.execute import Executor
from ristretto.execute.prefix import cut, spelled_out
from ristretto.execute.score import in_order
from ristretto.formats import EXACT, Arithmetic
from ristretto.net import LayerQuant, Net, Shape
from ristretto.net.op import Array
from ristretto.passes import SetWeights


@dataclass(eq=False)
class Walker:
    """What is left of a net, and what that is fed for each batch.

    Parameters
    ----------
    kind : type of Executor
        One whose halves of a net give the bits of the whole.
    rest : Net
        Of one phase, with weights.
    shapes : mapping of str to shape
        Of one batch.
    fed : sequence of batches
    arithmetic : Arithmetic
    threads : int
    """

    kind: type[Executor]
    rest: Net
    shapes: Mapping[str, Shape]
    fed: Sequence[Mapping[str, Array]]
    arithmetic: Arithmetic = EXACT
    threads: int = 1

    def __post_init__(self) -> None:
        self.rest = spelled_out(self.rest, self.shapes, self.arithmetic)

    def go_to(self, layer: str) -> Sequence[Array]:
        """Run what is left up to a layer; give what it then reads, float32 in real units, batch by batch."""
        place = self.rest.layers.index(self.rest[layer])
        if not all(before.op.is_data for before in self.rest.layers[:place]):
            halves = cut(self.rest, place, self.shapes)
            executor = self.kind(halves.head, self.shapes, arithmetic=self.arithmetic)
            self.fed = [halves.handed(run) for run in in_order(executor.run, self.fed, self.threads)]
            self.rest, self.shapes = halves.tail, {}
        (bottom,) = self.rest[layer].bottoms
        return [batch[bottom] for batch in self.fed]

    def set(self, name: str, weights: tuple[Array, ...], quant: LayerQuant) -> None:
        """Give a layer that is still to come its final weights and formats."""
        changed = SetWeights({name: weights})(self.rest)
        layers = tuple(replace(layer, quant=quant) if layer.name == name else layer for layer in changed)
        self.rest = replace(changed, layers=layers)
