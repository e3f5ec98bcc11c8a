"""Journal: results that took long, kept by what they are made from, so that no later run computes them again.

Each result is a small file of its own, written under another name and renamed when it is whole. So a run that is killed
keeps what it had finished, runs side by side do not disturb each other, and nothing needs a lock. There is no fsync: a
crash of the machine may leave a torn file, which its digest then tells.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from ristretto import __version__
from ristretto.identity import digest, hash_files
from ristretto.kernels.cpu import TIER
from ristretto.net.op import Array

VARIABLE = "RISTRETTO_CACHE_DIR"
"""Names the folder; set to nothing, it says that there is none."""
HEAD = b"ristretto journal 1\n"
LARGE = 1 << 20
"""Bytes from which on a result is thrown away when there are too many of such size."""
ROOM = 1 << 30
"""Bytes for all large results together."""
LIBRARIES = ("numba", "numpy", "onnxruntime", "Pillow")
"""Those that numbers go through."""
SETTLED = 2_000_000_000
"""Nanoseconds after a change from which on a file's times tell of the next one: clocks of file systems are coarse."""


def default_folder() -> Path | None:
    """Give where results are kept, None for nowhere.

    The environment decides: `VARIABLE`, then NUMBA_CACHE_DIR, beside whose compiled kernels they lie, then
    XDG_CACHE_HOME; without these it is ``~/.cache``.
    """
    named = os.environ.get(VARIABLE)
    if named is not None:
        return Path(named) if named else None
    parent = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(parent) if parent else Path.home() / ".cache") / "ristretto"
    except RuntimeError:
        # Nobody's home: a user without an entry in the system's list.
        return None


class Journal:
    """A folder of results, found by keys.

    Parameters
    ----------
    folder : Path
        Made when the first result is kept.
    say : callable
        Told, once each, that a result is damaged, and that none can be kept.

    Notes
    -----
    A key tells all that a result is made from, the program apart: the state of this package, of the libraries that
    numbers go through and the kind of processor belong to every key.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = lambda text: None) -> None:
        self.folder = folder / "journal"
        self.room = ROOM
        self._say = say
        self._said: set[str] = set()

    def fetch(self, key: str, make: Callable[[], Mapping[str, Array]]) -> Mapping[str, Array]:
        """Give the arrays that are kept under a key; make and keep them where there are none."""
        found = self.read(key)
        if found is None:
            found = make()
            self.write(key, found)
        return found

    def read(self, key: str) -> Mapping[str, Array] | None:
        """Give the arrays that are kept under a key; None where there are none, or they are damaged."""
        try:
            content = self._file(key).read_bytes()
        except OSError:
            return None
        start = len(HEAD) + hashlib.sha256().digest_size
        payload = memoryview(content)[start:]
        if content[:start] != HEAD + hashlib.sha256(payload).digest():
            self._say_once(f"a damaged file in {self.folder} is passed over; what it held is computed anew")
            return None
        if len(content) > LARGE:
            # Its time says when it was last of use.
            with suppress(OSError):
                os.utime(self._file(key))
        return _unpacked(payload)

    def write(self, key: str, arrays: Mapping[str, Array]) -> bool:
        """Keep arrays of numbers under a key, in the place of what was there; say whether they are kept."""
        payload = _packed(arrays)
        file = self._file(key)
        temporary = file.with_name(f".{file.name[:16]}.{secrets.token_hex(4)}.part")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("wb") as opened:
                    opened.writelines((HEAD, hashlib.sha256(payload).digest(), payload))
                temporary.replace(file)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            self._say_once(
                f"finished trials cannot be kept in {self.folder}: {error.strerror}; {VARIABLE} names another folder"
            )
            return False
        if len(payload) > LARGE:
            self._make_room()
        return True

    def hash_files(self, paths: Sequence[Path], part: str = "", make: Callable[[], str] | None = None) -> str:
        """Give a digest of what files hold, known or computed; see `FileHash`."""
        before = _state(paths)
        key = digest("files", before, part)
        if (found := self.read(key)) is not None:
            return found["sha256"].tobytes().hex()
        result = hash_files(paths, part, make)
        latest = max((max(times) for _, _, *times in before), default=0)
        if before == _state(paths) and latest + SETTLED < time.time_ns():
            self.write(key, {"sha256": np.frombuffer(bytes.fromhex(result), np.uint8)})
        return result

    def _file(self, key: str) -> Path:
        name = digest(key, _program())
        # Some hundred files to a folder.
        return self.folder / name[:2] / name

    def _make_room(self) -> None:
        """Remove the large results that were of no use for longest, until the rest fits."""
        found = []
        for file in self.folder.glob("??/*"):
            # Another process may be at the same.
            with suppress(OSError):
                seen = file.stat()
                if seen.st_size > LARGE:
                    found.append((seen.st_mtime_ns, file.name, seen.st_size, file))
        total = 0
        for _, _, size, file in sorted(found, reverse=True):
            total += size
            if total > self.room:
                with suppress(OSError):
                    file.unlink()

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._say(text)


def _state(paths: Sequence[Path]) -> list[tuple[str, int, int, int]]:
    """Give name, size and times of change of files: what changes when they do."""
    found = []
    for path in paths:
        seen = path.stat()
        found.append((os.path.abspath(path), seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns))
    return found


@cache
def _program() -> str:
    """Give what tells this program on this kind of machine from others, as far as numbers may depend on it."""
    sources = Path(__file__).parent.parent
    versions = []
    for library in LIBRARIES:
        try:
            versions.append(version(library))
        except PackageNotFoundError:
            # onnxruntime has builds under other names.
            versions.append("")
    # A version says too little while the package is being worked on.
    code = hash_files(sorted(sources.rglob("*.py")))
    return digest(__version__, code, versions, TIER.name, platform.machine())


def _packed(arrays: Mapping[str, Array]) -> bytes:
    """Give arrays as bytes; an array of bool takes a bit for each."""
    plain: dict[str, Array] = {}
    for name, array in arrays.items():
        if array.dtype == bool:
            plain[f"bits {name}"] = np.packbits(array.reshape(-1))
            plain[f"shape {name}"] = np.array(array.shape, np.int64)
        else:
            plain[f"array {name}"] = array
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **plain)
    return buffer.getvalue()


def _unpacked(payload: memoryview) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    with np.load(io.BytesIO(payload), allow_pickle=False) as plain:
        for entry in plain.files:
            kind, name = entry.split(" ", 1)
            if kind == "array":
                arrays[name] = plain[entry]
            elif kind == "bits":
                shape = plain[f"shape {name}"].tolist()
                bits = np.unpackbits(plain[entry], count=int(np.prod(shape, dtype=np.int64)))
                arrays[name] = bits.astype(bool).reshape(shape)
    return arrays
