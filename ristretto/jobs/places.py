"""Where jobs read and write: that none writes over another's files, over an input, or outside the project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ristretto.errors import JobError
from ristretto.jobs.job import Job


@dataclass(frozen=True)
class _Output:
    """One file or folder that a job writes."""

    job: str
    named: str
    path: Path
    is_folder: bool

    def holds(self, path: Path) -> bool:
        return path == self.path or (self.is_folder and path.is_relative_to(self.path))


def check_places(file: Path, jobs: Sequence[Job]) -> None:
    """Make sure that files of jobs do not get into each other's way.

    Parameters
    ----------
    file : Path
        The job file, absolute.
    jobs : sequence of Job

    Raises
    ------
    JobError
        When an output lies outside the job file's folder, is written twice, or is an input: of its own job, or of
        another one, as jobs know nothing of each other.
    """
    # Paths are compared as they are behind links; the job file's own folder may be behind one, too.
    folder = file.parent.resolve()
    outputs: list[_Output] = []
    for job in jobs:
        where = f"{file.name}: job '{job.name}'"
        named = [(path, False) for path in job.files] + [(path, True) for path in job.folders]
        for path, is_folder in named:
            found = _Output(job.name, path, _resolved(folder, path, where), is_folder)
            _check(found, folder, file, where)
            for other in outputs:
                if other.holds(found.path) or found.holds(other.path):
                    by = "written twice" if other.job == job.name else f"written by job '{other.job}', too"
                    raise JobError(f"{where}: {path} is {by}", hint="give each output a place of its own")
            outputs.append(found)
    for job in jobs:
        where = f"{file.name}: job '{job.name}'"
        for path in job.reads:
            source = _resolved(folder, path, where)
            for output in outputs:
                if output.holds(source) or (source.is_dir() and output.path.is_relative_to(source)):
                    raise JobError(
                        f"{where}: {output.named}, which job '{output.job}' writes, would overwrite the input {path}",
                        hint="choose another place for the output",
                    )


def _check(output: _Output, folder: Path, file: Path, where: str) -> None:
    if Path(output.named).is_absolute() or not output.path.is_relative_to(folder):
        raise JobError(
            f"{where}: {output.named} lies outside the folder of {file.name}",
            hint="outputs are relative to that folder, and stay in it",
        )
    for own in (file.name, file.with_suffix(".lock").name):
        if output.holds(folder / own):
            raise JobError(f"{where}: {output.named} would overwrite {own}", hint="choose another place")


def _resolved(folder: Path, path: str, where: str) -> Path:
    try:
        return (folder / path).resolve()
    except (OSError, RuntimeError) as error:
        raise JobError(f"{where}: the links of {path} lead nowhere") from error
