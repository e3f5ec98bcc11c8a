"""The manifest: what the files of an export hold, as plain data."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ristretto import __version__
from ristretto.export.base import Subject
from ristretto.export.notations import ap_fixed, q_arm, q_ti
from ristretto.export.table import Table
from ristretto.export.word_layers import WordLayer, Words
from ristretto.formats import Arithmetic, FixedPoint, Format
from ristretto.hardware import MacPath
from ristretto.net import Geometry
from ristretto.net.quant import PLACES

MANIFEST = "manifest.json"
SCHEMA, SCHEMA_VERSION = "ristretto-manifest", 1
"""What a manifest calls itself; ``manifest.schema.json`` beside this file says what it holds."""
ROUNDING = {False: "half_away_from_zero", True: "half_to_even"}

Plain = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a table stands.

    Parameters
    ----------
    path : str
        Its file within the export's folder.
    kind : str
        Of the file: "npz", "readmemh", "intel_hex", "coe" or "c".
    key : str
        Its name within a file that holds several; else empty.
    """

    path: str
    kind: str
    key: str = ""


@dataclass(frozen=True, eq=False)
class Vectors:
    """Golden vectors as the manifest lists them: of how many pictures, and their tables."""

    pictures: int
    tables: Sequence[Table]


def manifest(
    kind: str,
    subject: Subject,
    words: Words,
    files: Mapping[str, bytes],
    places: Mapping[str, Sequence[Place]],
    vectors: Vectors | None = None,
    notes: Sequence[str] = (),
) -> Plain:
    """Give the manifest of an export.

    Parameters
    ----------
    kind : str
        What ``--format`` calls it.
    subject : Subject
    words : Words
        Its layers of words.
    files : mapping of str to bytes
        All files but the manifest, by path within the folder.
    places : mapping of str to sequence of Place
        Where each table stands, by its key.
    vectors : Vectors or None
        Golden vectors, where there are some.
    notes : sequence of str
        What the user should know.
    """
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "ristretto-cnn", "version": __version__},
        "format": kind,
        "net": subject.net.name,
        "phase": "TEST",
        "rounding": ROUNDING[subject.arithmetic.half_even],
        "layers": [_layer(each, places, subject.arithmetic) for each in words.layers],
        "left_out": [asdict(left) for left in words.left_out],
        "golden": None if vectors is None else _golden(vectors, words, places),
        "notes": list(notes),
        "files": file_entries(files),
    }


def content_of(told: Plain) -> bytes:
    """Give what the file of a manifest holds."""
    return (json.dumps(told, indent=1, allow_nan=False) + "\n").encode()


def file_entries(files: Mapping[str, bytes]) -> list[Plain]:
    """Give files as plain data, in the order of their paths: sizes in bytes, CRC-32.

    Parameters
    ----------
    files : mapping of str to bytes
        By path within the folder.
    """
    return [{"path": path, "bytes": len(content), "crc32": crc32(content)} for path, content in sorted(files.items())]


def crc32(content: bytes) -> str:
    """Give the CRC-32 of zip, PNG and Ethernet as eight hexadecimal digits.

    Examples
    --------
    >>> crc32(b"123456789")
    'cbf43926'
    """
    return f"{zlib.crc32(content):08x}"


def format_entry(fmt: Format, arithmetic: Arithmetic) -> Plain:
    """Give a number format as plain data.

    Returns
    -------
    dict
        Its kind, the width of its word in bits, what the bits mean, its own parameters; of fixed point also the ends
        of its codes and what others call it.
    """
    entry = {"kind": fmt.name, "word_bits": fmt.word_bits, "packing": fmt.packing, **asdict(fmt)}
    if isinstance(fmt, FixedPoint):
        entry |= {"il": fmt.il, "low_code": fmt.low_code, "high_code": fmt.high_code}
        entry |= {"q_arm": q_arm(fmt), "q_ti": q_ti(fmt), "ap_fixed": ap_fixed(fmt, arithmetic)}
    return entry


def table_entry(table: Table, places: Sequence[Place]) -> Plain:
    """Give what a table is, and where it stands, as plain data."""
    return {
        "name": table.name,
        "shape": list(table.words.shape),
        "axes": list(table.axes),
        "order": "row_major",
        "words": int(table.words.size),
        "bits": table.bits,
        "packing": table.packing,
        "fl": table.fl,
        "places": [_place(place) for place in places],
    }


def path_entry(path: MacPath) -> Plain:
    """Give the way from input codes to output codes as plain data: widths, shifts in bits, ends in codes."""
    return {
        "product": {"bits": path.product_bits, "fl": path.layer_in.fl + path.weight_fl, "left_shift": path.lift},
        "bias": {"fl": path.bias_fl, "left_shift": path.bias_shift},
        "accumulator": {"bits": path.accumulator_bits, "fl": path.fl, "low": path.low, "high": path.high},
        "output": {
            "right_shift": path.out_shift,
            "low_code": path.layer_out.low_code,
            "high_code": path.layer_out.high_code,
        },
    }


def _place(place: Place) -> Plain:
    entry = {"path": place.path, "kind": place.kind}
    return entry | {"key": place.key} if place.key else entry


def _layer(each: WordLayer, places: Mapping[str, Sequence[Place]], arithmetic: Arithmetic) -> Plain:
    return {
        "name": each.layer.name,
        "stem": each.stem,
        "type": each.layer.op.type,
        "bottoms": list(each.layer.bottoms),
        "tops": list(each.layer.tops),
        "in_shape": list(each.in_shape),
        "out_shape": list(each.out_shape),
        "walk": None if each.walk is None else _walk(each.walk),
        "formats": {place: format_entry(each.format(place), arithmetic) for place in PLACES},
        "datapath": None if each.path is None else path_entry(each.path),
        "tables": [table_entry(table, places[table.key]) for table in each.tables],
    }


def _walk(walk: Geometry) -> Plain:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(walk).items()}


def _golden(vectors: Vectors, words: Words, places: Mapping[str, Sequence[Place]]) -> Plain:
    names = {each.stem: each.layer.name for each in words.layers}
    return {
        "pictures": vectors.pictures,
        "tables": [{"layer": names[table.stem], **table_entry(table, places[table.key])} for table in vectors.tables],
    }
