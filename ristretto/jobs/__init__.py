"""Jobs: nets that a project condenses anew whenever what they are made from has changed.

A job file lists them, a lock beside it says what they were last made from. `build` makes those that are stale, `check`
makes all of them and compares.
"""

from ristretto.jobs.building import Built, State, build
from ristretto.jobs.checking import Checked, Finding, check
from ristretto.jobs.job import Export, Job
from ristretto.jobs.job_file import FILE, JobFile, Keywords, Reading, read_jobs
from ristretto.jobs.lock import Entry, Lock, Scores

__all__ = [
    "FILE",
    "Built",
    "Checked",
    "Entry",
    "Export",
    "Finding",
    "Job",
    "JobFile",
    "Keywords",
    "Lock",
    "Reading",
    "Scores",
    "State",
    "build",
    "check",
    "read_jobs",
]
