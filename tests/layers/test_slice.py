"""Slice against a plain loop."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ristretto.errors import ModelError


@pytest.mark.parametrize(
    ("text", "count", "axis", "cuts"),
    [
        ("", 3, 1, (0, 2, 4, 6)),
        ("", 1, 1, (0, 6)),
        ("axis: 1 slice_point: 1 slice_point: 4", 3, 1, (0, 1, 4, 6)),
        ("axis: -1 slice_point: 2", 2, 3, (0, 2, 5)),
        ("slice_dim: 0", 2, 0, (0, 1, 2)),
        ("slice_point: 6", 2, 1, (0, 6, 6)),
    ],
)
def test_pieces(layer, check, rng, text: str, count: int, axis: int, cuts: tuple[int, ...]) -> None:
    x = rng.normal(size=(2, 6, 4, 5)).astype(np.float32)
    wanted = []
    for start, end in pairwise(cuts):
        piece = np.empty([end - start if i == axis else n for i, n in enumerate(x.shape)])
        for place in np.ndindex(piece.shape):
            piece[place] = x[tuple(p + start if i == axis else p for i, p in enumerate(place))]
        wanted.append(piece)
    tops = "".join(f' top: "t{i}"' for i in range(count))
    check(layer(f'type: "Slice" slice_param {{ {text} }} {tops}'), [x], wanted)


@pytest.mark.parametrize(
    ("text", "count", "message"),
    [
        ("", 4, "4 tops do not divide axis 1"),
        ("slice_point: 4 slice_point: 4", 3, "slice_points"),
        ("slice_point: 0", 2, "slice_points"),
        ("slice_point: 7", 2, "slice_points"),
        ("axis: 0 slice_point: 1 slice_point: 2", 3, "slice_points"),
        ("axis: 4", 2, "axis 4"),
    ],
)
def test_cuts_that_the_bottom_has_no_place_for(layer, text: str, count: int, message: str) -> None:
    tops = "".join(f' top: "t{i}"' for i in range(count))
    with pytest.raises(ModelError, match=message):
        layer(f'type: "Slice" slice_param {{ {text} }} {tops}').infer([(2, 6, 4, 5)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('slice_param { slice_point: 1 } top: "a"', "1 slice_points cut 2 pieces, it has 1 tops"),
        ('slice_param { slice_dim: 1 axis: 1 } top: "a"', "axis stands beside slice_dim"),
        ("", "no top"),
    ],
)
def test_settings_that_contradict_each_other(layer, text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        layer(f'type: "Slice" {text}')
