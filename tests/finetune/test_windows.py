"""Pools with any pads, against loops over the windows of a padded picture."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from ristretto.finetune.windows import average_pool, max_pool, max_pool_with_places, pad

AXIS = (
    st.integers(1, 4)
    .flatmap(
        lambda k: st.tuples(st.integers(1, 7), st.just(k), st.integers(1, 4), st.integers(0, k - 1), st.integers(0, k))
    )
    .filter(lambda walk: walk[0] + walk[3] + walk[4] >= walk[1])
)
"""Pixels, kernel, stride, and the pads at either end."""


def windows(x: np.ndarray, walks: list[tuple[int, ...]], value: float) -> np.ndarray:
    """Give the numbers of each window, (n, c, down, across, numbers)."""
    pads = [(0, 0), (0, 0), *(walk[3:] for walk in walks)]
    padded = np.pad(x, pads, constant_values=value)
    counts = [(size + before + after - k) // s + 1 for size, k, s, before, after in walks]
    (_, kh, sh, _, _), (_, kw, sw, _, _) = walks
    found = np.empty((*x.shape[:2], *counts, kh * kw))
    for i, j in itertools.product(*map(range, counts)):
        part = padded[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
        found[:, :, i, j] = part.reshape(*x.shape[:2], -1)
    return found


@given(AXIS, AXIS, st.integers(0, 99))
def test_every_window_is_the_loops(down: tuple[int, ...], across: tuple[int, ...], seed: int) -> None:
    walks = [down, across]
    x = np.random.default_rng(seed).normal(size=(2, 3, down[0], across[0]))
    _, kernel, strides, before, after = (list(pair) for pair in zip(*walks, strict=True))
    how = {"kernel_shape": kernel, "strides": strides, "pads": [*before, *after]}
    largest = windows(x, walks, -math.inf).max(axis=-1)
    np.testing.assert_array_equal(max_pool(torch.from_numpy(x), **how).numpy(), largest)
    means = windows(x, walks, 0.0).mean(axis=-1)
    np.testing.assert_allclose(average_pool(torch.from_numpy(x), **how, count_include_pad=1).numpy(), means, atol=1e-12)
    found, places = max_pool_with_places(torch.from_numpy(x), **how)
    np.testing.assert_array_equal(found.numpy(), largest)
    real = np.isfinite(largest)
    np.testing.assert_array_equal(x.reshape(-1)[places.numpy()[real]], largest[real])


def test_pads_stand_at_the_start_of_every_axis_then_at_its_end() -> None:
    y = pad(torch.ones(1, 2), [0, 1, 2, 3], 5.0)
    assert y.tolist() == [[5, 1, 1, 5, 5, 5], [5] * 6, [5] * 6]
