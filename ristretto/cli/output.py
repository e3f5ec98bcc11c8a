"""Where a command's result goes: table to standard output, JSON to a file or in the table's place."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import RenderableType

from ristretto.outputs import Outputs
from ristretto.report import plain, terminal


def show(table: RenderableType, data: dict[str, Any], json: str | None, outputs: Outputs) -> None:
    """Print a result; with ``--json -`` standard output holds the JSON alone, and the table goes to standard error."""
    terminal.console(stderr=json == "-").print(table)
    if json == "-":
        sys.stdout.write(plain.text(data))
    elif json is not None:
        outputs.write(json, plain.text(data).encode())


def note_gpu(gpu: str | None) -> None:
    """Say that ``--gpu`` does nothing."""
    if gpu is not None:
        terminal.console(stderr=True).print("note: --gpu is ignored; everything runs on the CPU")
