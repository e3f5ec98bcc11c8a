"""Search: net, ranges and a scorer in, the formats of every layer out."""

from collections.abc import Mapping

from ristretto.search.accurate import AccuratePreset
from ristretto.search.mode import TrimmingMode
from ristretto.search.modes import MODES
from ristretto.search.original import OriginalPreset
from ristretto.search.preset import Goal, Preset, Trials, run_search
from ristretto.search.result import ALL_PARTS, Bits, Score, SearchResult, Trial
from ristretto.search.scoring import TrialScorer

PRESETS: Mapping[str, Preset] = {preset.name: preset for preset in (AccuratePreset(), OriginalPreset())}
"""Every preset, by name; the default first."""

__all__ = [
    "ALL_PARTS",
    "MODES",
    "PRESETS",
    "Bits",
    "Goal",
    "Preset",
    "Score",
    "SearchResult",
    "Trial",
    "TrialScorer",
    "Trials",
    "TrimmingMode",
    "run_search",
]
