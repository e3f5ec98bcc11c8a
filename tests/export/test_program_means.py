"""Where a mean is divided in integers: float32's rounding in between must not be seen."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.export.program.windowed import divides_exactly
from ristretto.formats import EXACT, HALF_EVEN, Arithmetic, FixedPoint
from ristretto.hardware.grid import Grid

MOST = 1 << 24


def differing(sums: np.ndarray, pixels: int, fl: int, trim: FixedPoint, arithmetic: Arithmetic) -> int:
    """Count the sums whose mean, rounded to float32 and then trimmed, is not the mean that is rounded once."""
    quotients = np.ldexp(sums.astype(np.float32), -fl) / np.float32(pixels)
    codes = trim.encode(quotients, arithmetic).astype(np.int64)
    left, right = max(trim.fl - fl, 0), max(fl - trim.fl, 0)
    size, by = np.abs(sums) << left, pixels << right
    whole, rest = size // by, 2 * (size % by)
    up = (rest > by) | ((rest == by) & ((whole % 2 == 1) | (not arithmetic.half_even)))
    once = np.clip(np.sign(sums) * (whole + up), trim.low_code, trim.high_code)
    return int((codes != once).sum())


@given(
    st.integers(1, 1 << 15),
    st.integers(1, 400),
    st.integers(-4, 12),
    st.builds(FixedPoint, st.integers(1, 16), st.integers(-4, 16)),
    st.sampled_from([EXACT, HALF_EVEN]),
)
@settings(max_examples=150)
def test_what_is_divided_in_integers_is_what_float32_gives(
    largest: int, pixels: int, fl: int, trim: FixedPoint, arithmetic: Arithmetic
) -> None:
    if divides_exactly(Grid(fl, -largest, largest), pixels, trim):
        sums = np.arange(-largest, largest + 1, dtype=np.int64)
        assert differing(sums, pixels, fl, trim, arithmetic) == 0


def test_the_bound_is_not_far_from_what_it_must_be() -> None:
    """It holds for real pools, and where it does not, some sums do differ."""
    for pixels in (9, 49, 169, 225):
        assert divides_exactly(Grid(5, -128 * pixels, 127 * pixels), pixels, FixedPoint(8, 5))
    wide, sums = Grid(0, -MOST, MOST), np.arange(MOST - (1 << 16), MOST, dtype=np.int64)
    for pixels in (3, 9, 49, 169):
        assert not divides_exactly(wide, pixels, FixedPoint(24, 0))
        assert differing(sums, pixels, 0, FixedPoint(24, 0), EXACT) > 0
