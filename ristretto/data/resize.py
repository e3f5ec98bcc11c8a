"""Resizing as OpenCV does it, on which Caffe relies: bilinear, in integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COEFFICIENT_BITS = 11
"""Fractional bits of OpenCV's weights."""

Integers = NDArray[np.int32]


def resize(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize a picture bit for bit as ``cv2.resize`` does by default.

    A new pixel's centre falls between four old ones, which are weighted by how near they are; the outermost pixels
    are continued outwards. Nothing is smoothed beforehand, so that a small copy of a large picture shows aliasing, as
    in Caffe. Halving both lengths is another case in OpenCV: there the four pixels are averaged.

    Parameters
    ----------
    picture : uint8 array (c, h, w)
    height, width : int
        Of the result, in pixels, at least 1.

    Returns
    -------
    uint8 array (c, height, width)
    """
    _, old_height, old_width = picture.shape
    if (old_height, old_width) == (height, width):
        return picture
    if (old_height, old_width) == (2 * height, 2 * width):
        wide = picture.astype(np.int32)
        rows = wide[:, 0::2] + wide[:, 1::2]
        return (rows[:, :, 0::2] + rows[:, :, 1::2] + 2 >> 2).astype(np.uint8)
    left, right, left_weight, right_weight = _neighbours(old_width, width)
    upper, lower, upper_weight, lower_weight = _neighbours(old_height, height)
    # Rows that no new pixel falls on need not be resized.
    needed, rows_at = np.unique(np.concatenate([upper, lower]), return_inverse=True)
    wide = picture[:, needed].astype(np.int32)
    lines = wide[:, :, left] * left_weight + wide[:, :, right] * right_weight
    # OpenCV drops four bits before and sixteen after the second weighting, to stay within 16-bit multiplications.
    lines >>= 4
    above = lines[:, rows_at[:height]] * upper_weight[:, np.newaxis] >> 16
    below = lines[:, rows_at[height:]] * lower_weight[:, np.newaxis] >> 16
    return (above + below + 2 >> 2).astype(np.uint8)


def _neighbours(old: int, new: int) -> tuple[Integers, Integers, Integers, Integers]:
    """Give the two old pixels that each new one lies between along an axis, and their weights."""
    # The type of each number is OpenCV's: the centre in double precision, then single.
    centre = ((np.arange(new) + 0.5) * (old / new) - 0.5).astype(np.float32)
    first = np.floor(centre).astype(np.int32)
    share = centre - first.astype(np.float32)
    scale = np.float32(1 << COEFFICIENT_BITS)
    weights = [np.rint(part * scale).astype(np.int32) for part in (np.float32(1) - share, share)]
    low, high = (np.clip(first + step, 0, old - 1) for step in (0, 1))
    return low, high, weights[0], weights[1]
