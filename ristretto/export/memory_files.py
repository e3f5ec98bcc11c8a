"""Files that initialise memories: Verilog's ``$readmemh``, Xilinx's COE, Intel HEX."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ristretto.export.table import Table

RECORD = 16
"""Bytes of data in a record of Intel HEX."""
SEGMENT = 1 << 16
"""Bytes that its records reach without a new base address."""
DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
UPPER_DIGITS = np.frombuffer(b"0123456789ABCDEF", np.uint8)

Bytes = NDArray[np.uint8]


def readmemh(table: Table) -> bytes:
    """Give a file for Verilog's ``$readmemh``: a word on each line, as many digits as its bits need.

    IEEE 1364-2005, section 17.2.9: numbers with white space between them; ``//`` begins a comment.
    """
    return f"// {table.caption}\n".encode() + _lines(table, b"\n")


def coe(table: Table) -> bytes:
    """Give a COE file for the memory generators of Vivado and ISE, in radix 16.

    Xilinx UG896, "COE File Syntax": the vector is the last keyword, with commas between words and a semicolon behind
    the last one; a line that begins with a semicolon is a comment.
    """
    head = f"; {table.caption}\nmemory_initialization_radix=16;\nmemory_initialization_vector=\n"
    return head.encode() + _lines(table, b",\n")[:-2] + b";\n"


def intel_hex(table: Table) -> bytes:
    """Give an Intel HEX file: words of 1, 2, 4 or 8 bytes, least byte first, from address 0 on.

    Intel, "Hexadecimal Object File Format Specification", 1988: data (00), extended linear address (04) and end of
    file (01) records. Words that fill no whole number of such bytes are extended: by their sign where they have one.
    """
    data = np.frombuffer(table.array.tobytes(), np.uint8)
    pieces = []
    for base in range(0, len(data), SEGMENT):
        if base:
            upper = base // SEGMENT
            pieces.append(_records(0, 4, np.array([[upper >> 8, upper & 255]], np.uint8)))
        segment = data[base : base + SEGMENT]
        whole = len(segment) // RECORD * RECORD
        pieces.append(_records(0, 0, segment[:whole].reshape(-1, RECORD)))
        if whole < len(segment):
            pieces.append(_records(whole, 0, segment[None, whole:]))
    return b"".join(pieces) + b":00000001FF\n"


def _lines(table: Table, end: bytes) -> bytes:
    """Give each word in hexadecimal, with the same end behind each."""
    digits = -(-table.bits // 4)
    shifts = np.arange(digits - 1, -1, -1, dtype=np.uint64) * np.uint64(4)
    lines = np.empty((table.words.size, digits + len(end)), np.uint8)
    lines[:, digits:] = np.frombuffer(end, np.uint8)
    patterns = table.patterns
    # Digit by digit: all at once would take eight bytes for each.
    for place, shift in enumerate(shifts):
        lines[:, place] = DIGITS[(patterns >> shift) & np.uint64(15)]
    return lines.tobytes()


def _records(first: int, kind: int, rows: Bytes) -> bytes:
    """Give records of one kind, a row of data each, at consecutive addresses below `SEGMENT`."""
    count, size = rows.shape
    addresses = first + size * np.arange(count)
    raw = np.empty((count, size + 5), np.uint8)
    raw[:, 0], raw[:, 1], raw[:, 2], raw[:, 3] = size, addresses >> 8, addresses & 255, kind
    raw[:, 4:-1] = rows
    # All bytes of a record, the last one included, add up to a multiple of 256.
    raw[:, -1] = -raw[:, :-1].sum(axis=1, dtype=np.int64) & 255
    text = np.empty((count, 2 * raw.shape[1] + 2), np.uint8)
    text[:, 0], text[:, -1] = ord(":"), ord("\n")
    text[:, 1:-1:2], text[:, 2:-1:2] = UPPER_DIGITS[raw >> 4], UPPER_DIGITS[raw & 15]
    return text.tobytes()
