"""The pictures that calibration keeps."""

from __future__ import annotations

import numpy as np

from ristretto.calibrate.sample import FEWEST_PICTURES, MOST_NUMBERS, MOST_PLACES, Sampler


def kept(batches: int, *shapes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Give what is kept of batches of numbers that count up."""
    sampler = Sampler()
    for batch in range(batches):
        sampler.add(*(np.arange(batch * s[0], (batch + 1) * s[0]).reshape(-1, *[1] * (len(s) - 1)) + np.zeros(s, "f4")
                      for s in shapes))  # fmt: skip
    return sampler.finish()


def test_the_first_pictures_are_kept_up_to_the_limit() -> None:
    x, y = kept(3, (3, MOST_NUMBERS // 5), (3, 2))
    assert x[:, 0].tolist() == y[:, 1].tolist() == [0, 1, 2, 3, 4]


def test_the_output_has_a_limit_too() -> None:
    assert len(kept(3, (3, 2), (3, MOST_NUMBERS // 4))[0]) == 4


def test_one_picture_is_kept_however_large() -> None:
    x, y = kept(2, (2, MOST_NUMBERS + 1), (2, 1))
    assert (len(x), len(y)) == (1, 1)


def test_places_are_a_limit_of_their_own() -> None:
    assert len(kept(40, (3, 2), (3, 2, 32, 16))[1]) == max(MOST_PLACES // 512, FEWEST_PICTURES)
    assert len(kept(40, (3, 2), (3, 2, 16, 16))[1]) == MOST_PLACES // 256
    assert len(kept(40, (3, 2), (3, 10))[1]) == 120


def test_some_pictures_are_kept_however_many_places_they_have() -> None:
    assert len(kept(20, (2, 1), (2, 1, 128, 128))[0]) == FEWEST_PICTURES


def test_a_batch_that_is_not_pictures_one_by_one_is_kept_whole() -> None:
    x, y = kept(2, (6, 4), (3,))
    assert (x.shape, y.shape) == ((6, 4), (3,))


def test_what_is_kept_is_a_copy() -> None:
    sampler, batch = Sampler(), np.zeros((1, 4), np.float32)
    sampler.add(batch, batch)
    batch += 1
    assert sampler.finish()[0].tolist() == [[0, 0, 0, 0]]
