"""What a user asks of a condensed net for hardware's sake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ristretto.calibrate import CalibrationStats
from ristretto.errors import HardwareError, SearchError
from ristretto.formats import Arithmetic, FixedPoint
from ristretto.hardware.obstacle import refuse_obstacles
from ristretto.hardware.tracer import trace
from ristretto.net import LayerQuant, Net, QuantSpec, Shape
from ristretto.passes import QuantizeLayers
from ristretto.search import Preset, TrimmingMode
from ristretto.search.shared_grids import Constraint, SharedGrids, unconstrained

ANY_WORD = FixedPoint(8, 0)
"""Stands for formats that are not chosen yet."""


@dataclass(frozen=True)
class HardwareWish:
    """What is asked of formats.

    Parameters
    ----------
    shared : bool
        Whether formats are chosen so that nothing is rounded but accumulators.
    strict : bool
        Whether anything that needs more than shifts is an error.
    """

    shared: bool = False
    strict: bool = False

    def check(self, preset: Preset, mode: TrimmingMode) -> None:
        """Make sure, before any work, that formats can be as they are wished.

        Raises
        ------
        SearchError
            When the preset or the mode leaves nothing to choose.
        HardwareError
            When no format of the mode is integers.
        """
        if self.shared and not mode.moves_radix_points:
            raise SearchError(
                f"{mode.name} has no radix point of its own in every place, which hardware could have moved",
                hint="take --trimming_mode dynamic_fixed_point, or leave --hardware out",
            )
        if self.shared and not preset.moves_radix_points:
            raise SearchError(
                f"the {preset.name} preset chooses formats in its own way",
                hint="leave --hardware out, or take --preset accurate",
            )
        if self.strict and not mode.is_on_grids:
            raise HardwareError(
                f"{mode.name} needs more than integers and shifts", hint="take --trimming_mode dynamic_fixed_point"
            )

    def check_layers(self, net: Net, inputs: Mapping[str, Shape], arithmetic: Arithmetic) -> None:
        """Make sure, before any search, that a float net's layers can do with shifts, whatever the formats.

        Raises
        ------
        HardwareError
            When `strict`, and they cannot.
        """
        if self.strict:
            quant = LayerQuant(ANY_WORD, ANY_WORD, ANY_WORD)
            spec = QuantSpec("any", {layer.name: quant for layer in net if layer.op.part is not None})
            self.check_net(QuantizeLayers(spec)(net), inputs, arithmetic)

    def check_net(self, net: Net, inputs: Mapping[str, Shape], arithmetic: Arithmetic) -> None:
        """Make sure that shifts do for a condensed net.

        Raises
        ------
        HardwareError
            When `strict`, and they do not.
        """
        if self.strict:
            refuse_obstacles(trace(net, inputs, arithmetic).obstacles)

    def constraint(self, net: Net, stats: CalibrationStats) -> Constraint:
        """Give what moves the radix points of formats that were chosen for a float net."""
        return SharedGrids.of(net, stats) if self.shared else unconstrained

    @property
    def about(self) -> tuple[str, ...]:
        """What of it decides on formats, for the journal's keys."""
        return ("hardware",) if self.shared else ()
