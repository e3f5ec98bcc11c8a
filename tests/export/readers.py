"""Readers of exported words, written from the formats' rules and not from what writes them."""

from __future__ import annotations

import io
import json
import math
import re
import struct
import zlib
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from intelhex import IntelHex

from ristretto.export import Exported

Files = Mapping[str, bytes]
Entry = Mapping[str, Any]


def manifest_of(exported: Exported) -> dict[str, Any]:
    return json.loads(exported.files["manifest.json"])


def readmemh(text: str) -> list[int]:
    """IEEE 1364-2005, 17.2.9: white space, both kinds of comments, hexadecimal numbers, ``@`` with an address."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)
    words: dict[int, int] = {}
    at = 0
    for token in text.split():
        if token.startswith("@"):
            at = int(token[1:], 16)
            continue
        assert re.fullmatch(r"[0-9a-fA-F_]+", token), token
        words[at] = int(token.replace("_", ""), 16)
        at += 1
    assert sorted(words) == list(range(len(words)))
    return [words[at] for at in range(len(words))]


def coe(text: str) -> list[int]:
    """Xilinx UG896: keywords in any case; a line of which ``;`` is the first character is a comment."""
    text = "\n".join(line for line in text.splitlines() if not line.startswith(";"))
    found = {}
    for statement in text.split(";"):
        if statement.strip():
            name, value = statement.split("=")
            found[name.strip().lower()] = value
    radix, vector = found.pop("memory_initialization_radix"), found.pop("memory_initialization_vector")
    assert not found
    return [int(word, int(radix)) for word in re.split(r"[\s,]+", vector.strip())]


def intel_hex(text: str, bits: int) -> list[int]:
    """Words of 1, 2, 4 or 8 bytes, least byte first; what is above a word's bits is dropped."""
    reader = IntelHex()
    reader.loadhex(io.StringIO(text))
    data = bytes(reader.tobinarray())
    assert reader.minaddr() == 0
    size = next(size for size in (1, 2, 4, 8) if bits <= 8 * size)
    words = [int.from_bytes(data[at : at + size], "little") for at in range(0, len(data), size)]
    return [word & ((1 << bits) - 1) for word in words]


def signed(word: int, bits: int) -> int:
    """Give what a pattern is in two's complement."""
    return word - (1 << bits) if word >> (bits - 1) else word


def number(word: int, entry: Entry, fmt: Entry | None = None) -> Fraction:
    """Give the number that a pattern stands for, by the words of ``docs/hardware.md``."""
    bits = entry["bits"]
    assert 0 <= word < 1 << bits
    if entry["packing"] == "twos_complement":
        return signed(word, bits) * Fraction(2) ** -entry["fl"]
    if entry["packing"] == "binary64":
        return Fraction(struct.unpack("<d", word.to_bytes(8, "little"))[0])
    assert fmt is not None
    if entry["packing"] == "sign_exponent":
        sign, index = divmod(word, 1 << (bits - 1))
        return (-1) ** sign * Fraction(2) ** (fmt["exp_min"] + index)
    assert entry["packing"] == "minifloat"
    is_number, rest = divmod(word, 1 << (bits - 1))
    if not is_number:
        assert rest == 0
        return Fraction(0)
    sign, rest = divmod(rest, 1 << (bits - 2))
    exponent, mantissa = divmod(rest, 1 << fmt["mant_bits"])
    bias = (1 << (fmt["exp_bits"] - 1)) - 1
    return (-1) ** sign * (1 + Fraction(mantissa, 1 << fmt["mant_bits"])) * Fraction(2) ** (exponent - bias)


def patterns(files: Files, entry: Entry, kind: str) -> list[int]:
    """Give a table's words, as the files of one kind have them, without their signs."""
    (place,) = (place for place in entry["places"] if place["kind"] == kind)
    content = files[place["path"]]
    if kind == "npz":
        array = np.load(io.BytesIO(content), allow_pickle=False)[place["key"]]
        assert list(array.shape) == entry["shape"]
        assert array.flags.c_contiguous
        assert array.dtype.itemsize * 8 == next(size for size in (8, 16, 32, 64) if entry["bits"] <= size)
        return [int(word) & ((1 << entry["bits"]) - 1) for word in array.reshape(-1)]
    text = content.decode("ascii")
    if kind == "intel_hex":
        return intel_hex(text, entry["bits"])
    return {"readmemh": readmemh, "coe": coe}[kind](text)


def codes(files: Files, entry: Entry, kind: str = "npz") -> np.ndarray:
    """Give a table of two's complement as Python's integers, in its shape."""
    assert entry["packing"] == "twos_complement"
    words = patterns(files, entry, kind)
    return np.array([signed(word, entry["bits"]) for word in words], object).reshape(entry["shape"])


def numbers(files: Files, entry: Entry, fmt: Entry | None = None, kind: str = "npz") -> np.ndarray:
    """Give a table as fractions, in its shape."""
    words = patterns(files, entry, kind)
    assert len(words) == entry["words"] == math.prod(entry["shape"])
    return np.array([number(word, entry, fmt) for word in words], object).reshape(entry["shape"])


def check_files(exported: Exported) -> None:
    """Hold the manifest's list of files to the files."""
    listed = {entry["path"]: entry for entry in manifest_of(exported)["files"]}
    assert listed.keys() == exported.files.keys() - {"manifest.json"}
    for path, entry in listed.items():
        content = exported.files[path]
        assert entry["bytes"] == len(content)
        assert int(entry["crc32"], 16) == zlib.crc32(content)
