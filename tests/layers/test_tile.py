"""Tile against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from ristretto.errors import ModelError


@pytest.mark.parametrize(("text", "axis"), [("tiles: 3", 1), ("tiles: 3 axis: 0", 0), ("tiles: 3 axis: -1", 2)])
def test_copies_side_by_side(layer, check, rng, text: str, axis: int) -> None:
    x = rng.normal(size=(2, 3, 4)).astype(np.float32)
    wanted = np.empty([n * 3 if i == axis else n for i, n in enumerate(x.shape)])
    for place in np.ndindex(wanted.shape):
        wanted[place] = x[tuple(p % n for p, n in zip(place, x.shape, strict=True))]
    check(layer(f'type: "Tile" tile_param {{ {text} }}'), [x], [wanted])


@pytest.mark.parametrize(("text", "message"), [("", "lacks tiles"), ("tiles: 0", "tiles 0 must be at least 1")])
def test_how_many_copies(layer, text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        layer(f'type: "Tile" tile_param {{ {text} }}')


def test_an_axis_that_is_not_there(layer) -> None:
    with pytest.raises(ModelError, match="axis 3"):
        layer('type: "Tile" tile_param { tiles: 2 axis: 3 }').infer([(2, 3, 4)])
