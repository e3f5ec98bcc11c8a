"""Search: net, ranges and a scorer in, the formats of every layer out."""

from collections.abc import Mapping

from ristretto.search.accurate import AccuratePreset
from ristretto.search.cost import COSTS
from ristretto.search.evidence import Interval
from ristretto.search.goal import Goal
from ristretto.search.journal import Journal, default_folder
from ristretto.search.kept_formats import KeptFormats
from ristretto.search.marks import Marks
from ristretto.search.mode import TrimmingMode
from ristretto.search.modes import MODES
from ristretto.search.original import OriginalPreset
from ristretto.search.preset import Preset, Trials, run_search
from ristretto.search.result import ALL_PARTS, LAYERS, Comparison, Score, SearchResult, Trial
from ristretto.search.scoring import KeptMarks, Marker, Scorer, Stretch, identity
from ristretto.search.trial_scorer import TrialScorer
from ristretto.search.widths import Bits

PRESETS: Mapping[str, Preset] = {preset.name: preset for preset in (AccuratePreset(), OriginalPreset())}
"""Every preset, by name; the default first."""

__all__ = [
    "ALL_PARTS",
    "COSTS",
    "LAYERS",
    "MODES",
    "PRESETS",
    "Bits",
    "Comparison",
    "Goal",
    "Interval",
    "Journal",
    "KeptFormats",
    "KeptMarks",
    "Marker",
    "Marks",
    "Preset",
    "Score",
    "Scorer",
    "SearchResult",
    "Stretch",
    "Trial",
    "TrialScorer",
    "Trials",
    "TrimmingMode",
    "default_folder",
    "identity",
    "run_search",
]
