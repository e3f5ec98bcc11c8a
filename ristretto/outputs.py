"""Output files: written whole or not at all, and never over an input."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from ristretto.errors import OutputError


class Outputs:
    """Reserves output files before the work starts, and puts all of them in place when it is done.

    Each file is written beside its destination under a temporary name and renamed at the end, so that a run that
    fails or is killed leaves what was there before. Use it as a context manager: leaving it by an exception removes
    the temporary files.

    Parameters
    ----------
    paths : iterable of paths
        The files to be written.
    inputs : iterable of paths
        Files that must not be overwritten.

    Raises
    ------
    OutputError
        When a path is an input, is named twice, is a folder, or cannot be written.
    """

    def __init__(self, paths: Iterable[str | Path], inputs: Iterable[str | Path] = ()) -> None:
        self._targets = [Path(path) for path in paths]
        self._inputs = [Path(path) for path in inputs]
        self._temporary: dict[Path, Path] = {}
        seen: set[Path] = set()
        for target in self._targets:
            resolved = target.resolve()
            if resolved in seen:
                raise OutputError(f"{target} is named for two outputs", hint="give each output a file of its own")
            seen.add(resolved)
            if any(_same(target, source) for source in self._inputs):
                raise OutputError(f"{target} is an input and would be overwritten", hint="choose another output file")
            if target.is_dir():
                raise OutputError(f"{target} is a folder", hint="name a file in it")

    def __enter__(self) -> Outputs:
        try:
            for target in self._targets:
                self._temporary[target] = self._reserve(target)
        except BaseException:
            self._discard()
            raise
        return self

    @staticmethod
    def _reserve(target: Path) -> Path:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists() and not os.access(target, os.W_OK):
                raise PermissionError(13, "Permission denied")
            handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        except OSError as error:
            raise OutputError(
                f"cannot write {target}: {error.strerror}", hint="check the folder and its permissions"
            ) from error
        os.close(handle)
        return Path(name)

    def write(self, path: str | Path, data: bytes) -> None:
        """Write a reserved file's content; it appears under its own name when the context is left."""
        try:
            self._temporary[Path(path)].write_bytes(data)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}", hint="is the disk full?") from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._discard()
            return
        try:
            for target, temporary in list(self._temporary.items()):
                # mkstemp makes files private; an output gets what the user's umask says.
                os.chmod(temporary, 0o666 & ~_umask())
                os.replace(temporary, target)
                del self._temporary[target]
        except OSError as problem:
            raise OutputError(f"cannot write {target}: {problem.strerror}") from problem
        finally:
            self._discard()

    def _discard(self) -> None:
        for temporary in self._temporary.values():
            temporary.unlink(missing_ok=True)
        self._temporary.clear()


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one.resolve() == other.resolve()


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
