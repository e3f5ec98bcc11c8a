"""What each preset decides on real nets, beside what the original tool decided (error margin 1, 100 iterations)."""

from __future__ import annotations

from page import shared_models, table, write_block

from ristretto import api
from ristretto.net import Part

# What the original's own build printed for these nets and data: chosen widths, final score.
ORIGINAL_TOOL = {
    "lenet": ("0.9906", "4 / 4 / 8", "0.9888", "0.18"),
    "cifar10_full": ("0.7942", "8 / 4 / 8", "0.7826", "1.16"),
}


def main() -> None:
    """Search with both presets on each net."""
    rows = []
    for name, printed in ORIGINAL_TOOL.items():
        rows.append([name, "the original tool", *printed, "", "no" if float(printed[3]) > 1 else "yes"])
        folder = shared_models() / name
        for preset in ("original", "accurate"):
            found = api.quantize(
                folder / "train_val.prototxt", folder / f"{name}.caffemodel", error_margin=1, preset=preset
            ).result
            rows.append(
                [
                    name,
                    f"`--preset {preset}`",
                    f"{found.baseline.value:.4f}",
                    " / ".join(str(found.bits[part]) for part in Part),
                    f"{found.score.value:.4f}",
                    f"{100 * (found.baseline.value - found.score.value):.2f}",
                    f"{found.score.argmax:.4f}",
                    "yes" if found.within_margin else "no",
                ]
            )
    head = ["net", "who decides", "float", "bits CONV / FC / outputs", "score", "points lost", "by argmax", "within 1"]
    write_block("presets", table(head, rows))


if __name__ == "__main__":
    main()
