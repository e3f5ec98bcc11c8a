"""SharedGrids: formats for hardware, with one grid wherever activations meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ristretto.calibrate import CalibrationStats
from ristretto.formats import FixedPoint
from ristretto.formats.fixed_point import MAX_FRACTION
from ristretto.net import Net, QuantSpec
from ristretto.net.quant import LAYER_IN, LAYER_OUT, PARAMS
from ristretto.search.fit import as_share, share_behind
from ristretto.search.sites import Bounds, find_sites
from ristretto.search.workload import Place

Constraint = Callable[[QuantSpec], QuantSpec]
"""Gives the formats nearest to some that were chosen, of the same widths, that are as hardware wants them."""
Lengths = dict[Place, int]
"""Fractional lengths by place, bits."""


def unconstrained(spec: QuantSpec) -> QuantSpec:
    """Leave formats as they were chosen."""
    return spec


@dataclass(frozen=True, eq=False)
class SharedGrids:
    """Moves radix points until numbers are rounded only on their way from an accumulator to its output.

    - Activations that meet share a fractional length, so that nothing is trimmed anew where it is read, and nothing is
      aligned where it is joined. It is the one with the least squared error in all of their places together, each as a
      share of its signal, among those from the coarsest chosen for any of them to the finest.
    - An output is no finer than the products behind it, ``fl_out <= fl_in + fl_params``.

    Around a loop of layers whose weights have steps larger than one no outputs are coarse enough; weights become finer
    there. Widths stay as they are, as do places that have none. Where numbers are so large that an input has steps
    larger than one, its products are still lifted to the bias, which has the weights' fractional length: that is
    wires, while a finer input would saturate.

    Parameters
    ----------
    meetings : sequence of tuple of Place
        The places of activations that meet.
    stats : CalibrationStats
    """

    meetings: Sequence[tuple[Place, ...]]
    stats: CalibrationStats

    @classmethod
    def of(cls, net: Net, stats: CalibrationStats) -> SharedGrids:
        """Give that of a float net of the TEST phase, for the layers whose ranges are known."""
        sites = find_sites(net, list(stats.layers), Bounds())
        return cls([site.places for site in sites if not site.is_weights], stats)

    def __call__(self, spec: QuantSpec) -> QuantSpec:
        """Give formats of the same widths that fit together."""
        words = _words(spec)
        lengths = {place: fmt.fl for place, fmt in words.items()}
        meetings = [met for places in self.meetings if (met := [place for place in places if place in words])]
        for met in meetings:
            lengths |= dict.fromkeys(met, self._shared(met, words))
        _coarsen(meetings, lengths)
        for layer in spec.layers:
            missing = _missing(layer, lengths)
            if missing > 0:
                lengths[layer, PARAMS] += missing
        moved: dict[str, dict[str, Any]] = {name: {} for name in spec.layers}
        for (name, place), fl in lengths.items():
            moved[name][place] = replace(words[name, place], fl=fl)
        layers = {name: replace(quant, **moved[name]) for name, quant in spec.layers.items()}
        return replace(spec, layers=layers)

    def _shared(self, met: Sequence[Place], words: Mapping[Place, FixedPoint]) -> int:
        """Give the fractional length for places that meet."""
        chosen = [words[place].fl for place in met]
        least, most = min(chosen), max(chosen)
        if least == most:
            return least
        # The first of equals, the coarsest: it saturates least.
        return min(
            range(least, most + 1),
            key=lambda fl: sum(self._share(place, replace(words[place], fl=fl)) for place in met),
        )

    def _share(self, place: Place, fmt: FixedPoint) -> float:
        """Give the squared error of a place as a share of its signal."""
        name, kind = place
        layer = self.stats.layers[name]
        if kind == LAYER_OUT:
            return share_behind(layer, fmt)
        return as_share(layer.layer_in.squared_error(fmt), layer.layer_in.mean_square())


def _coarsen(meetings: Sequence[Sequence[Place]], lengths: Lengths) -> None:
    """Make outputs no finer than the products behind them, as far as that ends."""
    activations = [fl for (_, place), fl in lengths.items() if place != PARAMS]
    # No way that meets each layer once leads below; one that goes round and round would have no end.
    coarse = sum(min(fl, 0) for (_, place), fl in lengths.items() if place == PARAMS)
    end = max(min(activations, default=0) + coarse, -MAX_FRACTION)
    changed = True
    while changed:
        changed = False
        for met in meetings:
            excess = max((_missing(name, lengths) for name, kind in met if kind == LAYER_OUT), default=0)
            fl = lengths[met[0]]
            coarser = max(fl - excess, end)
            if coarser < fl:
                lengths |= dict.fromkeys(met, coarser)
                changed = True


def _words(spec: QuantSpec) -> dict[Place, FixedPoint]:
    """Give the formats that may move, by place: not those of float, or of the word that stands for it."""
    found = {}
    for name, quant in spec.layers.items():
        for place in (LAYER_IN, LAYER_OUT, PARAMS):
            fmt = getattr(quant, place)
            if isinstance(fmt, FixedPoint) and not fmt.stands_for_float:
                found[name, place] = fmt
    return found


def _missing(layer: str, lengths: Mapping[Place, int]) -> int:
    """Give how many bits finer than its products a layer's output is; 0 where that is not known."""
    places = [(layer, place) for place in (LAYER_IN, PARAMS, LAYER_OUT)]
    if any(place not in lengths for place in places):
        return 0
    fl_in, fl_params, fl_out = (lengths[place] for place in places)
    return max(fl_out - fl_in - fl_params, 0)
