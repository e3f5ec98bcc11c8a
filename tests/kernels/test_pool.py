"""Max pooling on codes against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.kernels.pool import max_pool


@given(st.data(), st.sampled_from([np.int8, np.int16]))
def test_any_window_gives_its_maximum(data: st.DataObject, kind: type) -> None:
    window = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    pad = data.draw(st.tuples(st.integers(0, window[0] - 1), st.integers(0, window[1] - 1)))
    size = data.draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    counts = tuple(data.draw(st.integers(1, (s + p - 1) // t + 1)) for s, p, t in zip(size, pad, stride, strict=True))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    ends = np.iinfo(kind)
    x = rng.integers(ends.min, ends.min + 9, (2, 2, *size), kind)
    top = np.empty((2, 2, *counts), kind)
    for n, c, i, j in np.ndindex(top.shape):
        up, left = i * stride[0] - pad[0], j * stride[1] - pad[1]
        top[n, c, i, j] = x[n, c, max(up, 0) : up + window[0], max(left, 0) : left + window[1]].max()
    got = max_pool(x, window, stride, pad, counts)
    assert got.dtype == kind
    np.testing.assert_array_equal(got, top)
    np.testing.assert_array_equal(max_pool(np.asfortranarray(x), window, stride, pad, counts), top)


@pytest.mark.parametrize(
    ("window", "stride", "pad", "counts"),
    [
        ((1, 1), (2, 2), (0, 0), (3, 2)),
        ((1, 1), (2, 2), (0, 0), (2, 3)),
        ((2, 2), (1, 1), (2, 0), (1, 1)),
        ((2, 2), (2, 2), (1, 1), (4, 1)),
    ],
)
def test_a_window_without_pixels_is_refused(window, stride, pad, counts) -> None:
    with pytest.raises(ValueError, match="windows of"):
        max_pool(np.zeros((1, 1, 4, 4), np.int8), window, stride, pad, counts)
