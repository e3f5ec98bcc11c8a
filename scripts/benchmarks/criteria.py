"""Scores of nets at given widths by what chooses their formats, weights as they are."""

from __future__ import annotations

from bits import NETS
from page import fill_block

from ristretto.cli.arguments import part_widths
from ristretto.search.criteria import FORMATS_BY

ROWS = (
    ("LeNet", "4/4/4"),
    ("LeNet", "2/2/8"),
    ("LeNet", "2/2/4"),
    ("LeNet", "8/8/3"),
    ("CIFAR-10 full", "8/8/8"),
    ("CIFAR-10 full", "4/4/8"),
    ("CIFAR-10 full", "8/8/4"),
    ("CIFAR-10 full", "4/4/4"),
    ("ResNet-20", "8/8/8"),
    ("ResNet-20", "4/4/8"),
    ("ResNet-20", "8/8/6"),
)


def rows(line: tuple[str, str]) -> list[list[str]]:
    """Give a line of the table."""
    name, bits = line
    found = [
        NETS[name].quantize(bits=part_widths(bits), formats_by=formats_by, refine=None).result.score.argmax
        for formats_by in FORMATS_BY
    ]
    return [[name, bits, *(f"{score:.4f}" for score in found)]]


def main() -> None:
    """Measure every row, or those of the nets that are named."""
    fill_block("criteria", __doc__, ["net", "bits CONV / FC / outputs", *FORMATS_BY], ROWS, rows)


if __name__ == "__main__":
    main()
