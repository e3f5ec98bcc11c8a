"""Transformer: what ``transform_param`` does to the pictures of a batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ristretto.caffe.datum import read_mean
from ristretto.data.picture import Picture, spell
from ristretto.errors import DataError
from ristretto.identity import digest
from ristretto.layers.data import Transform
from ristretto.net import Phase, Shape


class Transformer:
    """Subtracts the mean, crops, mirrors and scales, in float32 and bit for bit as Caffe does.

    Each value becomes ``(value - mean) * scale``. The crop is the middle one in the TEST phase (offset half of what
    is left over, rounded down) and a random one in TRAIN; with `mirror`, every second picture on average is mirrored,
    in both phases.

    Parameters
    ----------
    transform : Transform
        The settings.
    phase : Phase
    mean : float32 array (c, h, w) or None
        What the mean file holds; it covers the picture before the crop.
    seed : int
        Of the random choices.

    Raises
    ------
    DataError
        When settings exclude each other or are not finite.

    Notes
    -----
    In Caffe, random crops and mirroring differ from run to run, and with them the ranges that calibration finds. Here
    they are drawn by Philox, a counter-based generator, from the seed, the number of the batch and the place in it:
    three numbers for each picture (mirror, row, column). So they are random over the batches, and yet the same in
    every run and every pass, in whatever order batches are made.
    """

    def __init__(
        self, transform: Transform, phase: Phase, mean: NDArray[np.float32] | None = None, *, seed: int = 0
    ) -> None:
        if transform.mean_file and transform.mean_value:
            raise DataError("mean_file stands beside mean_value", hint="keep one of them")
        if transform.force_color and transform.force_gray:
            raise DataError("force_color stands beside force_gray", hint="keep one of them")
        if not all(map(math.isfinite, (transform.scale, *transform.mean_value))):
            raise DataError("scale or mean_value is NaN or infinite", hint="correct transform_param")
        self._crop = transform.crop_size
        self._random_crop = phase is Phase.TRAIN
        self._mirror = transform.mirror
        self._scale = np.float32(transform.scale)
        self._mean = mean
        self._mean_file = transform.mean_file
        self._mean_values = np.array(transform.mean_value, np.float32)[:, np.newaxis, np.newaxis]
        self._seed = seed

    @property
    def random(self) -> bool:
        """Whether two batches of the same pictures may come out differently."""
        return self._mirror or (self._random_crop and self._crop > 0)

    @property
    def fingerprint(self) -> str:
        """A digest of the settings and of the mean."""
        cropped = self._crop and (self._crop, self._random_crop)
        drawn = self.random and self._seed
        return digest(cropped, self._mirror, self._scale, self._mean, self._mean_values, drawn)

    def top_shape(self, shape: Shape) -> Shape:
        """Give the shape (c, h, w) that a picture of a shape comes out with.

        Raises
        ------
        DataError
            When the crop or the mean does not fit the picture.
        """
        channels, height, width = shape
        values = len(self._mean_values)
        if self._crop > min(height, width):
            raise DataError(
                f"crop_size {self._crop} is larger than the picture, {height}x{width}",
                hint="crop_size must fit every picture",
            )
        if self._mean is not None and self._mean.shape != shape:
            raise DataError(
                f"mean_file {self._mean_file} of the shape {spell(self._mean.shape)} "
                f"for a picture of the shape {spell(shape)}",
                hint="the mean must be that of these pictures, before the crop",
            )
        if values > 1 and values != channels:
            raise DataError(f"{values} mean_value for {channels} channels", hint="give one, or one for each channel")
        return (channels, self._crop, self._crop) if self._crop else shape

    def apply(self, pictures: Sequence[Picture], batch: int) -> NDArray[np.float32]:
        """Transform the pictures of a batch.

        Parameters
        ----------
        pictures : sequence of uint8 or float32 arrays (c, h, w)
            Those that `top_shape` gives one shape for; before the crop they may differ in height and width.
        batch : int
            The number of the batch, counted from 0.

        Returns
        -------
        float32 array (n, c, h, w)
        """
        channels, height, width = self.top_shape(pictures[0].shape)
        out = np.empty((len(pictures), channels, height, width), np.float32)
        for picture, target, (mirror, down, right) in zip(pictures, out, self._draw(len(pictures), batch), strict=True):
            spare_rows, spare_columns = picture.shape[1] - height, picture.shape[2] - width
            top, left = spare_rows // 2, spare_columns // 2
            if self._random_crop:
                top, left = down % (spare_rows + 1), right % (spare_columns + 1)
            window = np.s_[:, top : top + height, left : left + width]
            if self._mirror and mirror % 2:
                target = target[:, :, ::-1]
            if self._mean is not None:
                np.subtract(picture[window], self._mean[window], out=target, dtype=np.float32)
            elif self._mean_values.size:
                np.subtract(picture[window], self._mean_values, out=target, dtype=np.float32)
            else:
                target[...] = picture[window]
        if self._scale != 1:
            out *= self._scale
        return out

    def _draw(self, count: int, batch: int) -> list[list[int]]:
        # The generator's raw numbers: numpy promises to keep these, but not what it makes of them.
        key = np.array([self._seed, batch], np.uint64)
        raw: list[list[int]] = np.random.Philox(key=key).random_raw(3 * count).reshape(count, 3).tolist()
        return raw


def open_transformer(transform: Transform, phase: Phase, find: Callable[[str], Path]) -> Transformer:
    """Read the mean file, if there is one, and give the transformer.

    Raises
    ------
    DataError
        When the mean file is missing or damaged, or settings exclude each other.
    """
    mean = read_mean(find(transform.mean_file)) if transform.mean_file else None
    return Transformer(transform, phase, mean, seed=transform.seed)
