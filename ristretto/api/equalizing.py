"""Whether a net is equalized before it is condensed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ristretto.api.judging import kept_formats
from ristretto.api.opening import measure
from ristretto.api.refining import refiner
from ristretto.api.watch import Watcher
from ristretto.calibrate import CalibrationStats
from ristretto.data import BatchSource
from ristretto.errors import SearchError
from ristretto.net import Net, Part, Shape
from ristretto.net.op import Array
from ristretto.passes import Equalize, SetWeights
from ristretto.search import Bits, Journal, Preset, TrimmingMode
from ristretto.search.refine import Techniques
from ristretto.search.sensitivity import NEGLIGIBLE, View
from ristretto.search.widths import of_parts, parts_of

AUTO, ON, OFF = EQUALIZE = ("auto", "on", "off")
"""Equalize where it helps, always, never."""
PROBE_WEIGHTS, PROBE_ACTIVATIONS = 4, 8
"""The widths, bits, at which a search that knows none yet finds out whether equalizing helps: at wider ones hardly any
distortion is left to compare."""
WORTH = 0.95
"""Equalizing helps when it leaves this share of the distortion, or less: what is kept changes every weight, so noise
must not decide."""
UNREFINED = Techniques(bias=False, rounding=False, centring=False)

Weights = Mapping[str, tuple[Array, ...]]


def check_equalize(equalize: str, preset: Preset) -> None:
    """Raise a SearchError when there is no such choice, or when the preset leaves weights alone."""
    if equalize not in EQUALIZE:
        raise SearchError(f"no choice '{equalize}' of equalizing", hint=f"there are: {', '.join(EQUALIZE)}")
    if equalize != OFF and not preset.refines:
        raise SearchError(f"the {preset.name} preset leaves weights as they are", hint="leave equalizing out")


@dataclass(frozen=True, eq=False)
class Equalizing:
    """Finds the weights of an equalized net, and whether they are worth it.

    Parameters
    ----------
    whole, calibrated : Net
        The float net with all phases, and as ranges were measured in it.
    inputs : mapping of str to shape
        Of what comes from outside in TEST.
    source : BatchSource
        The pictures that ranges are measured on.
    count : int
        Their batches.
    view : View
    threads : int
    watcher : Watcher
    journal : Journal or None
    """

    whole: Net
    calibrated: Net
    inputs: Mapping[str, Shape]
    source: BatchSource
    count: int
    view: View
    threads: int
    watcher: Watcher
    journal: Journal | None

    def found(self) -> Weights:
        """Give the weights of the layers that equalizing changes, by layer name."""
        pairs = zip(self.whole, Equalize(self.inputs)(self.whole), strict=True)
        return {new.name: new.blobs for old, new in pairs if new is not old}

    def chosen(
        self,
        wish: str,
        stats: CalibrationStats,
        preset: Preset,
        mode: TrimmingMode,
        bits: Bits | None,
        techniques: Techniques | None,
    ) -> Weights:
        """Give the weights to go on with; none where the net stays as it is.

        Parameters
        ----------
        wish : str
            One of `EQUALIZE`.
        stats : CalibrationStats
            Of the net as it is.
        preset : Preset
        mode : TrimmingMode
        bits : mapping of Part to int, or None
            The widths of parts, where they are given.
        techniques : Techniques or None
            What may then be done to weights.
        """
        weights: Weights = {} if wish == OFF else self.found()
        if not weights:
            if wish == ON:
                self.watcher.note("there is nothing to equalize")
            return {}
        told = ""
        if wish == AUTO:

            def distortion(net: Net, seen: CalibrationStats) -> float:
                return self._distortion(net, seen, preset, mode, bits, techniques or UNREFINED)

            plain = distortion(self.calibrated, stats)
            if plain <= NEGLIGIBLE:
                self.watcher.note(f"not equalized: a distortion of {plain:.2g} leaves nothing to gain")
                return {}
            equalized = SetWeights(weights)(self.calibrated)
            seen = measure(equalized, self.source, self.threads, self.watcher, self.journal, self.count)
            other = distortion(equalized, seen)
            told = f": a distortion of {other:.3g} where it was {plain:.3g}"
            if not other <= WORTH * plain:
                self.watcher.note(f"not equalized{told}")
                return {}
        self.watcher.note(f"equalized the channels of {len(weights)} layers{told}")
        return weights

    def _distortion(
        self,
        net: Net,
        stats: CalibrationStats,
        preset: Preset,
        mode: TrimmingMode,
        bits: Bits | None,
        techniques: Techniques,
    ) -> float:
        """Give what condensing does to a float net's outputs, on pictures that no weight was fitted to."""
        covered = preset.covered(stats)
        widths = of_parts(covered, _probed(covered, mode) if bits is None else bits)
        spec = preset.spec(mode, covered, widths, kept_formats(net, self.source, self.journal, self.count))
        # One technique for both nets: class scores that are centred say nothing of channels.
        fitted = replace(techniques, centring=False, checked=False)
        return refiner(net, covered, self.source, self.view, fitted, self.threads, self.journal).unseen(spec)


def _probed(stats: CalibrationStats, mode: TrimmingMode) -> Bits:
    """Give the narrowest widths that a mode tries and that are no narrower than those of the probe."""
    result: dict[Part, int] = {}
    for ladder in mode.ladders(parts_of(stats)):
        rungs = [rung for rung in ladder.rungs if all(width >= _least(part) for part, width in rung.items())]
        result |= (rungs or ladder.rungs[:1])[-1]
    return result


def _least(part: Part) -> int:
    return PROBE_ACTIVATIONS if part is Part.ACTIVATIONS else PROBE_WEIGHTS
