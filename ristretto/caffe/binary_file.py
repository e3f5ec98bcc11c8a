"""Binary files: mapped into memory, and told from the files that people give in their place by mistake."""

from __future__ import annotations

import mmap
import stat
from pathlib import Path

from ristretto.caffe.blob import DAMAGED
from ristretto.errors import CaffemodelError

SIGNATURES = {
    b"version https://git-lfs": ("a Git LFS pointer", "fetch the file itself: git lfs pull"),
    b"\x1f\x8b": ("compressed by gzip", "unpack it first"),
    b"PK\x03\x04": ("a ZIP archive", "unpack it first"),
    # A number in field 1; in a net that is the name.
    b"\x08": ("a solverstate or a mean file", "give the .caffemodel"),
}
"""First bytes of files that people give by mistake: what they are, and what to do."""

HDF5 = b"\x89HDF\r\n\x1a\n"
"""The first bytes of an HDF5 file."""

_LOOK = 4096


def map_file(path: str | Path) -> memoryview:
    """Give the bytes of a file, read only where they are looked at.

    Raises
    ------
    CaffemodelError
        When it is missing, empty or no plain file.
    """
    try:
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise CaffemodelError(f"{path} is a folder", hint="name the caffemodel in it")
        if not stat.S_ISREG(status.st_mode):
            raise CaffemodelError(f"{path} is no regular file", hint="save the weights in one first")
        if status.st_size == 0:
            raise CaffemodelError(f"{path} is empty", hint=DAMAGED)
        with open(path, "rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise CaffemodelError(f"cannot read {path}: {error.strerror}", hint="check the path") from error


def is_text(data: memoryview) -> bool:
    """Whether a file is text, by its first bytes."""
    # A layer's tag is a control character, or ends in one, that no text has.
    return all(octet >= 0x20 or octet in b"\t\n\f\r" for octet in data[:_LOOK])


def refuse_other_kinds(path: str | Path, data: memoryview) -> None:
    """Raise a CaffemodelError for a file that is text, or of a kind in `SIGNATURES`."""
    first = bytes(data[:_LOOK])
    for signature, (kind, hint) in SIGNATURES.items():
        if first.startswith(signature):
            raise CaffemodelError(f"{path} is no caffemodel but {kind}", hint=hint)
    if is_text(data):
        raise CaffemodelError(
            f"{path} is no caffemodel but a text file", hint="the weights are in the binary .caffemodel"
        )


def printable(name: str) -> str:
    """Give a damaged file's name of a layer so that it stays in one line."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
