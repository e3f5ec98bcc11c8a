from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ristretto.caffe.datum import Datum
from ristretto.data.picture import planes
from ristretto.errors import DataError


def encoded(image: Image.Image, kind: str, **options: Any) -> Datum:
    """A Datum whose shape says nothing true, as Caffe ignores it."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return Datum(9, 9, 9, file.getvalue(), encoded=True)


def noise(height: int, width: int, channels: int) -> NDArray[np.uint8]:
    values = np.random.default_rng(channels).integers(0, 256, (height, width, channels), np.uint8)
    return values[:, :, 0] if channels == 1 else values


def smooth(height: int = 40, width: int = 30) -> NDArray[np.uint8]:
    """A picture that JPEG keeps well: (h, w, 3)."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 5, columns * 7, 200 - rows * 2 - columns], axis=2).astype(np.uint8)


def refused(datum: Datum, **force: bool) -> DataError:
    with pytest.raises(DataError) as caught:
        planes(datum, **force)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value


def test_raw_bytes_are_planes() -> None:
    got = planes(Datum(2, 1, 3, bytes([0, 1, 2, 128, 254, 255])))
    assert got.dtype == np.uint8
    assert got.tolist() == [[[0, 1, 2]], [[128, 254, 255]]]


def test_floats_are_planes_where_there_are_no_bytes() -> None:
    floats = np.array([-0.5, 1e30], np.float32)
    got = planes(Datum(1, 2, 1, float_data=floats))
    assert got.dtype == np.float32
    assert got.tolist() == [[[-0.5], [np.float32(1e30)]]]
    assert planes(Datum(1, 2, 1, b"\x01\x02", float_data=floats)).tolist() == [[[1], [2]]]


def test_force_does_not_touch_raw_pictures() -> None:
    datum = Datum(1, 1, 2, b"\x01\x02")
    assert planes(datum, force_color=True).tolist() == [[[1, 2]]]


@pytest.mark.parametrize(
    ("datum", "says"),
    [
        (Datum(1, 2, 2, b"\x00" * 3), "3 values for the shape 1x2x2"),
        (Datum(1, 2, 2, b"\x00" * 5), "5 values for the shape 1x2x2"),
        (Datum(1, 2, 2), "0 values for the shape 1x2x2"),
        (Datum(1, 2, 2, float_data=np.zeros(3, np.float32)), "3 values"),
        (Datum(0, 2, 2), "the shape 0x2x2"),
        (Datum(-1, -2, 2, b"\x00" * 4), "the shape -1x-2x2"),
        (Datum(1, 1, 1, float_data=np.array([np.nan], np.float32)), "NaN"),
        (Datum(1, 1, 1, float_data=np.array([np.inf], np.float32)), "infinity"),
        (Datum(3, 4, 4, b"", encoded=True), "does not decode: unknown format"),
        (Datum(3, 4, 4, b"no picture", encoded=True), "does not decode: unknown format"),
    ],
)
def test_what_does_not_fit_is_refused(datum: Datum, says: str) -> None:
    assert says in refused(datum).message


@pytest.mark.parametrize(("channels", "order"), [(1, [0]), (3, [2, 1, 0]), (4, [2, 1, 0, 3])])
def test_png_gives_blue_first(channels: int, order: list[int]) -> None:
    values = noise(5, 7, channels)
    got = planes(encoded(Image.fromarray(values), "PNG"))
    assert got.dtype == np.uint8
    assert got.shape == (channels, 5, 7)
    stacked = values.reshape(5, 7, channels)
    for channel, source in enumerate(order):
        assert (got[channel] == stacked[:, :, source]).all()


def test_force_color_makes_three_channels() -> None:
    gray = noise(4, 4, 1)
    got = planes(encoded(Image.fromarray(gray), "PNG"), force_color=True)
    assert got.shape == (3, 4, 4)
    assert (got == gray).all()
    colors = noise(4, 4, 4)
    got = planes(encoded(Image.fromarray(colors), "PNG"), force_color=True)
    assert (got == colors[:, :, 2::-1].transpose(2, 0, 1)).all()


