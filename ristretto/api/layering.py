"""Widths of layers: from what a user asks for to what a search needs, and from its front to prototxts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ristretto.api.loading import chosen
from ristretto.api.opening import CACHE_BYTES, calibration_key
from ristretto.api.watch import Watcher
from ristretto.data import BatchSource
from ristretto.errors import SearchError
from ristretto.execute import IntegerExecutor
from ristretto.formats import Arithmetic
from ristretto.identity import digest
from ristretto.net import Net, QuantSpec
from ristretto.net.op import Array
from ristretto.search import COSTS, Bits, Journal, Preset, TrimmingMode
from ristretto.search.layerwise import EveryLayer
from ristretto.search.sensitivity import Measured, Probe, View
from ristretto.search.sites import Bounds, Kept, Site, find_sites
from ristretto.search.widths import Widths

PART, LAYER = GRANULARITIES = ("part", "layer")
"""What may have a width of its own; the default first."""
SENSITIVITY_PICTURES = 32
"""Pictures that sensitivities are measured on, in whole batches: enough for means that rank sites."""

Spec = Callable[[Widths], QuantSpec]


@dataclass(frozen=True)
class LayerWish:
    """What a user asks of widths.

    Parameters
    ----------
    granularity : str
        One of `GRANULARITIES`.
    minimize : str or None
        One of ``ristretto.search.COSTS``; by default the first.
    min_bits, max_bits : int or None
        The narrowest and the widest word that may be chosen; by default all that there are.
    keep : mapping of str to Kept
        Widths that are given, by layer.
    front : bool
        Whether nets along the front of cost against score are wanted.
    """

    granularity: str = PART
    minimize: str | None = None
    min_bits: int | None = None
    max_bits: int | None = None
    keep: Mapping[str, Kept] = field(default_factory=dict)
    front: bool = False

    @property
    def by_layer(self) -> bool:
        """Whether layers have widths of their own."""
        return self.granularity == LAYER

    def bounds(self) -> Bounds:
        """Give the widths that may be chosen; a SearchError when there are none."""
        default = Bounds()
        return Bounds(self.min_bits or default.min_bits, self.max_bits or default.max_bits)

    def check(self, preset: Preset, mode: TrimmingMode, bits: Bits | None) -> None:
        """Make sure, before any work, that all of it makes sense.

        Raises
        ------
        SearchError
            When it does not.
        """
        chosen("granularity", self.granularity, dict.fromkeys(GRANULARITIES))
        chosen("cost", self.minimize or next(iter(COSTS)), COSTS)
        self.bounds()
        if self.by_layer and bits is not None:
            raise SearchError("widths of parts are given, and those of layers are to be found", hint="leave one out")
        if self.by_layer and not mode.by_layer:
            raise SearchError(
                f"{mode.name} has no formats of other widths for each layer",
                hint=f"leave out --granularity {LAYER}, or take --trimming_mode dynamic_fixed_point",
            )
        if self.by_layer and not preset.by_layer:
            raise SearchError(
                f"the {preset.name} preset decides widths of parts only", hint=f"leave out --granularity {LAYER}"
            )
        asked = {"--minimize": self.minimize is not None, "--keep": bool(self.keep), "--pareto": self.front}
        for option in (option for option, is_asked in asked.items() if is_asked and not self.by_layer):
            raise SearchError(f"{option} is about widths of layers", hint=f"add --granularity {LAYER}")
        if bits is not None and (self.min_bits or self.max_bits):
            raise SearchError("widths are given, and bounds for a search, too", hint="leave one out")

    def sites(self, net: Net) -> tuple[Site, ...]:
        """Give what gets a width of its own.

        Raises
        ------
        SearchError
            When layers to keep are not there, or cannot be kept together.
        """
        names = [layer.name for layer in net if layer.op.part is not None]
        return find_sites(net, names, self.bounds(), self.keep)


@dataclass(frozen=True, eq=False)
class Sensitivities:
    """Measures sensitivities on calibration data, or takes them from a journal.

    Parameters
    ----------
    net : Net
        The net that ranges were measured in.
    source : BatchSource
        What they were measured on.
    view : View
    conditions : str
        What decides on formats, beside what calibration saw.
    arithmetic : Arithmetic
    threads : int
    watcher : Watcher
    journal : Journal or None
    count : int
        Batches that ranges were measured on.
    """

    net: Net
    source: BatchSource
    view: View
    conditions: str
    arithmetic: Arithmetic
    threads: int
    watcher: Watcher
    journal: Journal | None
    count: int

    def __call__(self, sites: Sequence[Site], spec: Spec) -> Measured:
        """Give what each site's widths do to the outputs."""
        count = self._batches()
        key = calibration_key(self.net, self.source, self.journal, self.count)
        if self.journal is None or key is None:
            return self._measure(sites, spec, count)
        asked = [(site.places, site.widths) for site in sites]
        about = (key, self.conditions, self.view.version, self.arithmetic, count, asked)
        arrays = self.journal.fetch(
            digest("sensitivities", *about), lambda: _to_arrays(sites, self._measure(sites, spec, count))
        )
        return _from_arrays(sites, arrays)

    def _measure(self, sites: Sequence[Site], spec: Spec, count: int) -> Measured:
        batches = self.source.batches(count)
        probe = Probe(IntegerExecutor, self.net, self.source.shapes, batches, self.view, self.arithmetic, self.threads)
        with self.watcher.stage("measuring sensitivities", len(sites)) as advance:
            return probe.measure(sites, spec, advance)

    def _batches(self) -> int:
        """Give the number of batches: those of some pictures, as long as the blobs at one cut stay within bounds."""
        shapes = self.net.shapes(self.source.shapes)
        pictures = pictures_of(self.source)
        largest = max(sum(4 * int(np.prod(shape)) for shape in tops) for tops in shapes.values())
        return max(1, min(-(-SENSITIVITY_PICTURES // pictures), CACHE_BYTES // (2 * largest)))


def every_layer(
    wish: LayerWish, sites: Sequence[Site], source: BatchSource, batches: int, measure: Sensitivities
) -> EveryLayer:
    """Give what decides the widths of all layers; its trials are scored on so many batches of a source."""
    cost = COSTS[wish.minimize] if wish.minimize else next(iter(COSTS.values()))
    return EveryLayer(sites, cost, source.shapes, batches * pictures_of(source), measure, wish.front)


def pictures_of(source: BatchSource) -> int:
    """Give how many pictures there are in a batch."""
    return next(iter(source.shapes.values()))[0]


def _to_arrays(sites: Sequence[Site], measured: Measured) -> dict[str, Array]:
    arrays: dict[str, Array] = {"macs": np.array(measured.macs)}
    for index, site in enumerate(sites):
        arrays[f"site {index}"] = np.array([measured.distortions[site.places][width] for width in site.widths])
    return arrays


def _from_arrays(sites: Sequence[Site], arrays: Mapping[str, Array]) -> Measured:
    distortions = {
        site.places: dict(zip(site.widths, arrays[f"site {index}"].tolist(), strict=True))
        for index, site in enumerate(sites)
    }
    return Measured(distortions, int(arrays["macs"]))
