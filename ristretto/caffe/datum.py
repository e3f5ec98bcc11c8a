"""Datums and mean files: pictures as Caffe keeps them in a database, and their average."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from ristretto.caffe.schema import message_class
from ristretto.errors import DataError

FOUR_NUMBERS = ("num", "channels", "height", "width")
"""How old files spell a shape."""
MEAN_HINT = "a mean file is a binary BlobProto, as Caffe's compute_image_mean writes it"


@dataclass(frozen=True, eq=False, slots=True)
class Datum:
    """One record of a database: a picture with its label.

    Parameters
    ----------
    channels, height, width : int
        The picture's shape; an encoded picture has its own, and these may say anything.
    data : bytes
        The values as bytes in the order (c, h, w), or a JPEG or PNG file when `encoded`.
    label : int
        The class.
    float_data : float32 array of one axis, read-only, or None
        The values where `data` is empty.
    encoded : bool
        Whether `data` is a compressed file.
    """

    channels: int
    height: int
    width: int
    data: bytes = b""
    label: int = 0
    float_data: NDArray[np.float32] | None = None
    encoded: bool = False


def read_datum(data: bytes) -> Datum:
    """Read the bytes of a Datum message.

    Raises
    ------
    DataError
        When they are no Datum. Whether the values fit the shape is not looked at here.

    Examples
    --------
    >>> read_datum(write_datum(Datum(1, 1, 2, data=bytes([7, 255]), label=3))).label
    3
    """
    try:
        message = message_class("Datum").FromString(data)
    except DecodeError as error:
        raise DataError("no Datum message", hint="the database must hold Caffe's Datum messages") from error
    floats = None
    if message.float_data:
        floats = np.array(message.float_data, np.float32)
        floats.flags.writeable = False
    return Datum(
        channels=message.channels,
        height=message.height,
        width=message.width,
        data=message.data,
        label=message.label,
        float_data=floats,
        encoded=message.encoded,
    )


def write_datum(datum: Datum) -> bytes:
    """Give a Datum's bytes, the same in every run; fields that it does not need are left out."""
    message = message_class("Datum")(channels=datum.channels, height=datum.height, width=datum.width, label=datum.label)
    if datum.data:
        message.data = datum.data
    if datum.encoded:
        message.encoded = True
    if datum.float_data is not None:
        message.float_data.extend(datum.float_data.tolist())
    return bytes(message.SerializeToString(deterministic=True))


def read_mean(path: str | Path) -> NDArray[np.float32]:
    """Read a mean file.

    Parameters
    ----------
    path : path
        A binary BlobProto of the shape (c, h, w) or (1, c, h, w).

    Returns
    -------
    float32 array (c, h, w), read-only
        The average picture, in the units of the database.

    Raises
    ------
    DataError
        When the file is missing, truncated, no BlobProto, of another number of axes, or holds NaN or infinity.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"cannot read mean file {path}: {error.strerror}", hint=MEAN_HINT) from error
    try:
        message = message_class("BlobProto").FromString(content)
    except DecodeError as error:
        raise DataError(f"mean file {path} is truncated or no BlobProto", hint=MEAN_HINT) from error
    # Caffe's order: the four numbers of old files come first where both stand.
    if any(map(message.HasField, FOUR_NUMBERS)) or not message.HasField("shape"):
        shape = tuple(getattr(message, name) for name in FOUR_NUMBERS)
    else:
        shape = tuple(message.shape.dim)
    # Caffe prefers the doubles, and narrows them.
    values = message.double_data or message.data
    named = "x".join(map(str, shape))
    if len(shape) not in (3, 4) or min(shape) < 1 or (len(shape) == 4 and shape[0] != 1):
        raise DataError(f"mean file {path} has the shape {named}, not one picture's", hint=MEAN_HINT)
    if math.prod(shape) != len(values):
        raise DataError(f"mean file {path} has {len(values)} values for the shape {named}", hint=MEAN_HINT)
    mean = np.array(values, np.float64).astype(np.float32).reshape(shape[-3:])
    if not np.isfinite(mean).all():
        raise DataError(f"mean file {path} holds NaN or infinity", hint="compute the mean anew")
    mean.flags.writeable = False
    return mean
