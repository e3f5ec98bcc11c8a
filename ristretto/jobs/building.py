"""The verb `build`: make the jobs that are stale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from ristretto import api
from ristretto.caffe.reader import Model, read_model
from ristretto.errors import JobError, RistrettoError
from ristretto.export.folder import EarlierExport, remove_others
from ristretto.jobs.inputs import Inputs, digest_of_bytes, read_inputs, reasons
from ristretto.jobs.job import Job
from ristretto.jobs.job_file import JobFile
from ristretto.jobs.limits import missed
from ristretto.jobs.lock import Entry, Lock, Scores, read_lock
from ristretto.jobs.making import make
from ristretto.jobs.walking import each_job
from ristretto.outputs import Outputs


class State(Enum):
    """What has become of a job."""

    FRESH = "up to date"
    STALE = "stale"
    BUILT = "built"
    FAILED = "failed"


@dataclass(frozen=True)
class Built:
    """One job after `build`.

    Parameters
    ----------
    job : Job
    state : State
    reasons : list of str
        Why it was stale.
    scores : Scores or None
        Of the net that is there now; None where there is none, or it is stale.
    outputs : list of str
        The paths that it has written, or had.
    missed : list of str
        Its limits that the score misses, and the margin if that is missed.
    error, hint : str
        Why it failed, and what to do.
    """

    job: Job
    state: State
    reasons: list[str] = field(default_factory=list)
    scores: Scores | None = None
    outputs: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    error: str = ""
    hint: str = ""


def build(
    file: JobFile,
    jobs: Sequence[Job],
    *,
    force: bool = False,
    dry_run: bool = False,
    watcher: api.Watcher | None = None,
    begin: Callable[[Job, list[str]], None] = lambda job, reasons: None,
    done: Callable[[Built], None] = lambda built: None,
) -> list[Built]:
    """Make the jobs that are stale, one after the other; what one of them meets does not stop the others.

    Each job's files and its entry in the lock appear together when it is done. So a build that is killed leaves jobs
    as they were, or finished. The process works in the job file's folder meanwhile: what a prototxt names is looked
    for from there.

    Parameters
    ----------
    file : JobFile
    jobs : sequence of Job
        Some of its jobs.
    force : bool
        Whether jobs that are up to date are made, too.
    dry_run : bool
        Whether to look only.
    watcher : Watcher or None
        Told of progress.
    begin : callable
        Told which job is made next, and why.
    done : callable
        Told of each job when it is done.

    Returns
    -------
    list of Built
        In the order of `jobs`.

    Raises
    ------
    JobError
        When the lock cannot be read.
    """
    told = watcher or api.Silent()

    def work(job: Job, entry: Entry | None) -> Built:
        return _built(file, job, entry, force, dry_run, told, begin)

    def failed(job: Job, error: RistrettoError) -> Built:
        return Built(job, State.FAILED, error=error.message, hint=error.hint)

    return each_job(file, jobs, work, failed, done)


def _built(
    file: JobFile,
    job: Job,
    entry: Entry | None,
    force: bool,
    dry_run: bool,
    watcher: api.Watcher,
    begin: Callable[[Job, list[str]], None],
) -> Built:
    model = read_model(job.inputs["model"])
    inputs = read_inputs(job, model, watcher)
    why = reasons(job, inputs, entry) or (["asked for with --force"] if force else [])
    if entry is not None and not why:
        return _with_scores(job, State.FRESH, [], entry)
    if dry_run:
        return Built(job, State.STALE, why)
    _refuse_foreign_folders(job, entry)
    begin(job, why)
    made = _write(file, job, model, inputs, watcher)
    _remove_others(job, entry, made)
    return _with_scores(job, State.BUILT, why, made)


def _write(file: JobFile, job: Job, model: Model, inputs: Inputs, watcher: api.Watcher) -> Entry:
    """Make a job, and put its files and its entry in place."""
    with Outputs(job.files, inputs=job.reads) as outputs:
        made = make(job, model, watcher)
        for path, content in made.files.items():
            if path not in job.files:
                outputs.add(path)
            outputs.write(path, content)
        entry = made.entry(job, inputs)
        # Last, so that it is put in place last; and read anew, as another build may have written it meanwhile.
        outputs.add(file.lock)
        outputs.write(file.lock, _extended(file, job, entry).encoded())
    return entry


def _refuse_foreign_folders(job: Job, before: Entry | None) -> None:
    """Make sure that folders of exports hold no files of others, as `ristretto export` does."""
    for each in job.exports:
        if each.is_folder and not (before and before.within(each.out)):
            EarlierExport.found(Path(each.out))


def _remove_others(job: Job, before: Entry | None, now: Entry) -> None:
    """Remove from folders that are the job's own what it wrote there once and no more, if nobody has changed it."""
    if before is None:
        return
    for folder in job.folders:
        try:
            remove_others(Path(folder), before.within(folder), now.within(folder), digest_of_bytes)
        except OSError as error:
            raise JobError(
                f"cannot remove {error.filename}, which is no longer made: {error.strerror}", hint="remove it by hand"
            ) from error


def _extended(file: JobFile, job: Job, entry: Entry) -> Lock:
    return read_lock(file.lock).with_entry(job.name, entry, [each.name for each in file.jobs])


def _with_scores(job: Job, state: State, why: list[str], entry: Entry) -> Built:
    margin = [] if entry.scores.within_margin else ["the error margin is missed"]
    return Built(job, state, why, entry.scores, list(entry.outputs), [*margin, *missed(job, entry.scores)])
