"""A Pareto front as plain data."""

from __future__ import annotations

from typing import Any

from ristretto.api import FrontFile, Quantized
from ristretto.report import kinds, layers


def listed(result: Quantized) -> dict[str, Any]:
    """Give a front as plain data; scores as fractions, on the batches that decide, widths in bits."""
    search = result.result
    layered = search.layered
    assert layered is not None
    return {
        **kinds.head(kinds.FRONT),
        "net": result.net.name,
        "cost": {"name": layered.cost.name, "unit": layered.cost.unit, "float": layered.price({})},
        "score_blob": search.score_blob,
        "higher_is_better": search.higher_is_better,
        "baseline_score": search.decided.baseline.value,
        "error_margin": search.error_margin,
        "nets": [_net(number, net) for number, net in enumerate(result.front, 1)],
    }


def _net(number: int, net: FrontFile) -> dict[str, Any]:
    trial = net.net.trial
    return {
        "prototxt": prototxt(number),
        "caffemodel": caffemodel(number) if net.has_own_weights else None,
        "cost": net.net.cost,
        "score": trial.score.value,
        "score_argmax": trial.score.argmax,
        "within_margin": trial.holds,
        "chosen": net.net.chosen,
        "layers": layers.of_widths(trial.widths),
    }


def prototxt(number: int) -> str:
    """Give the name of a net's prototxt."""
    return f"net_{number:02d}.prototxt"


def caffemodel(number: int) -> str:
    """Give the name of a net's caffemodel."""
    return f"net_{number:02d}.caffemodel"
