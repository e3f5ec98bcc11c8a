from __future__ import annotations

import numpy as np
import pytest

from ristretto.errors import ModelError

TEXT = 'name: "s" type: "ShuffleChannel" bottom: "x" top: "y" shuffle_channel_param {{ group: {group} }}'


@pytest.mark.parametrize("shape", [(2, 6, 3, 2), (1, 6), (2, 6, 4)])
@pytest.mark.parametrize("group", [1, 2, 3, 6])
def test_channels_are_dealt_out(layer, check, rng, shape, group) -> None:
    x = rng.standard_normal(shape).astype(np.float32)
    top = np.empty(shape)
    columns = shape[1] // group
    for row in range(group):
        for column in range(columns):
            top[:, column * group + row] = x[:, row * columns + column]
    check(layer(TEXT.format(group=group)), [x], [top])


def test_the_default_changes_nothing(layer, check, rng) -> None:
    x = rng.standard_normal((2, 6, 3, 2)).astype(np.float32)
    check(layer('name: "s" type: "ShuffleChannel" bottom: "x" top: "y"'), [x], [x])


def test_no_group_is_refused(layer) -> None:
    with pytest.raises(ModelError, match="group must be at least 1"):
        layer(TEXT.format(group=0))


def test_misfits_are_named(layer, misfit) -> None:
    fault = "group 4 does not divide the channels of a bottom with shape"
    misfit(layer(TEXT.format(group=4)), [(1, 6)], f"{fault} (1, 6)")
    misfit(layer(TEXT.format(group=4)), [(8,)], f"{fault} (8,)")
