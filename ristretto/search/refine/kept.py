"""KeptWeights: refined weights from earlier runs, from the journal."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from ristretto.identity import digest
from ristretto.net import QuantSpec
from ristretto.net.op import Array
from ristretto.search.condense import Condensed
from ristretto.search.journal import Journal
from ristretto.search.kept_formats import as_bytes, as_data, as_spec
from ristretto.search.refine.refiner import WeightRefiner


@dataclass(frozen=True, eq=False)
class KeptWeights:
    """Looks into a journal before weights are refined.

    Parameters
    ----------
    refine : WeightRefiner
    journal : Journal
    conditions : str
        A digest of all that decides on weights beside the formats.
    """

    refine: WeightRefiner
    journal: Journal
    conditions: str

    def __call__(self, spec: QuantSpec) -> Condensed:
        """Give refined formats and weights."""
        wanted = as_data(spec)
        key = digest("weights", self.conditions, json.dumps(wanted, default=int))
        arrays = self.journal.fetch(key, lambda: _to_arrays(self.refine(spec)))
        formats = as_spec(json.loads(arrays["json"].tobytes()))
        weights: dict[str, tuple[Array, ...]] = {}
        for name in formats.layers:
            blobs = [arrays[f"{name}|{i}"] for i in range(len(arrays)) if f"{name}|{i}" in arrays]
            if blobs:
                weights[name] = tuple(blobs)
        return Condensed(formats, weights)

    def unseen(self, spec: QuantSpec) -> float:
        """Give the distortion on what was held back; see `WeightRefiner.unseen`."""
        key = digest("unseen", self.conditions, json.dumps(as_data(spec), default=int))
        return float(self.journal.fetch(key, lambda: {"unseen": np.array(self.refine.unseen(spec))})["unseen"])


def _to_arrays(condensed: Condensed) -> dict[str, Array]:
    blobs = {f"{name}|{i}": blob for name, layer in condensed.weights.items() for i, blob in enumerate(layer)}
    return {"json": as_bytes(as_data(condensed.spec)), **blobs}
