"""Where a file that a prototxt names may lie."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ristretto.errors import DataError


def find(name: str, search_path: Sequence[Path]) -> Path:
    """Find a file or folder by the name that a prototxt gives it.

    Caffe looks from the current folder only, so its prototxts work from one folder. Here each folder of the search
    path and all folders above it are tried after that, so that a prototxt can be used from anywhere.

    Parameters
    ----------
    name : str
        Absolute, or relative to one of those folders.
    search_path : sequence of Path
        As a rule the folder of the prototxt.

    Raises
    ------
    DataError
        When it is in none of them; the message lists them.
    """
    if os.path.isabs(name):
        if os.path.exists(name):
            return Path(name)
        raise DataError(f"{name} does not exist", hint="correct the path in the prototxt")
    if os.path.exists(name):
        return Path(name)
    tried = [Path.cwd()]
    for start in search_path:
        for folder in (start.resolve(), *start.resolve().parents):
            if folder in tried:
                continue
            tried.append(folder)
            # Not Path.exists: on Python 3.11 that raises where a folder may not be entered.
            if os.path.exists(folder / name):
                return folder / name
    raise DataError(
        f"{name} does not exist in any of {', '.join(map(str, tried))}",
        hint="paths are relative to the current folder, or to that of the prototxt or one above it",
    )
