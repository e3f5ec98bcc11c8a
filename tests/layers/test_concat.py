"""Concat against a plain copy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ristretto.errors import ModelError
from ristretto.layers import Concat

TEXT = 'type: "Concat" concat_param {{ {} }}'


@pytest.mark.parametrize(
    ("settings", "shapes", "axis"),
    [
        ("", [(2, 3, 2, 2), (2, 1, 2, 2)], 1),
        ("", [(2, 3)], 1),
        ("axis: 0", [(1, 3), (2, 3), (1, 3)], 0),
        ("axis: -1", [(2, 3, 1), (2, 3, 4)], 2),
        ("concat_dim: 2", [(1, 2, 3, 2), (1, 2, 1, 2)], 2),
    ],
)
def test_bottoms_stand_one_behind_the_other(layer, check, rng, settings, shapes, axis) -> None:
    bottoms = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    length = list(shapes[0])
    length[axis] = sum(shape[axis] for shape in shapes)
    top = np.empty(length)
    start = 0
    for bottom in bottoms:
        for place in itertools.product(*(range(size) for size in bottom.shape)):
            target = list(place)
            target[axis] += start
            top[tuple(target)] = bottom[place]
        start += bottom.shape[axis]
    check(layer(TEXT.format(settings)), bottoms, [top])


@pytest.mark.parametrize(
    ("axis", "shapes", "fault"),
    [
        (1, [(1, 2, 3), (1, 2, 4)], "cannot be joined along axis 1"),
        (1, [(1, 2), (1,)], "cannot be joined along axis 1"),
        (1, [(1, 2, 3), (1, 2)], "cannot be joined along axis 1"),
        (0, [(2, 3), (2, 4)], "cannot be joined along axis 0"),
        (2, [(2, 3)], "axis 2"),
        (-3, [(2, 3)], "axis -3"),
    ],
)
def test_bottoms_that_do_not_go_together_are_named(misfit, axis, shapes, fault) -> None:
    misfit(Concat(axis), shapes, fault)


def test_settings_are_read_as_caffe_does(layer) -> None:
    assert layer('type: "Concat"') == Concat(axis=1)


def test_axis_and_its_old_name_exclude_each_other(layer) -> None:
    with pytest.raises(ModelError, match="axis stands beside concat_dim"):
        layer('type: "Concat" concat_param { axis: 1 concat_dim: 1 }')
