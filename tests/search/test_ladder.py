"""Ladders within bounds."""

from __future__ import annotations

import pytest

from ristretto.errors import SearchError
from ristretto.net import Part
from ristretto.search.mode import Ladder, ladder
from ristretto.search.sites import Bounds

CONV, OUTPUTS = Part.CONV_PARAMS, Part.ACTIVATIONS
PARTS = ladder("conv_params", [CONV])


def widths(found: Ladder) -> list[int]:
    return [bits[CONV] for bits in found.rungs]


def test_all_widths_are_tried_by_default() -> None:
    assert widths(PARTS.within(Bounds())) == [16, 8, 4, 2, 1]
    assert PARTS.within(Bounds()).otherwise == {CONV: 32}


def test_rungs_outside_are_left_out() -> None:
    assert widths(PARTS.within(Bounds(2, 9))) == [8, 4, 2]
    assert widths(PARTS.within(Bounds(4, 4))) == [4]


def test_what_no_rung_holds_gets_the_widest_that_may_be() -> None:
    assert PARTS.within(Bounds(2, 9)).bits(-1) == {CONV: 8}
    # With 16 bits allowed the fork's word for float stays the last resort.
    assert PARTS.within(Bounds(2, 16)).bits(-1) == {CONV: 32}


def test_a_rung_of_several_widths_must_lie_within_as_a_whole() -> None:
    both = Ladder("all", [{CONV: 4, OUTPUTS: 8}], {CONV: 4, OUTPUTS: 8})
    assert both.within(Bounds(4, 8)).rungs == both.rungs
    for bounds in (Bounds(5, 8), Bounds(4, 7)):
        with pytest.raises(SearchError, match=f"nothing to try for all between {bounds.min_bits}") as error:
            both.within(bounds)
        assert error.value.hint == "its widths: 4/8"
