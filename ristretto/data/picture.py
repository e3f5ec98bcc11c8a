"""From a Datum to the values of its picture."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ristretto.caffe.datum import Datum
from ristretto.errors import DataError
from ristretto.net import Shape

Picture = NDArray[Any]
"""Values (c, h, w) in the database's units: uint8, or float32 from `float_data`."""

FORMATS = ("JPEG", "PNG")
"""What an encoded Datum may hold."""
FILE_FORMATS = (*FORMATS, "BMP", "PPM")
"""What a picture file may be."""


def planes(datum: Datum, *, force_color: bool = False, force_gray: bool = False) -> Picture:
    """Give the values of a Datum's picture.

    Parameters
    ----------
    datum : Datum
        Raw bytes, floats, or an encoded file.
    force_color, force_gray : bool
        Make 3 channels, or 1, of whatever an encoded picture has; Caffe leaves others as they are, and so do we.

    Returns
    -------
    uint8 or float32 array (c, h, w)
        Colours of an encoded picture in the order blue, green, red, as OpenCV gives them to Caffe.

    Raises
    ------
    DataError
        When the values do not fit the shape, are not finite, or the picture does not decode.

    Notes
    -----
    Pillow and OpenCV both decode JPEG by libjpeg-turbo, with the slow integer transform and smooth chroma: the golden
    SqueezeNet input, decoded by OpenCV, agrees in every pixel. Two exceptions are known. A colour PNG with
    `force_gray` is weighted by libpng in OpenCV and by Pillow here, which differ by one level in places; and newer
    OpenCV turns a JPEG by its EXIF orientation when `force_color` or `force_gray` is set, which we never do.
    """
    if datum.encoded:
        return decode(datum.data, force_color=force_color, force_gray=force_gray)
    shape = (datum.channels, datum.height, datum.width)
    if min(shape) < 1:
        raise DataError(f"the shape {spell(shape)}", hint="channels, height and width must be at least 1")
    # As in Caffe, floats count only where there are no bytes.
    floats = None if datum.data else datum.float_data
    values: Picture = np.frombuffer(datum.data, np.uint8) if floats is None else floats
    if values.size != math.prod(shape):
        raise DataError(f"{values.size} values for the shape {spell(shape)}", hint="make the database anew")
    if floats is not None and not np.isfinite(floats).all():
        raise DataError("NaN or infinity among its values", hint="make the database anew")
    return values.reshape(shape)


def decode(
    data: bytes, *, force_color: bool = False, force_gray: bool = False, formats: tuple[str, ...] = FORMATS
) -> Picture:
    """Give the values of an encoded picture; `planes` says how.

    Raises
    ------
    DataError
        When it does not decode, is in none of the formats (Pillow's names), or has more than 8 bits for each channel.
    """
    try:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            if force_gray:
                # A JPEG then gives its luminance as it is stored, as in OpenCV, with no way through RGB.
                image.draft("L", None)
            image.load()
            return _pixels(image, force_color, force_gray)
    except DataError:
        raise
    except Exception as error:  # Pillow raises whatever a damaged file makes its parsers raise.
        raise DataError(
            f"its picture does not decode: {_reason(error)}", hint=f"it is damaged, or none of {', '.join(formats)}"
        ) from error


def _pixels(image: Image.Image, force_color: bool, force_gray: bool) -> Picture:
    if image.mode.startswith(("I", "F")):
        raise DataError(f"a picture of {image.mode} pixels", hint="Caffe takes 8 bits for each channel only")
    if image.mode == "CMYK":
        image = _from_cmyk(image)
    elif image.mode in ("LA", "PA") or (image.mode == "P" and "transparency" in image.info):
        image = image.convert("RGBA")
    if force_gray or (image.mode in ("1", "L") and not force_color):
        mode = "L"
    elif image.mode == "RGBA" and not force_color:
        mode = "RGBA"
    else:
        mode = "RGB"
    pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    if mode == "L":
        return pixels[np.newaxis]
    red_green_blue = pixels.transpose(2, 0, 1)
    return red_green_blue[[2, 1, 0, 3]] if mode == "RGBA" else red_green_blue[::-1]


def _from_cmyk(image: Image.Image) -> Image.Image:
    """Convert as OpenCV does, which scales each ink by black in integers; Pillow's own rounding differs."""
    # Pillow turns the inverted inks of Adobe's files around; OpenCV works on them as stored.
    inks = 255 - np.asarray(image).astype(np.int32)
    black = inks[:, :, 3:]
    return Image.fromarray((black - ((255 - inks[:, :, :3]) * black >> 8)).astype(np.uint8))


def _reason(error: Exception) -> str:
    return "unknown format" if isinstance(error, UnidentifiedImageError) else str(error).split("\n")[0]


def spell(shape: Shape) -> str:
    """Write a shape as messages do: 3x32x32."""
    return "x".join(map(str, shape))
