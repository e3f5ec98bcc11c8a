"""What own widths for every layer save on real nets, beside the best with one width for each part (error margin 1)."""

from __future__ import annotations

from page import shared_models, table, write_block

from ristretto import api
from ristretto.net import Part
from ristretto.search import COSTS, SearchResult
from ristretto.search.layered import Layered

NETS = {"cifar10_full": 100, "squeezenet_v1.0": 20}
"""Iterations: the whole of each net's test data."""
SHOWN = ("weight_bits", "activation_bits", "bit_operations", "energy")


def search(name: str, granularity: str, minimize: str | None = None) -> SearchResult:
    """Search one net; all of its test data decide and report."""
    folder = shared_models() / name
    return api.quantize(
        folder / "train_val.prototxt",
        folder / f"{name}.caffemodel",
        error_margin=1,
        iterations=NETS[name],
        report_split=0,
        granularity=granularity,
        minimize=minimize,
    ).result


def row(name: str, how: str, found: SearchResult, layered: Layered, parts: SearchResult) -> list[str]:
    """Give a line of the table."""
    costs = [COSTS[cost].total(layered.workload, found.widths) for cost in SHOWN]
    minimized = COSTS[found.layered.cost.name if found.layered else SHOWN[0]]
    own, theirs = (minimized.total(layered.workload, result.widths) for result in (found, parts))
    ran = "" if found.layered is None else f"{100 * found.layered.effort.share:.1f} %"
    return [
        name,
        how,
        *(f"{cost:,.0f}" for cost in costs),
        "" if found.layered is None else f"{100 * (1 - own / theirs):.1f} %",
        f"{100 * (found.baseline.value - found.score.value):.2f}",
        ran,
    ]


def main() -> None:
    """Search each net by parts and by layers."""
    rows = []
    for name in NETS:
        parts = search(name, "part")
        layers = {cost: search(name, "layer", cost) for cost in ("weight_bits", "energy")}
        layered = layers["weight_bits"].layered
        assert layered is not None
        widths = " / ".join(str(parts.bits[part]) for part in Part if part in parts.bits)
        rows.append(row(name, f"parts: {widths}", parts, layered, parts))
        rows += [row(name, f"layers, least {cost}", found, layered, parts) for cost, found in layers.items()]
    head = [
        "net",
        "widths",
        *(cost.replace("_", " ") for cost in SHOWN),
        "saved",
        "points lost",
        "run of a naive search",
    ]
    write_block("layers", table(head, rows))


if __name__ == "__main__":
    main()
