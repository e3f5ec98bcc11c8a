"""Where benchmarks get their nets from, and where their tables go: blocks of docs/results.md between two markers."""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from ristretto.execute import default_threads
from ristretto.outputs import Outputs

ROOT = Path(__file__).resolve().parent.parent.parent
T = TypeVar("T", bound=tuple[Any, ...])
PAGE = ROOT / "docs" / "results.md"


def shared_models() -> Path:
    """Give the folder of the real nets."""
    folder = Path(os.environ.get("RISTRETTO_SHARED") or ROOT.parent / "shared") / "data" / "models"
    if not folder.is_dir():
        sys.exit("error: no real nets here\nhint: put them into ../shared/data/models, or set RISTRETTO_SHARED")
    return folder


def machine() -> str:
    """Name this machine and the versions that matter."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"(?m)^model name\s*:\s*(.+)$", info.read_text()) if info.exists() else []
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "onnxruntime"))
    return (
        f"{names[0] if names else platform.processor() or platform.machine()}, {default_threads()} cores, "
        f"{platform.system()} {platform.machine()}, CPython {platform.python_version()}, {libraries}, "
        f"{datetime.now(UTC):%Y-%m-%d}"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def fill_block(
    name: str, told: str | None, head: Sequence[str], lines: Sequence[T], make: Callable[[T], list[Sequence[str]]]
) -> None:
    """Measure every line of a benchmark's table, and write the table; with ``--net`` only some, and write nothing.

    Parameters
    ----------
    name : str
        Of the block.
    told : str or None
        What the benchmark measures.
    head : sequence of str
    lines : sequence
        What is measured, each beginning with the name of a net.
    make : callable
        Gives the rows of one.
    """
    parser = argparse.ArgumentParser(description=told)
    nets = list(dict.fromkeys(line[0] for line in lines))
    parser.add_argument("--net", action="append", choices=nets, help="measure this net only, and write nothing")
    asked = parser.parse_args().net
    text = table(head, [row for line in lines if asked is None or line[0] in asked for row in make(line)])
    if asked is None:
        write_block(name, text)
    else:
        print(text)


def write_block(name: str, text: str) -> None:
    """Put a benchmark's output in its place on the page, and print it."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    page = PAGE.read_text("utf-8")
    block = f"{begin}\n\n{text}\n\nMeasured on {machine()}.\n\n{end}"
    changed, count = re.subn(re.escape(begin) + ".*?" + re.escape(end), lambda _: block, page, flags=re.DOTALL)
    if count != 1:
        sys.exit(f"error: {PAGE} has no block '{name}'")
    with Outputs([PAGE]) as outputs:
        outputs.write(PAGE, changed.encode())
    print(text)
