"""Formats from the journal: those that were chosen, in their order, and nobody else's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ristretto.formats import FixedPoint, MiniFloat, PowerOfTwo
from ristretto.net import LayerQuant, QuantSpec
from ristretto.search import Journal, KeptFormats
from ristretto.search.widths import LayerWidths

SPEC = QuantSpec(
    "made up",
    {
        "z": LayerQuant(FixedPoint(8, -3), None, PowerOfTwo(-8, -1)),
        "a/ü": LayerQuant(MiniFloat(4, 3), FixedPoint(16, 20), MiniFloat(5, 2)),
        "m": LayerQuant(None, None, FixedPoint(bw=np.int64(4), fl=np.int32(2))),  # type: ignore[arg-type]
    },
)
WIDTHS = {"z": LayerWidths(8, None, 4), "m": LayerWidths(params=4)}


def test_formats_are_chosen_once(tmp_path: Path) -> None:
    chosen: list[int] = []

    def choose() -> QuantSpec:
        chosen.append(1)
        return SPEC

    for _ in range(3):
        found = KeptFormats(Journal(tmp_path), "ranges").spec("accurate", "auto", "made up", WIDTHS, choose)
        assert found == SPEC
        assert list(found.layers) == list(SPEC.layers), "the order is that of the net"
    assert len(chosen) == 1


@pytest.mark.parametrize(
    ("conditions", "preset", "by", "mode", "widths"),
    [
        ("other", "accurate", "auto", "made up", WIDTHS),
        ("ranges", "original", "auto", "made up", WIDTHS),
        ("ranges", "accurate", None, "made up", WIDTHS),
        ("ranges", "accurate", "range", "made up", WIDTHS),
        ("ranges", "accurate", "auto", "minifloat", WIDTHS),
        ("ranges", "accurate", "auto", "made up", {"z": LayerWidths(8, None, 4)}),
        ("ranges", "accurate", "auto", "made up", {"z": LayerWidths(8, None, 4), "m": LayerWidths(params=3)}),
        ("ranges", "accurate", "auto", "made up", dict(reversed(WIDTHS.items()))),
    ],
)
def test_other_questions_have_answers_of_their_own(
    tmp_path: Path, conditions: str, preset: str, by: str | None, mode: str, widths: dict[str, LayerWidths]
) -> None:
    other = QuantSpec("other", {})
    KeptFormats(Journal(tmp_path), "ranges").spec("accurate", "auto", "made up", WIDTHS, lambda: SPEC)
    assert KeptFormats(Journal(tmp_path), conditions).spec(preset, by, mode, widths, lambda: other) == other
