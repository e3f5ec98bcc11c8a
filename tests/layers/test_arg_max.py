"""ArgMax against a plain sort of (number, index) pairs."""

from __future__ import annotations

import numpy as np
import pytest

from ristretto.errors import ModelError


def best(values: list[float], k: int) -> list[tuple[float, int]]:
    """The greatest pairs first: of equal numbers the one with the greater index."""
    return sorted(((v, i) for i, v in enumerate(values)), reverse=True)[:k]


def coarse(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Few different numbers, so that many are equal."""
    return rng.integers(-3, 4, shape).astype(np.float32) / 2


@pytest.mark.parametrize(
    ("shape", "top"),
    [((4, 6), (4, 1, 2)), ((4, 3, 5), (4, 1, 2)), ((4, 3, 2, 5), (4, 1, 2, 1)), ((2, 3, 2, 1, 2), (2, 1, 2, 1, 1))],
)
@pytest.mark.parametrize("values", [False, True])
def test_over_each_picture(layer, check, rng, shape: tuple[int, ...], top: tuple[int, ...], values: bool) -> None:
    x = coarse(rng, shape)
    wanted = []
    for picture in x.astype(np.float64):
        pairs = best(list(picture.flat), 2)
        wanted.append([[i for _, i in pairs], [v for v, _ in pairs]] if values else [[i for _, i in pairs]])
    if values:
        top = (top[0], 2, *top[2:])
    op = layer(f'type: "ArgMax" argmax_param {{ top_k: 2 out_max_val: {str(values).lower()} }}')
    check(op, [x], [np.array(wanted, np.float64).reshape(top)])


@pytest.mark.parametrize(("axis", "number"), [(0, 0), (1, 1), (-1, 3), (-2, 2)])
@pytest.mark.parametrize("values", [False, True])
@pytest.mark.parametrize("k", [1, 2])
def test_along_an_axis(layer, check, rng, axis: int, number: int, values: bool, k: int) -> None:
    x = coarse(rng, (2, 3, 4, 5))
    wanted = np.empty([k if i == number else n for i, n in enumerate(x.shape)])
    others = [range(n) if i != number else [0] for i, n in enumerate(x.shape)]
    for place in np.ndindex(*(len(r) for r in others)):
        where = list(place)
        line = [float(x[(*place[:number], i, *place[number + 1 :])]) for i in range(x.shape[number])]
        for rank, (value, index) in enumerate(best(line, k)):
            where[number] = rank
            wanted[tuple(where)] = value if values else index
    op = layer(f'type: "ArgMax" argmax_param {{ axis: {axis} top_k: {k} out_max_val: {str(values).lower()} }}')
    check(op, [x], [wanted])


@pytest.mark.parametrize(
    ("text", "bottom", "message"),
    [
        ("top_k: 13", (2, 3, 4), "top_k 13 of 12 numbers"),
        ("top_k: 4 axis: 1", (2, 3, 4), "top_k 4 of 3 numbers"),
        ("axis: 3", (2, 3, 4), "axis 3"),
        ("", (), "without axes"),
    ],
)
def test_what_cannot_be_found(layer, text: str, bottom: tuple[int, ...], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        layer(f'type: "ArgMax" argmax_param {{ {text} }}').infer([bottom])


def test_nothing_to_find(layer) -> None:
    with pytest.raises(ModelError, match="top_k must be at least 1"):
        layer('type: "ArgMax" argmax_param { top_k: 0 }')
