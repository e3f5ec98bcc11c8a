"""Output files: written whole or not at all, and never over an input."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ristretto.errors import OutputError

_TEMPORARY = re.compile(r"\..{1,40}\.[0-9a-f]{8}\.part", re.DOTALL)


def is_temporary(path: Path) -> bool:
    """Whether a path is called as a file on its way: one that a killed run has left, if none is running."""
    return _TEMPORARY.fullmatch(path.name) is not None


@dataclass(eq=False)
class _Reserved:
    """One file on its way: where it will be, and where it is meanwhile."""

    destination: Path
    temporary: Path
    written: bool = False


class Outputs:
    """Reserves output files before the work starts, and puts all of them in place when it is done.

    Each file is written beside its destination under a temporary name and renamed at the end, so that a run that
    fails or is killed leaves what was there before. Use it as a context manager: leaving it by an exception removes
    the temporary files, and the folders that were made for them. A file that was never written is not put in place.

    A symbolic link stays, and what it points to is replaced. A file that is replaced hands on its permissions; a new
    one gets what the user's umask says.

    Parameters
    ----------
    paths : iterable of paths
        The files to be written; missing folders are made.
    inputs : iterable of paths
        Files that must not be overwritten, and folders that must not be written into.

    Raises
    ------
    OutputError
        When a path is an input, is named twice, is no plain file, or cannot be written.
    """

    def __init__(self, paths: Iterable[str | Path], inputs: Iterable[str | Path] = ()) -> None:
        self._sources = [Path(path) for path in inputs]
        self._destinations: dict[Path, Path] = {}
        self._reserved: dict[Path, _Reserved] = {}
        self._folders: list[Path] = []
        for target in map(Path, paths):
            with _naming(target):
                self._destinations[target] = self._accept(target)

    def _accept(self, target: Path) -> Path:
        destination = _resolve(target)
        if destination in self._destinations.values():
            raise OutputError(f"{target} is named for two outputs", hint="give each output a file of its own")
        if any(_holds(source, destination) for source in self._sources):
            raise OutputError(f"{target} is an input and would be overwritten", hint="choose another output file")
        if destination.is_dir():
            raise OutputError(f"{target} is a folder", hint="name a file in it")
        if destination.exists() and not destination.is_file():
            # Renaming over a device or a pipe would put a file in its place.
            raise OutputError(f"{target} is no plain file", hint="name a file that can be replaced")
        return destination

    def __enter__(self) -> Outputs:
        try:
            for target, destination in self._destinations.items():
                with _naming(target):
                    self._reserve(target, destination)
        except BaseException:
            self._discard()
            raise
        return self

    def add(self, path: str | Path) -> None:
        """Reserve one more file, within the context: how many there are may show only when the work is done.

        Raises
        ------
        OutputError
            As for those that were named at first.
        """
        target = Path(path)
        with _naming(target):
            self._destinations[target] = self._accept(target)
            self._reserve(target, self._destinations[target])

    def _reserve(self, target: Path, destination: Path) -> None:
        missing = [folder for folder in destination.parents if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            self._folders.append(folder)
        if destination.exists() and not os.access(destination, os.W_OK):
            raise PermissionError(13, "Permission denied")
        # Shortened: a name may be as long as the file system allows.
        temporary = destination.with_name(f".{destination.name[:40]}.{secrets.token_hex(4)}.part")
        # Opened so that the system itself applies the umask: to ask for it one must change it, for all threads.
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        self._reserved[target] = _Reserved(destination, temporary)
        if destination.exists():
            os.chmod(temporary, destination.stat().st_mode & 0o777)

    def write(self, path: str | Path, *data: bytes | memoryview) -> None:
        """Write a reserved file's content, in one piece or several; it appears when the context is left.

        Raises
        ------
        OutputError
            When it cannot be written.
        """
        reserved = self._reserved[Path(path)]
        with _naming(path, hint="is the disk full?"), reserved.temporary.open("wb") as file:
            file.writelines(data)
            file.flush()
            # On the disk before the rename: else a crash may leave the name with nothing behind it.
            os.fsync(file.fileno())
        reserved.written = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._put_in_place()
        finally:
            self._discard()

    def _put_in_place(self) -> None:
        for target, reserved in list(self._reserved.items()):
            if not reserved.written:
                continue
            with _naming(target):
                reserved.temporary.replace(reserved.destination)
            del self._reserved[target]
            # The folders that hold it stay.
            self._folders = [folder for folder in self._folders if folder not in reserved.destination.parents]

    def _discard(self) -> None:
        for reserved in self._reserved.values():
            reserved.temporary.unlink(missing_ok=True)
        self._reserved.clear()
        for folder in reversed(self._folders):
            try:
                folder.rmdir()
            except OSError:
                # Someone else has put something into it, or has taken it away.
                break
        self._folders.clear()


@contextmanager
def _naming(path: str | Path, hint: str = "check the folder and its permissions") -> Iterator[None]:
    """Turn what the system says into an error that names the output."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}", hint=hint) from error


def _resolve(target: Path) -> Path:
    try:
        return target.resolve()
    except (OSError, RuntimeError) as error:
        raise OutputError(f"cannot write {target}: its links lead nowhere") from error


def _holds(source: Path, destination: Path) -> bool:
    """Whether a path is an input file, by whatever name, or lies in an input folder."""
    try:
        if source.samefile(destination):
            return True
    except OSError:
        pass
    resolved = _resolve(source)
    return resolved == destination or (resolved.is_dir() and destination.is_relative_to(resolved))
