"""Going through jobs one by one, so that what one of them meets does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import chdir
from typing import TypeVar

from ristretto.errors import RistrettoError
from ristretto.jobs.job import Job
from ristretto.jobs.job_file import JobFile
from ristretto.jobs.lock import Entry, read_lock

Result = TypeVar("Result")


def each_job(
    file: JobFile,
    jobs: Sequence[Job],
    work: Callable[[Job, Entry | None], Result],
    failed: Callable[[Job, RistrettoError], Result],
    done: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Work on jobs in their order, in the job file's folder: what a prototxt names is looked for from there.

    Parameters
    ----------
    file : JobFile
    jobs : sequence of Job
        Some of its jobs.
    work : callable
        Given a job, and what the lock says of it.
    failed : callable
        Gives the result of a job that an error has ended.
    done : callable
        Told each result.

    Raises
    ------
    JobError
        When the lock cannot be read.
    """
    results = []
    with chdir(file.folder):
        lock = read_lock(file.lock)
        for job in jobs:
            try:
                result = work(job, lock.entries.get(job.name))
            except RistrettoError as error:
                result = failed(job, error)
            results.append(result)
            done(result)
    return results
