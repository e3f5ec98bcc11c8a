from __future__ import annotations

import math

import numpy as np
import pytest

from ristretto.errors import ModelError

TEXT = 'name: "p" type: "PriorBox" bottom: "map" bottom: "data" top: "boxes" prior_box_param {{ {settings} }}'


def boxes(
    shape: tuple[int, int],
    picture: tuple[float, float],
    sides: list[tuple[float, float]],
    step: tuple[float, float],
    offset: float = 0.5,
) -> list[float]:
    """Corners as fractions of the picture; sides are (width, height) in pixels."""
    corners = []
    for row in range(shape[0]):
        for column in range(shape[1]):
            x, y = (column + offset) * step[1], (row + offset) * step[0]
            for width, height in sides:
                corners += [
                    (x - width / 2) / picture[1],
                    (y - height / 2) / picture[0],
                    (x + width / 2) / picture[1],
                    (y + height / 2) / picture[0],
                ]
    return corners


def ratio_sides(size: float, *ratios: float) -> list[tuple[float, float]]:
    return [(size * math.sqrt(ratio), size / math.sqrt(ratio)) for ratio in ratios]


def bottoms() -> list[np.ndarray]:
    return [np.zeros((2, 8, 3, 4), np.float32), np.zeros((2, 3, 60, 100), np.float32)]


def held(check, op, corners: list[float], variance: list[float], clip: bool = False) -> None:
    if clip:
        corners = [min(max(corner, 0.0), 1.0) for corner in corners]
    top = np.array([corners, variance * (len(corners) // len(variance))])[None]
    check(op, bottoms(), [top])


def test_a_size_alone_gives_squares(layer, check) -> None:
    op = layer(TEXT.format(settings="min_size: 20"))
    variance = [float(np.float64(op.variance[0]))]
    assert variance == [0.1]
    held(check, op, boxes((3, 4), (60, 100), [(20, 20)], (20, 25)), variance)


def test_all_settings_together(layer, check) -> None:
    settings = """min_size: 10 min_size: 30 max_size: 40 max_size: 50 aspect_ratio: 2 aspect_ratio: 4 flip: true
        clip: true variance: 0.5 variance: 0.25 variance: 0.125 variance: 1 step: 16 offset: 0.25 img_size: 64"""
    op = layer(TEXT.format(settings=settings))
    sides = []
    for least, most in ((10, 40), (30, 50)):
        between = math.sqrt(least * most)
        sides += [(least, least), (between, between), *ratio_sides(least, 2, 0.5, 4, 0.25)]
    held(check, op, boxes((3, 4), (64, 64), sides, (16, 16), 0.25), [0.5, 0.25, 0.125, 1.0], clip=True)
    assert op.boxes == 12


def test_height_and_width_may_differ(layer, check) -> None:
    op = layer(TEXT.format(settings="min_size: 8 img_h: 30 img_w: 50 step_h: 9 step_w: 11 variance: 0.5"))
    held(check, op, boxes((3, 4), (30, 50), [(8, 8)], (9, 11)), [0.5])


@pytest.mark.parametrize(
    ("settings", "ratios"),
    [
        ("aspect_ratio: 2", (2, 0.5)),
        ("aspect_ratio: 2 flip: false", (2,)),
        ("aspect_ratio: 2 aspect_ratio: 0.5", (2, 0.5)),
        ("aspect_ratio: 2 aspect_ratio: 0.5 flip: false", (2, 0.5)),
        ("aspect_ratio: 1 aspect_ratio: 4 aspect_ratio: 4", (4, 0.25)),
    ],
)
def test_a_ratio_stands_once(layer, check, settings, ratios) -> None:
    op = layer(TEXT.format(settings=f"min_size: 16 variance: 0.5 {settings}"))
    held(check, op, boxes((3, 4), (60, 100), [(16, 16), *ratio_sides(16, *ratios)], (20, 25)), [0.5])


def test_sizes_are_whole_pixels(layer, check) -> None:
    op = layer(TEXT.format(settings="min_size: 10.9 max_size: 20.9 variance: 0.5"))
    sides = [(10, 10), (math.sqrt(200), math.sqrt(200))]
    held(check, op, boxes((3, 4), (60, 100), sides, (20, 25)), [0.5])


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ("", "min_size must be given"),
        ("min_size: -1", "min_size must be given and positive"),
        ("min_size: 10 min_size: 20 max_size: 30", "1 max_size for 2 min_size"),
        ("min_size: 10 max_size: 10", "not greater than its min_size"),
        ("min_size: 10 variance: 0.1 variance: 0.2", "variance must be one positive number, or four"),
        ("min_size: 10 variance: -1", "variance must be"),
        ("min_size: 10 aspect_ratio: 0", "aspect_ratio 0.0 is not positive"),
        ("min_size: 10 img_size: 10 img_h: 10 img_w: 10", "img_size stands beside"),
        ("min_size: 10 step: 10 step_h: 10", "step stands beside"),
        ("min_size: 10 step_h: 10", "must be positive"),
    ],
)
def test_faults_are_named(layer, settings, fault) -> None:
    with pytest.raises(ModelError, match=fault):
        layer(TEXT.format(settings=settings))


def test_misfits_are_named(layer, misfit) -> None:
    misfit(layer(TEXT.format(settings="min_size: 10")), [(1, 8), (1, 3, 60, 100)], "four axes")
