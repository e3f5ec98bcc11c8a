"""Score against width, fixed point beside dynamic fixed point: Table 1 and Figure 4 of the paper, on real nets."""

from __future__ import annotations

from page import PAGE, shared_models, table, write_block

from ristretto import api
from ristretto.outputs import Outputs
from ristretto.report.plot import plot_sweep
from ristretto.report.sweep import SWEPT_PART_NAMES, mode_name
from ristretto.search.sweep import Point

NETS = ("lenet", "cifar10_full")
SHOWN_WIDTHS = (16, 8, 6, 4, 3, 2)
"""Of those that the plots have; the paper's table has four of them."""


def rows(name: str, swept: api.Swept) -> list[list[str]]:
    """Give the lines of one net."""
    result = swept.result
    head = [name, "float", "", *[f"{result.baseline.value:.4f}"] * len(SHOWN_WIDTHS)]
    return [head] + [
        [name, mode_name(mode), SWEPT_PART_NAMES[part]]
        + [f"{result.scores[Point(mode, part, width)].value:.4f}" for width in SHOWN_WIDTHS]
        for mode in result.modes
        for part in result.parts
    ]


def main() -> None:
    """Sweep each net; its figure goes beside the page."""
    lines = []
    for name in NETS:
        folder = shared_models() / name
        swept = api.sweep(folder / "train_val.prototxt", folder / f"{name}.caffemodel", iterations=100)
        lines += rows(name, swept)
        figure = PAGE.parent / "results" / f"sweep_{name}.svg"
        with Outputs([figure]) as outputs:
            outputs.write(figure, plot_sweep(swept, "svg"))
    write_block("sweep", table(["net", "format", "condensed", *(f"{width} bits" for width in SHOWN_WIDTHS)], lines))


if __name__ == "__main__":
    main()
