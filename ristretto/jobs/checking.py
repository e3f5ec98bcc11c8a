"""The verb `check`: make jobs anew, and compare with what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ristretto import api
from ristretto.api.comparing import compare
from ristretto.caffe.prototxt import decode
from ristretto.caffe.reader import model_of, read_model
from ristretto.errors import JobError, RistrettoError
from ristretto.jobs.inputs import changes, digest_of_bytes, read_inputs, read_output
from ristretto.jobs.job import MODEL_QUANTIZED, Job
from ristretto.jobs.job_file import JobFile
from ristretto.jobs.limits import fell, missed
from ristretto.jobs.lock import Entry, Scores
from ristretto.jobs.making import Made, make
from ristretto.jobs.walking import each_job

PROTOTXT = ".prototxt"


@dataclass(frozen=True)
class Finding:
    """One output of a job, compared.

    Parameters
    ----------
    path : str
    differs : str
        What is wrong with it, in one line; empty where nothing is.
    difference : Difference or None
        From the net that is there to the one that was made, where the output is a prototxt and both can be read.
    note : str
        What else there is to say.
    """

    path: str
    differs: str = ""
    difference: api.Difference | None = None
    note: str = ""


@dataclass(frozen=True)
class Checked:
    """One job after `check`.

    Parameters
    ----------
    job : Job
    findings : list of Finding
        One for each output.
    before, after : Scores or None
        Those that the lock has, and those of the net that was made; None where there are none.
    worse : list of str
        What is wrong with the scores.
    notes : list of str
        What of the lock is out of date.
    error, hint : str
        Why it could not be made, and what to do.
    """

    job: Job
    findings: list[Finding] = field(default_factory=list)
    before: Scores | None = None
    after: Scores | None = None
    worse: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: str = ""
    hint: str = ""

    @property
    def holds(self) -> bool:
        """Whether all is as it was."""
        return not (self.error or self.worse or any(finding.differs for finding in self.findings))


def check(
    file: JobFile,
    jobs: Sequence[Job],
    *,
    tolerance: float = 0.0,
    watcher: api.Watcher | None = None,
    begin: Callable[[Job], None] = lambda job: None,
) -> list[Checked]:
    """Make jobs anew, in memory, and compare them with the files and the scores that are there. Nothing is written.

    Every output must be there byte for byte. One that is not there, as it is not under version control, is compared
    with its digest in the lock; the quantized prototxt must be there itself. The process works in the job file's
    folder meanwhile.

    Parameters
    ----------
    file : JobFile
    jobs : sequence of Job
        Some of its jobs.
    tolerance : float
        By how much a score may be worse than the one in the lock: percentage points of an accuracy, hundredths of a
        loss.
    watcher : Watcher or None
        Told of progress.
    begin : callable
        Told which job is made next.

    Returns
    -------
    list of Checked
        In the order of `jobs`.

    Raises
    ------
    JobError
        When the lock cannot be read.
    """
    told = watcher or api.Silent()

    def work(job: Job, entry: Entry | None) -> Checked:
        begin(job)
        return _checked(job, entry, tolerance, told)

    def failed(job: Job, error: RistrettoError) -> Checked:
        return Checked(job, error=error.message, hint=error.hint)

    return each_job(file, jobs, work, failed)


def _checked(job: Job, entry: Entry | None, tolerance: float, watcher: api.Watcher) -> Checked:
    model = read_model(job.inputs["model"])
    inputs = read_inputs(job, model, watcher)
    made = make(job, model, watcher)
    worse = missed(job, made.scores)
    if entry is None:
        worse.insert(0, "the lock has no entry for this job: build it, and commit the lock")
    elif change := fell(entry.scores, made.scores, tolerance):
        worse.insert(0, change)
    return Checked(
        job,
        list(_findings(job, made, entry)),
        entry.scores if entry else None,
        made.scores,
        worse,
        [f"the lock is out of date: {change}" for change in changes(job, inputs, entry)] if entry else [],
    )


def _findings(job: Job, made: Made, entry: Entry | None) -> Iterator[Finding]:
    for path, content in made.files.items():
        try:
            there = read_output(path)
        except JobError as error:
            yield Finding(path, error.message)
            continue
        if there is None:
            yield _absent(job, path, content, entry)
        elif there == content:
            yield Finding(path)
        else:
            yield _different(path, there, content)
    for path in entry.outputs if entry else ():
        if path not in made.files:
            yield Finding(path, "it is no longer made")


def _absent(job: Job, path: str, content: bytes, entry: Entry | None) -> Finding:
    known = entry.outputs.get(path) if entry else None
    if known is None or path == job.outputs[MODEL_QUANTIZED]:
        return Finding(path, "it is missing")
    if known != digest_of_bytes(content):
        return Finding(path, "it is not there, and what was made is not what the lock has")
    return Finding(path, note="it is not there; what was made is what the lock has")


def _different(path: str, there: bytes, content: bytes) -> Finding:
    if not path.endswith(PROTOTXT):
        return Finding(path, _first_difference(there, content))
    try:
        before = read_model(path)
    except RistrettoError as error:
        return Finding(path, f"it cannot be read: {error.message}")
    made = model_of(decode(content), path)
    difference = compare(before, made)
    what = "only its text differs, not the net" if difference.same else "the net differs"
    return Finding(path, what, difference)


def _first_difference(there: bytes, content: bytes) -> str:
    """Say where a file begins to differ: by line where it is text."""
    try:
        old, new = there.decode("utf-8").splitlines(), content.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        place = next((i for i, (a, b) in enumerate(zip(there, content, strict=False)) if a != b), None)
        place = min(len(there), len(content)) if place is None else place
        return f"it differs from byte {place} on ({len(there)} bytes there, {len(content)} made)"
    for number, (before, after) in enumerate(zip(old, new, strict=False), 1):
        if before != after:
            return f"it differs from line {number} on: {_short(before)} -> {_short(after)}"
    return f"it has {len(old)} lines, and {len(new)} were made" if len(old) != len(new) else "its line ends differ"


def _short(line: str) -> str:
    line = " ".join(line.split())
    return line if len(line) <= 60 else f"{line[:57]}..."
