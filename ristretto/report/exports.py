"""The files of an export: in a line, and as plain data."""

from __future__ import annotations

from typing import Any

from ristretto.export import Exported
from ristretto.export.manifest import file_entries
from ristretto.report import kinds

KILO = 1000


def summary(exported: Exported, out: str) -> str:
    """Say in one line what was written where."""
    size = _size(sum(map(len, exported.files.values())))
    count = len(exported.files)
    return f"wrote {out}: {f'{count} files, ' if '' not in exported.files else ''}{size}"


def plain(exported: Exported, kind: str) -> dict[str, Any]:
    """Give the files as plain data: paths within the output folder, sizes in bytes, CRC-32."""
    return {
        **kinds.head(kinds.EXPORT),
        "format": kind,
        "files": file_entries(exported.files),
        "notes": list(exported.notes),
    }


def _size(count: int) -> str:
    """Give a number of bytes with its unit."""
    number, units = float(count), ["bytes", "kB", "MB", "GB"]
    while number >= KILO and len(units) > 1:
        number, units = number / KILO, units[1:]
    return f"{number:.3g} {units[0]}" if units[0] != "bytes" else f"{count} bytes"
