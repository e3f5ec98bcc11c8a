"""The folder of an export: what an earlier one has left in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ristretto.errors import OutputError
from ristretto.export.manifest import MANIFEST, SCHEMA, crc32
from ristretto.outputs import is_temporary


@dataclass(frozen=True, eq=False)
class EarlierExport:
    """What an export has written into a folder, by its manifest.

    Parameters
    ----------
    folder : Path
    files : mapping of str to str
        The CRC-32 of each file but the manifest, by path within the folder.
    """

    folder: Path
    files: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def found(cls, folder: Path) -> EarlierExport:
        """Look into a folder that an export is to be written into.

        Raises
        ------
        OutputError
            When it is a file, cannot be read, or holds something and no manifest: an export takes no other files in.
        """
        if not folder.exists():
            return cls(folder)
        if not folder.is_dir():
            raise OutputError(f"{folder} is a file", hint="this export is a folder of files; name one")
        try:
            # What a killed run has left behind is nobody's.
            if all(is_temporary(path) for path in folder.iterdir()):
                return cls(folder)
            told = json.loads((folder / MANIFEST).read_bytes())
        except FileNotFoundError:
            told = None
        except (OSError, ValueError) as error:
            raise OutputError(f"cannot read {folder / MANIFEST}: {error}", hint="name a new folder") from error
        if not isinstance(told, dict) or told.get("schema") != SCHEMA:
            raise OutputError(f"{folder} is not empty, and holds no earlier export", hint="name a new folder")
        return cls(folder, dict(_listed(told)))

    def remove_others(self, kept: Collection[str]) -> None:
        """Remove the files of the earlier export that the one in its place does not have.

        What has another content than its manifest says stays, and so does what it does not list.

        Parameters
        ----------
        kept : collection of str
            The paths of the new export's files.

        Raises
        ------
        OutputError
            When one cannot be removed.
        """
        try:
            remove_others(self.folder, self.files, kept, crc32)
        except OSError as error:
            raise OutputError(
                f"cannot remove {error.filename}, which the earlier export left: {error.strerror}",
                hint="remove it by hand: the new manifest does not list it",
            ) from error


def remove_others(
    folder: Path, written: Mapping[str, str], kept: Collection[str], digest: Callable[[bytes], str]
) -> None:
    """Remove files that were once written into a folder, and are none of those that it is to keep.

    Folders in it that are empty then go, too. What has another content by now stays, and so does what is a link or lies
    behind one: anyone may have written the list.

    Parameters
    ----------
    folder : Path
    written : mapping of str to str
        The digest of each file that was written, by path within the folder.
    kept : collection of str
        Such paths.
    digest : callable
        Gives the digest of a file's content.

    Raises
    ------
    OSError
        When one cannot be removed.
    """
    for name in sorted(set(written) - set(kept)):
        path = folder / name
        inside = path.is_file() and path.resolve() == folder.resolve() / path.relative_to(folder)
        if inside and digest(path.read_bytes()) == written[name]:
            path.unlink()
            _remove_empty(path.parent, folder)


def _remove_empty(inner: Path, folder: Path) -> None:
    """Remove a folder within another one, and those that hold it, as far as nothing is left in them."""
    while inner != folder and not any(inner.iterdir()):
        inner.rmdir()
        inner = inner.parent


def _listed(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give the files that a manifest lists, those alone that lie within its folder: anyone may have written it."""
    listed = told.get("files")
    found = []
    for entry in listed if isinstance(listed, list) else []:
        if not isinstance(entry, dict):
            continue
        name, checksum = entry.get("path"), entry.get("crc32")
        if isinstance(name, str) and isinstance(checksum, str) and _is_inside(name):
            found.append((name, checksum))
    return found


def _is_inside(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts and "\0" not in name
