"""Fields: a message as plain data."""

from __future__ import annotations

import pytest

from ristretto.errors import ModelError
from ristretto.net import Fields


def test_values_come_as_what_they_are_asked_for() -> None:
    inner = Fields({"x": 1})
    fields = Fields(
        {"n": 3, "f": 0.5, "on": True, "name": "a", "many": (1, 2), "reals": (1, 0.5), "inner": inner}, frozenset({"n"})
    )
    assert fields.has("n")
    assert not fields.has("f")
    assert (fields.integer("n"), fields.number("f"), fields.flag("on"), fields.text("name")) == (3, 0.5, True, "a")
    assert (fields.integers("many"), fields.numbers("reals")) == ((1, 2), (1.0, 0.5))
    assert fields.message("inner") is inner


def spatial(present: str = "", default: int | None = 1, **values: object) -> tuple[int, int]:
    given = {"pad": (), "pad_h": 0, "pad_w": 0} | values
    fields = Fields(given, frozenset(values) | frozenset(present.split()))
    return fields.height_width("pad", height="pad_h", width="pad_w", default=default)


@pytest.mark.parametrize(
    ("values", "pair"),
    [
        ({}, (1, 1)),
        ({"pad": (3,)}, (3, 3)),
        ({"pad": 3}, (3, 3)),
        ({"pad": (3, 4)}, (3, 4)),
        ({"pad_h": 3, "pad_w": 4}, (3, 4)),
        ({"pad_h": 3}, (3, 0)),
    ],
)
def test_a_spatial_setting_has_two_spellings(values: dict[str, object], pair: tuple[int, int]) -> None:
    assert spatial(**values) == pair


@pytest.mark.parametrize(
    ("default", "values", "fault"),
    [
        (1, {"pad": (3,), "pad_h": 2}, "pad stands beside pad_h/pad_w"),
        (None, {}, "pad is missing"),
        (None, {"pad_w": 2}, "pad_h and pad_w must stand together"),
        (1, {"pad": (1, 2, 3)}, "pad has 3 values; only two spatial axes"),
    ],
)
def test_a_spatial_setting_without_sense_is_named(default: int | None, values: dict[str, object], fault: str) -> None:
    with pytest.raises(ModelError, match=fault):
        spatial(default=default, **values)


def test_a_layer_may_have_one_spelling_only() -> None:
    fields = Fields({"dilation": (2,)}, frozenset({"dilation"}))
    assert fields.height_width("dilation", height="", width="", default=1) == (2, 2)
