"""What a job is made from, as digests; and why it is stale."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ristretto import __version__, api
from ristretto.caffe.reader import Model
from ristretto.errors import JobError
from ristretto.jobs.job import Job
from ristretto.jobs.lock import Entry

MODEL, WEIGHTS, SCORING, CALIBRATION = "model", "weights", "scoring data", "calibration data"
"""What inputs are called in a lock."""
OF_DATA = ("data", "calibration_data", "preparation", "iterations", "skip", "calibration_batches", "cached")
"""What of a job decides which data it reads."""

Inputs = Mapping[str, str | None]


def read_inputs(job: Job, model: Model, watcher: api.Watcher) -> Inputs:
    """Give the digests of all that a job reads; `model` is its prototxt, which has been read.

    Raises
    ------
    RistrettoError
        When a file or the data are missing or damaged.
    """
    pictures = max((each.keywords.get("golden", 0) for each in job.exports), default=0)
    said = {key: job.keywords[key] for key in OF_DATA}
    data = api.data_digests(model, **said, pictures=pictures, watcher=watcher)
    return {
        MODEL: _of_file(job.inputs["model"]),
        WEIGHTS: _of_file(job.inputs["weights"]),
        SCORING: data.scoring,
        CALIBRATION: data.calibration,
    }


def planned_exports(job: Job) -> list[dict[str, Any]]:
    """Give the exports of a job as a lock has them."""
    return [{"format": each.kind, "out": each.out, "options": dict(each.options)} for each in job.exports]


def read_output(path: str) -> bytes | None:
    """Read a file that a job has written; None where there is none.

    Raises
    ------
    JobError
        When it cannot be read, or is no file.
    """
    try:
        return Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise JobError(f"cannot read {path}: {error.strerror}", hint="an output is a plain file") from error


def digest_of_bytes(content: bytes) -> str:
    """Give the digest of a file's content, the one that ``sha256sum`` prints."""
    return hashlib.sha256(content).hexdigest()


def reasons(job: Job, inputs: Inputs, entry: Entry | None) -> list[str]:
    """Say why a job must be made anew, in a few words each; nothing where it is up to date.

    Parameters
    ----------
    job : Job
    inputs : mapping of str to str or None
        The digests of what it would read now.
    entry : Entry or None
        What it was last made from.
    """
    return ["not made yet"] if entry is None else [*changes(job, inputs, entry), *_of_outputs(job, entry)]


def changes(job: Job, inputs: Inputs, entry: Entry) -> Iterator[str]:
    """Say what of all that a job is made from has changed since it was last made."""
    for what, digest in inputs.items():
        if digest is None:
            yield f"{what} cannot be told from others"
        elif digest != entry.inputs.get(what):
            yield f"{what} changed"
    before, now = entry.options, job.decisive_options
    for name in sorted({*before, *now}):
        if name not in now:
            yield f"option {name} is gone, which was {_text(before[name])}"
        elif name not in before:
            yield f"option {name} is new: {_text(now[name])}"
        elif before[name] != now[name]:
            yield f"option {name} changed from {_text(before[name])} to {_text(now[name])}"
    if entry.exports != planned_exports(job):
        yield "exports changed"
    if entry.version != __version__:
        yield f"ristretto changed from {entry.version} to {__version__}"


def _of_outputs(job: Job, entry: Entry) -> Iterator[str]:
    for path in job.files:
        if path not in entry.outputs:
            yield f"output {path} is new"
    for folder in job.folders:
        if not entry.within(folder):
            yield f"output {folder} is new"
    for path, digest in entry.outputs.items():
        if not _belongs(job, path):
            yield f"output {path} is no longer asked for"
        elif (found := read_output(path)) is None:
            yield f"output {path} is missing"
        elif digest_of_bytes(found) != digest:
            yield f"output {path} changed"


def _belongs(job: Job, path: str) -> bool:
    return path in job.files or any(Path(path).is_relative_to(folder) for folder in job.folders)


def _of_file(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise JobError(f"cannot read {path}: {error.strerror}", hint="check the path in the job file") from error


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
