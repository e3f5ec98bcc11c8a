"""The pictures that calibration keeps."""

from __future__ import annotations

import numpy as np

from ristretto.calibrate.sample import FEWEST_PICTURES, MOST_NUMBERS, MOST_PLACES, Sampler


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


def test_places_are_a_limit_of_their_own() -> None:
    wide, narrow = (Sampler(count_places=True) for _ in range(2))
    for _ in range(40):
        wide.add(np.zeros((3, 2, 32, 16), np.float32))
        narrow.add(np.zeros((3, 10), np.float32))
    assert len(wide.finish()) == MOST_PLACES // 512
    assert len(narrow.finish()) == 120


def test_some_pictures_are_kept_however_many_places_they_have() -> None:
    sampler = Sampler(count_places=True)
    sampler.add(np.zeros((20, 1, 128, 128), np.float32))
    assert len(sampler.finish()) == FEWEST_PICTURES
