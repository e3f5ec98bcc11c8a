"""Words and numbers as C has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ristretto.export.literals import literal
from ristretto.net.op import Array

WIDTH = 112
"""Characters on a line of an array."""


def comment(words: str) -> str:
    """Give words that end no comment: names come from outside."""
    plain = "".join(c if c.isascii() and c.isprintable() else "?" for c in words).replace("\\", "/")
    return plain.replace("*/", "* /").replace("/*", "/ *").replace("??", "?")


def in_c_string(words: str) -> str:
    """Give words that may stand in a string that printf reads."""
    return "".join(c for c in comment(words) if c not in '"%?')


def described(numbers: Mapping[str, Any]) -> str:
    """Say what numbers of a manifest are."""
    if numbers["kind"] == "binary32":
        return "the words of binary32 numbers"
    over = f" / {numbers['divisor']}" if "divisor" in numbers else ""
    return f"codes k from {numbers['low']} to {numbers['high']} for k * 2**{-numbers['fl']}{over}"


def constant_name(name: str, prefix: str) -> str:
    """Give what the program calls a constant of a manifest."""
    return f"{prefix}_{name.replace('.', '_')}"


def blob_name(name: str) -> str:
    """Give what the program calls a value of a manifest in memory."""
    return f"{name}_blob"


def count_macro(name: str, prefix: str) -> str:
    """Give the macro that says how many numbers an input or an output has, by its value's name."""
    return f"{prefix}_{name}_COUNT".upper()


def constant_type(array: Array) -> str:
    """Give the type in C of a constant's numbers."""
    return f"{array.dtype.name}_t"


def arrays_in_c(array: Array) -> str:
    """Give an array's numbers, with commas, in lines."""
    bits = array.dtype.itemsize * 8
    words = [literal(number, bits) for number in array.reshape(-1).tolist()]
    lines, line = [], ""
    for word in words:
        if len(line) + len(word) + 2 > WIDTH:
            lines.append(line.rstrip())
            line = ""
        line += f"{word}, "
    return "\n    ".join([*lines, line.rstrip()])


def hexadecimal(words: Array) -> str:
    """Give words of 64 bits, with commas, in lines."""
    literals = [f"UINT64_C(0x{word:016X})" for word in words.tolist()]
    return ",\n    ".join(", ".join(literals[at : at + 4]) for at in range(0, len(literals), 4)) + ","
