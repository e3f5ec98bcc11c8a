"""What each preset decides on real nets, beside what the original tool decided (error margin 1, 100 iterations).

Where the two choose different widths, each one's formats are scored at the other's widths too.
"""

from __future__ import annotations

from pathlib import Path

from page import shared_models, table, write_block

from ristretto import api
from ristretto.net import Part
from ristretto.search import Bits, SearchResult

# What the original's own build printed for these nets and data: float score, chosen widths, final score, points lost.
ORIGINAL_TOOL = {
    "lenet": ("0.9906", (4, 4, 8), "0.9888", "0.18"),
    "cifar10_full": ("0.7942", (8, 4, 8), "0.7826", "1.16"),
}
MARGIN = 1


def search(folder: Path, preset: str, bits: Bits | None = None) -> SearchResult:
    """Search one net, or choose its formats at given widths."""
    model, weights = folder / "train_val.prototxt", folder / f"{folder.name}.caffemodel"
    # As the original does: the whole test set decides and is reported.
    return api.quantize(
        model, weights, error_margin=MARGIN, iterations=100, preset=preset, bits=bits, report_split=0
    ).result


def row(name: str, decider: str, found: SearchResult) -> list[str]:
    """Give a line of the table."""
    return [
        name,
        decider,
        f"{found.baseline.value:.4f}",
        " / ".join(str(found.bits[part]) for part in Part),
        f"{found.score.value:.4f}",
        f"{100 * (found.baseline.value - found.score.value):.2f}",
        f"{found.score.argmax:.4f}",
        "yes" if found.within_margin else "no",
    ]


def main() -> None:
    """Search with both presets on each net."""
    rows = []
    for name, (baseline, widths, score, lost) in ORIGINAL_TOOL.items():
        folder = shared_models() / name
        holds = "yes" if float(lost) <= MARGIN else "no"
        rows.append([name, "the original tool", baseline, " / ".join(map(str, widths)), score, lost, "", holds])
        found = {preset: search(folder, preset) for preset in ("original", "accurate")}
        rows += [row(name, f"`--preset {preset}`", result) for preset, result in found.items()]
        for preset, other in (("accurate", "original"), ("original", "accurate")):
            if found[preset].bits != found[other].bits:
                given = search(folder, preset, found[other].bits)
                rows.append(row(name, f"{preset} formats at the widths of {other}", given))
    head = ["net", "who decides", "float", "bits CONV / FC / outputs", "score", "points lost", "by argmax", "within 1"]
    write_block("presets", table(head, rows))


if __name__ == "__main__":
    main()
