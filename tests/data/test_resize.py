from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.data.resize import resize

LENGTHS = st.integers(1, 60)


def agrees(picture: np.ndarray, height: int, width: int) -> None:
    expected = cv2.resize(np.ascontiguousarray(picture.transpose(1, 2, 0)), (width, height))
    expected = expected.reshape(height, width, -1).transpose(2, 0, 1)
    assert resize(picture, height, width).tolist() == expected.tolist()


@given(st.sampled_from([1, 3]), LENGTHS, LENGTHS, LENGTHS, LENGTHS, st.integers(0, 1 << 32))
def test_it_equals_opencv(channels: int, height: int, width: int, new_height: int, new_width: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (channels, height, width), np.uint8)
    agrees(picture, new_height, new_width)


@pytest.mark.parametrize("sizes", [(64, 48, 32, 24), (64, 48, 32, 48), (31, 33, 62, 66), (500, 375, 256, 256)])
@pytest.mark.parametrize("black_and_white", [False, True])
def test_it_equals_opencv_in_special_cases(sizes: tuple[int, int, int, int], black_and_white: bool) -> None:
    height, width, new_height, new_width = sizes
    picture = np.random.default_rng(1).integers(0, 256, (3, height, width), np.uint8)
    agrees((picture > 127).astype(np.uint8) * 255 if black_and_white else picture, new_height, new_width)


def test_a_plain_picture_stays_plain() -> None:
    assert (resize(np.full((1, 7, 9), 255, np.uint8), 20, 3) == 255).all()
