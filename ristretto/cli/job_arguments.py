"""The options of commands that work on jobs."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from ristretto.cli.arguments import add_no_cache, add_scheduler, add_threads
from ristretto.cli.job_options import READING
from ristretto.jobs import FILE, Job, JobFile, read_jobs


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which jobs, and how they are run."""
    parser.add_argument("--file", default=FILE, metavar="TOML", help="the job file (%(default)s)")
    parser.add_argument(
        "--job", action="append", default=[], metavar="NAME", help="this job alone; repeatable (all of the file)"
    )
    add_threads(parser)
    add_scheduler(parser)
    add_no_cache(parser)


def chosen_jobs(arguments: argparse.Namespace) -> tuple[JobFile, tuple[Job, ...]]:
    """Read the job file, and give the jobs that are asked for, as fast as flags say.

    Raises
    ------
    JobError
        Whatever is wrong with the file; when a job is not in it.
    """
    file = read_jobs(arguments.file, READING)
    faster = _performance(arguments)
    return file, tuple(replace(job, keywords={**job.keywords, **faster}) for job in file.chosen(arguments.job))


def _performance(arguments: argparse.Namespace) -> dict[str, Any]:
    """Give the arguments of `api.quantize` that flags set in place of the jobs' own; none of them changes a result."""
    given = {"threads": arguments.threads, "scheduler": arguments.scheduler}
    found: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return {**found, "cached": False} if arguments.no_cache else found


def job_inputs(file: JobFile) -> list[Path]:
    """Give what no result of a command may be written over: the job file, its lock, and all that jobs read."""
    paths = [path for job in file.jobs for path in (*job.reads, *job.files)]
    return [file.path, file.lock, *(file.folder / path for path in paths)]
