"""A message as text, as Caffe's own programs print it: fields by number, two spaces for each block.

Python's protobuf spells numbers in another way than the C++ one (``1.0`` for ``1``); a file printed here looks like one
that the fork has written.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ristretto.caffe.messages import is_repeated

_LETTERS = {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t", ord('"'): '\\"', ord("'"): "\\'", ord("\\"): "\\\\"}


def print_message(message: Any) -> str:
    """Give a message as text.

    Parameters
    ----------
    message : protobuf message

    Returns
    -------
    str
        One field on each line, in ASCII, with a line end behind the last; parsing it gives the same message.
    """
    return "".join(f"{line}\n" for line in _lines(message))


def _lines(message: Any) -> Iterator[str]:
    for field, value in sorted(message.ListFields(), key=lambda pair: int(pair[0].number)):
        for item in value if is_repeated(field) else (value,):
            if field.message_type is not None:
                yield f"{field.name} {{"
                yield from (f"  {line}" for line in _lines(item))
                yield "}"
            else:
                yield f"{field.name}: {_spelled(field, item)}"


def _spelled(field: Any, value: Any) -> str:
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else str(value)
    if field.type == field.TYPE_BOOL:
        return "true" if value else "false"
    if field.type == field.TYPE_FLOAT:
        return _shortest(np.float32(value), 6, 9)
    if field.type == field.TYPE_DOUBLE:
        return _shortest(np.float64(value), 15, 17)
    if field.type in (field.TYPE_STRING, field.TYPE_BYTES):
        data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
        return f'"{_escaped(data)}"'
    return str(value)


def _shortest(value: np.floating, few: int, many: int) -> str:
    """Spell a number with few digits where these give it exactly, else with as many as it may need."""
    spell = partial(format, float(value))
    short = spell(f".{few}g")
    return short if type(value)(short) == value or value != value else spell(f".{many}g")


def _escaped(data: bytes) -> str:
    return "".join(_LETTERS.get(b) or (chr(b) if 32 <= b < 127 else f"\\{b:03o}") for b in data)
