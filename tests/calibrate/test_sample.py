"""The pictures that calibration keeps."""

from __future__ import annotations

import numpy as np

from ristretto.calibrate.sample import MOST_NUMBERS, Sampler


def test_the_first_pictures_are_kept_up_to_the_limit() -> None:
    size = MOST_NUMBERS // 5
    sampler = Sampler()
    batches = [np.full((3, size), i, np.float32) + np.arange(3, dtype=np.float32)[:, None] / 4 for i in range(3)]
    for batch in batches:
        sampler.add(batch)
    assert sampler.finish()[:, 0].tolist() == [0, 0.25, 0.5, 1, 1.25]


def test_one_picture_is_kept_however_large() -> None:
    sampler = Sampler()
    for value in (1.0, 2.0):
        sampler.add(np.full((2, MOST_NUMBERS + 1), value, np.float32))
    assert sampler.finish().shape == (1, MOST_NUMBERS + 1)


def test_what_is_kept_is_a_copy() -> None:
    sampler, batch = Sampler(), np.zeros((1, 4), np.float32)
    sampler.add(batch)
    batch += 1
    assert sampler.finish().tolist() == [[0, 0, 0, 0]]
