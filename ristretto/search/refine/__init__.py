"""Refine: weights, and formats of weights, changed to suit the formats of a whole net."""

from ristretto.search.refine.kept import KeptWeights
from ristretto.search.refine.refiner import TECHNIQUES, Techniques, WeightRefiner

__all__ = ["TECHNIQUES", "KeptWeights", "Techniques", "WeightRefiner"]
