"""What own widths for every layer save on real nets, beside the best with one width for each part (error margin 1)."""

from __future__ import annotations

from bits import NETS
from page import fill_block

from ristretto.net import Part
from ristretto.search import COSTS, SearchResult
from ristretto.search.refine import Techniques

MARGIN = 1.0
"""Points."""
REFINED = Techniques()
ROWS = (
    ("CIFAR-10 full", "weight_bits", None),
    ("CIFAR-10 full", "energy", None),
    ("SqueezeNet", "weight_bits", None),
    ("SqueezeNet", "weight_bits", REFINED),
)
"""A net, what its layers' widths are to save, and what may be done to its weights."""


def search(name: str, minimize: str | None, techniques: Techniques | None) -> SearchResult:
    """Search one net: by layers for a cost, by parts without one. Half of its pictures decide, the others report."""
    granularity = "part" if minimize is None else "layer"
    asked = NETS[name].quantize(error_margin=MARGIN, granularity=granularity, minimize=minimize, refine=techniques)
    return asked.result


def points_lost(found: SearchResult) -> list[str]:
    """Give what was lost on the pictures that decided, and on those that report."""
    decided = found.decided.baseline.value - found.decided.score.value
    return [f"{100 * lost:.2f}" for lost in (decided, found.baseline.value - found.score.value)]


def rows(line: tuple[str, str, Techniques | None]) -> list[list[str]]:
    """Give two lines of the table: parts, then layers."""
    name, minimize, techniques = line
    parts, layers = search(name, None, techniques), search(name, minimize, techniques)
    layered = layers.layered
    assert layered is not None
    cost = COSTS[minimize]
    ours, theirs = (cost.total(layered.workload, found.widths) for found in (layers, parts))
    weights = "refined" if techniques else "as they are"
    widths = " / ".join(str(parts.bits[part]) for part in Part if part in parts.bits)
    effort = layered.effort
    ran = f"{effort.spent:.1f} of {effort.naive}, {100 * effort.share:.1f} %"
    start, saved = [name, weights], f"{100 * (1 - ours / theirs):.1f} %"
    return [
        [*start, f"parts: {widths}", minimize, f"{theirs:,.0f} {cost.unit}", "", *points_lost(parts), ""],
        [*start, "layers", minimize, f"{ours:,.0f} {cost.unit}", saved, *points_lost(layers), ran],
    ]


def main() -> None:
    """Search each net by parts and by layers."""
    head = [
        "net",
        "weights",
        "widths",
        "cost",
        "of the result",
        "saved",
        "points lost, deciding half",
        "reporting half",
    ]
    head.append("evaluations, of a naive search")
    fill_block("layers", __doc__, head, ROWS, rows)


if __name__ == "__main__":
    main()
