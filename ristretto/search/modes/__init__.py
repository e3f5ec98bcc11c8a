"""Trimming modes: one file each, and one entry in `MODES`."""

from collections.abc import Mapping

from ristretto.search.mode import TrimmingMode
from ristretto.search.modes.dynamic_fixed_point import DynamicFixedPointMode
from ristretto.search.modes.fixed_point import FixedPointMode
from ristretto.search.modes.minifloat import MiniFloatMode
from ristretto.search.modes.power_of_two import PowerOfTwoMode

MODES: Mapping[str, TrimmingMode] = {
    mode.name: mode for mode in (DynamicFixedPointMode(), MiniFloatMode(), PowerOfTwoMode(), FixedPointMode())
}
"""Every trimming mode, by name; the default first."""

__all__ = ["MODES"]
