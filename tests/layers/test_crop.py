"""Crop against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from ristretto.errors import ModelError

WHOLE, REFERENCE = (3, 4, 6, 7), (2, 3, 4, 5)


@pytest.mark.parametrize(
    ("text", "axis", "offsets"),
    [
        ("", 2, (0, 0)),
        ("offset: 2", 2, (2, 2)),
        ("offset: 1 offset: 2", 2, (1, 2)),
        ("axis: 3 offset: 1", 3, (1,)),
        ("axis: -1", 3, (0,)),
        ("axis: 1 offset: 1 offset: 0 offset: 2", 1, (1, 0, 2)),
        ("axis: 0 offset: 1", 0, (1, 1, 1, 1)),
    ],
)
def test_the_window(layer, check, rng, text: str, axis: int, offsets: tuple[int, ...]) -> None:
    x, reference = (rng.normal(size=shape).astype(np.float32) for shape in (WHOLE, REFERENCE))
    wanted = np.empty((*WHOLE[:axis], *REFERENCE[axis:]))
    for place in np.ndindex(wanted.shape):
        wanted[place] = x[(*place[:axis], *(p + o for p, o in zip(place[axis:], offsets, strict=True)))]
    check(layer(f'type: "Crop" crop_param {{ {text} }}'), [x, reference], [wanted])


@pytest.mark.parametrize(
    ("text", "reference", "message"),
    [
        ("offset: 3", REFERENCE, "axis 2 has 6 places, the window ends at 7"),
        ("offset: 0 offset: 3", REFERENCE, "axis 3 has 7 places, the window ends at 8"),
        ("", (1, 1, 7, 1), "axis 2 has 6 places"),
        ("axis: 1 offset: 1 offset: 2", REFERENCE, "2 offsets for 3 axes"),
        ("axis: 4", REFERENCE, "axis 4"),
        ("", (2, 3, 4), "different numbers of axes"),
    ],
)
def test_windows_that_do_not_fit(layer, text: str, reference: tuple[int, ...], message: str) -> None:
    op = layer(f'type: "Crop" crop_param {{ {text} }}')
    assert op.bottom_counts() == (2, 2)
    with pytest.raises(ModelError, match=message):
        op.infer([WHOLE, reference])


def test_axes_before_the_first_need_not_agree(layer) -> None:
    assert layer('type: "Crop"').infer([WHOLE, (9, 9, 1, 1)]) == ((3, 4, 1, 1),)