def test_force_gray_makes_one_channel() -> None:
    colors = noise(6, 5, 3)
    got = planes(encoded(Image.fromarray(colors), "PNG"), force_gray=True)
    assert got.shape == (1, 6, 5)
    assert np.abs(got[0] - colors @ [0.299, 0.587, 0.114]).max() <= 1


def test_palette_is_looked_up() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    assert planes(encoded(image, "PNG")).tolist() == [[[30, 60]], [[20, 50]], [[10, 40]]]
    clear = planes(encoded(image, "PNG", transparency=bytes([255, 0])))
    assert clear.tolist() == [[[30, 60]], [[20, 50]], [[10, 40]], [[255, 0]]]
    assert planes(encoded(image, "PNG", transparency=bytes([255, 0])), force_color=True).shape == (3, 1, 2)


def test_gray_with_alpha_has_four_channels() -> None:
    image = Image.merge("LA", [Image.new("L", (2, 2), value) for value in (7, 9)])
    got = planes(encoded(image, "PNG"))
    assert got[:, 0, 0].tolist() == [7, 7, 7, 9]


def test_bits_become_black_and_white() -> None:
    image = Image.new("1", (2, 1))
    image.putdata([0, 1])
    assert planes(encoded(image, "PNG")).tolist() == [[[0, 255]]]


def test_jpeg_in_colour() -> None:
    source = smooth()
    datum = encoded(Image.fromarray(source), "JPEG", quality=95)
    got = planes(datum)
    assert got.shape == (3, 40, 30)
    assert np.abs(got.transpose(1, 2, 0)[:, :, ::-1].astype(int) - source).max() < 8


def test_jpeg_in_gray_stays_gray() -> None:
    source = smooth()[:, :, 0]
    datum = encoded(Image.fromarray(source), "JPEG", quality=95)
    assert planes(datum).shape == (1, 40, 30)
    color = planes(datum, force_color=True)
    assert color.shape == (3, 40, 30)
    assert (color == planes(datum)).all()


def test_force_gray_takes_the_luminance_that_a_jpeg_stores() -> None:
    datum = encoded(Image.fromarray(noise(16, 16, 3)), "JPEG")
    with Image.open(io.BytesIO(datum.data)) as image:
        image.draft("YCbCr", None)
        stored = np.asarray(image)[:, :, 0]
    assert (planes(datum, force_gray=True)[0] == stored).all()


def test_four_inks_become_colours_as_in_opencv() -> None:
    source = np.dstack([smooth(8, 8), smooth(8, 8)[:, :, 0]])
    datum = encoded(Image.fromarray(source, "CMYK"), "JPEG", quality=100)
    with Image.open(io.BytesIO(datum.data)) as image:
        inks = np.asarray(image).tolist()
    got = planes(datum)
    for row in range(8):
        for column in range(8):
            cyan, magenta, yellow, black = (255 - ink for ink in inks[row][column])
            blue_green_red = [black - ((255 - ink) * black >> 8) for ink in (yellow, magenta, cyan)]
            assert got[:, row, column].tolist() == blue_green_red
    white = encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "JPEG")
    assert (planes(white) >= 254).all()
    assert planes(white, force_gray=True).shape == (1, 8, 8)


def test_sixteen_bits_are_refused() -> None:
    image = Image.fromarray(np.full((2, 2), 40000, np.uint16))
    assert "I;16" in refused(encoded(image, "PNG")).message


@pytest.mark.parametrize("kind", ["GIF", "BMP"])
def test_other_kinds_of_file_are_refused(kind: str) -> None:
    assert "unknown format" in refused(encoded(Image.fromarray(smooth()), kind)).message


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_damaged_files_are_refused(kind: str) -> None:
    datum = encoded(Image.fromarray(noise(64, 64, 3)), kind)
    for size in (3, 30, 100, len(datum.data) // 2):
        assert "does not decode" in refused(Datum(3, 64, 64, datum.data[:size], encoded=True)).message
