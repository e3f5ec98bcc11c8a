"""KeptFormats: formats that were chosen before, from the journal."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ristretto.formats import FORMATS, Format
from ristretto.identity import digest
from ristretto.net import LayerQuant, QuantSpec
from ristretto.net.quant import PLACES, Scheme
from ristretto.search.journal import Journal
from ristretto.search.widths import Widths


@dataclass(frozen=True, eq=False)
class KeptFormats:
    """Looks into a journal before formats are chosen, which takes a run of each layer for each candidate.

    Parameters
    ----------
    journal : Journal
    conditions : str
        A digest of all that decides on formats beside preset, criterion, mode and widths: what calibration saw.
    """

    journal: Journal
    conditions: str

    def spec(
        self, preset: str, formats_by: str | None, mode: str, widths: Widths, choose: Callable[[], QuantSpec]
    ) -> QuantSpec:
        """Give the formats for some widths; `choose` gives those that are not known."""
        # As a list: the order of the layers is the spec's.
        key = digest("formats", self.conditions, preset, formats_by, mode, list(widths.items()))
        found = self.journal.fetch(key, lambda: {"json": as_bytes(as_data(choose()))})
        return as_spec(json.loads(found["json"].tobytes()))


def as_bytes(data: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Give plain data as an array that a journal keeps."""
    return np.frombuffer(json.dumps(data, default=int).encode(), np.uint8)


def as_data(spec: QuantSpec) -> dict[str, Any]:
    """Give formats as plain data."""
    layers = {
        name: {place: _format_data(getattr(quant, place)) for place in PLACES} | {"scheme": quant.scheme.name}
        for name, quant in spec.layers.items()
    }
    return {"trimming_mode": spec.trimming_mode, "layers": layers}


def as_spec(data: dict[str, Any]) -> QuantSpec:
    """Give formats back from plain data."""
    layers = {
        name: LayerQuant(scheme=Scheme[quant["scheme"]], **{place: _format(quant[place]) for place in PLACES})
        for name, quant in data["layers"].items()
    }
    return QuantSpec(data["trimming_mode"], layers)


def _format_data(fmt: Format | None) -> dict[str, Any] | None:
    return None if fmt is None else {"name": fmt.name, **vars(fmt)}


def _format(data: dict[str, Any] | None) -> Format | None:
    if data is None:
        return None
    (kind,) = (kind for kind in FORMATS if kind.name == data["name"])
    return kind(**{field: value for field, value in data.items() if field != "name"})
