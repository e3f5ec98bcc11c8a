"""The lock: what jobs were last made from, and what came of it, as a text that belongs under version control.

Digests are SHA-256 in hexadecimal. There are no times, no paths of inputs and nothing of the machine in it, so the same
jobs give the same bytes everywhere.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ristretto.errors import JobError
from ristretto.search import SearchResult

FORMAT = 1
"""Of the file; it rises when an older ristretto could not read it."""
_DIGEST = re.compile("[0-9a-f]{64}")
_DAMAGED = "take it from version control again; or delete it, and ristretto build makes every job anew"


@dataclass(frozen=True)
class Scores:
    """What a condensed net scored, as fractions.

    Parameters
    ----------
    blob : str
    higher_is_better : bool
    baseline, score : float
        The float net's, and the condensed net's, on the same batches.
    within_margin : bool
    """

    blob: str
    higher_is_better: bool
    baseline: float
    score: float
    within_margin: bool

    @classmethod
    def of(cls, result: SearchResult) -> Scores:
        """Give the scores that a search reports."""
        return cls(
            result.score_blob,
            result.higher_is_better,
            result.baseline.value,
            result.score.value,
            result.within_margin,
        )


@dataclass(frozen=True)
class Entry:
    """What one job was made from, and what came of it.

    Parameters
    ----------
    version : str
        Of ristretto.
    inputs : mapping of str to str or None
        Digests, by what they are of; None for data that cannot tell what they are.
    options : mapping of str to value
        Those that a result may depend on, as in the job file.
    exports : list of mappings
        Format, place and options of each export.
    outputs : mapping of str to str
        Digests, by path.
    scores : Scores
    """

    version: str
    inputs: Mapping[str, str | None]
    options: Mapping[str, Any]
    exports: list[dict[str, Any]]
    outputs: Mapping[str, str]
    scores: Scores

    def within(self, folder: str) -> dict[str, str]:
        """Give the digests of the outputs that lie in a folder, by their paths within it."""
        outputs = ((Path(path), digest) for path, digest in self.outputs.items())
        return {str(path.relative_to(folder)): digest for path, digest in outputs if path.is_relative_to(folder)}


@dataclass(frozen=True)
class Lock:
    """The entries of jobs, by name."""

    entries: Mapping[str, Entry] = field(default_factory=dict)

    def with_entry(self, name: str, entry: Entry, names: Iterable[str]) -> Lock:
        """Give the lock with a job's new entry, and without those of jobs that are none of `names` any more."""
        entries = {**self.entries, name: entry}
        return Lock({name: entries[name] for name in names if name in entries})

    def encoded(self) -> bytes:
        """Give the bytes of the file."""
        jobs = {name: _plain(entry) for name, entry in self.entries.items()}
        text = json.dumps({"format": FORMAT, "jobs": jobs}, indent=2, sort_keys=True, ensure_ascii=False)
        return f"{text}\n".encode()


def read_lock(path: Path) -> Lock:
    """Read a lock; one without entries where there is no such file.

    Raises
    ------
    JobError
        When it cannot be read, is damaged, or a newer ristretto wrote it.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return Lock()
    except OSError as error:
        raise JobError(f"cannot read {path.name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise JobError(f"{path.name} is damaged: it is no text", hint=_DAMAGED) from error
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "merge conflicts stand in it" if "<<<<<<<" in text else "it is no JSON"
        raise JobError(f"{path.name} is damaged: {reason}", hint=_DAMAGED) from error
    version = content.get("format") if isinstance(content, dict) else None
    if type(version) is int and version > FORMAT:
        raise JobError(
            f"{path.name} was written by a newer ristretto (format {version}; this one knows {FORMAT})",
            hint="update ristretto",
        )
    try:
        # Not `version != FORMAT`: true is 1 in Python.
        if type(version) is not int or version != FORMAT:
            raise ValueError(f"its format is {version!r}")
        return Lock({name: _entry(each) for name, each in content["jobs"].items()})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise JobError(f"{path.name} is damaged: {what}", hint=_DAMAGED) from error


def _plain(entry: Entry) -> dict[str, Any]:
    scores = {**vars(entry.scores)}
    for key in ("baseline", "score"):
        # JSON has no word for them.
        if not math.isfinite(scores[key]):
            scores[key] = None
    return {**vars(entry), "scores": scores}


def _entry(table: Any) -> Entry:
    """Give an entry from plain data; whatever is wrong with these raises one of Python's own errors."""
    scores = table["scores"]
    for kind, keys in ((str, ("blob",)), (bool, ("higher_is_better", "within_margin"))):
        for key in keys:
            if type(scores[key]) is not kind:
                raise ValueError(f"{key} is {scores[key]!r}")
    figures = {key: math.nan if scores[key] is None else float(scores[key]) for key in ("baseline", "score")}
    inputs = {what: value if value is None else _digest(value) for what, value in table["inputs"].items()}
    exports = table["exports"]
    if type(table["version"]) is not str or type(table["options"]) is not dict or type(exports) is not list:
        raise ValueError("a value is of another kind")
    return Entry(
        table["version"],
        inputs,
        table["options"],
        exports,
        {_inside(path): _digest(value) for path, value in table["outputs"].items()},
        Scores(**{field.name: scores[field.name] for field in fields(Scores)} | figures),
    )


def _inside(path: str) -> str:
    if os.path.isabs(path) or os.path.normpath(path) != path or path.split(os.sep)[0] == os.pardir:
        raise ValueError(f"{path!r} is no path of an output")
    return path


def _digest(value: Any) -> str:
    if type(value) is not str or not _DIGEST.fullmatch(value):
        raise ValueError(f"{value!r} is no digest")
    return value
