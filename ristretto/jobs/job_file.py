"""The job file, ``ristretto.toml``: read and checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ristretto.data import Preparation
from ristretto.errors import JobError, RistrettoError
from ristretto.export import EXPORTERS
from ristretto.jobs.job import INPUTS, MODEL_QUANTIZED, OUTPUT_FILES, PARETO, Export, Job
from ristretto.jobs.places import check_places
from ristretto.jobs.tables import Table, check_keys, meant, output_in, path_in, read_toml, required, taken

FILE = "ristretto.toml"
"""What a job file is called."""
LOCK = ".lock"
"""How the name of the lock beside it ends."""
JOBS, DEFAULTS, QUANTIZE, EXPORTS = "job", "defaults", "quantize", "export"
LIMITS = ("minimum_accuracy", "max_loss")
DEFAULT_KEYS = (*INPUTS, *LIMITS, QUANTIZE)
"""What all jobs may have in common; each writes files of its own."""
JOB_KEYS = ("name", *INPUTS, *OUTPUT_FILES, PARETO, *LIMITS, QUANTIZE, EXPORTS)
PREPARED = ("data", "preparation")
"""What an export takes over from its job: where pictures come from, and how they are prepared."""
OF_JOB = ("model", "weights", "format", "out", "json", "data", *(field.name for field in fields(Preparation)))
"""What is said of an export elsewhere than among its options."""

Keywords = Mapping[str, Any]
"""Arguments of a verb, by name."""


@dataclass(frozen=True)
class Reading:
    """How options are read: by whoever defines them.

    Parameters
    ----------
    quantize, export : callable
        Gives what `api.quantize` or `api.export` is called with, from options by their names. The paths of a job's
        inputs and outputs are among them, as the command's flags call them.
        Raises a `RistrettoError` that names the option.
    """

    quantize: Callable[[Mapping[str, Any]], Keywords]
    export: Callable[[Mapping[str, Any]], Keywords]


@dataclass(frozen=True)
class JobFile:
    """What a job file holds.

    Parameters
    ----------
    path : Path
        The file, absolute.
    jobs : tuple of Job
        At least one, in the file's order.
    """

    path: Path
    jobs: tuple[Job, ...]

    @property
    def folder(self) -> Path:
        """The folder that all paths of the file start in."""
        return self.path.parent

    @property
    def lock(self) -> Path:
        """Where it is kept what jobs were last made from."""
        return self.path.with_suffix(LOCK)

    def chosen(self, names: list[str]) -> tuple[Job, ...]:
        """Give the jobs of some names, in the file's order; all of them where there are no names.

        Raises
        ------
        JobError
            When a name is no job's.
        """
        known = [job.name for job in self.jobs]
        for name in names:
            if name not in known:
                raise JobError(f"{self.path.name} has no job '{name}'", hint=meant(name, known))
        return tuple(job for job in self.jobs if not names or job.name in names)


def read_jobs(path: str | Path, reading: Reading) -> JobFile:
    """Read a job file.

    Parameters
    ----------
    path : path
    reading : Reading
        How options are read.

    Raises
    ------
    JobError
        When it is missing or no TOML; when a key is not known, of the wrong kind or missing; when an option makes no
        sense; when jobs share a name or a file, or write over what they read or outside the file's folder.
    """
    file = Path(path).absolute()
    if file.suffix == LOCK:
        raise JobError(f"{path} is a lock", hint="name the job file beside it")
    content, name = read_toml(Path(path)), file.name
    check_keys(content, (DEFAULTS, JOBS), name)
    defaults = taken(content, DEFAULTS, dict, name) or {}
    check_keys(defaults, DEFAULT_KEYS, f"{name}: [{DEFAULTS}]")
    tables = taken(content, JOBS, list, name)
    if not tables:
        raise JobError(f"{name} lists no job", hint=f"add a table [[{JOBS}]]; docs/ci-jobs.md says what it holds")
    jobs: dict[str, Job] = {}
    for number, table in enumerate(tables, 1):
        where = f"{name}: job {number}"
        if type(table) is not dict:
            raise JobError(f"{where} is no table", hint=f"begin it with a line [[{JOBS}]]")
        job = _read_job(table, defaults, name, where, reading)
        if job.name in jobs:
            raise JobError(f"{name}: two jobs are called '{job.name}'", hint="give each a name of its own")
        jobs[job.name] = job
    check_places(file, tuple(jobs.values()))
    return JobFile(file, tuple(jobs.values()))


def _read_job(table: Table, defaults: Table, file: str, where: str, reading: Reading) -> Job:
    name: str = required(taken(table, "name", str, where), "name", where)
    if not name.strip() or not name.isprintable():
        raise JobError(f"{where}: {name!r} is no name", hint="a name has letters, digits and the like")
    where = f"{file}: job '{name}'"
    check_keys(table, JOB_KEYS, where)
    merged = {**defaults, **table}
    inputs = {key: path for key in INPUTS if (path := path_in(merged, key, where)) is not None}
    outputs = {key: path for key in OUTPUT_FILES if (path := output_in(table, key, where)) is not None}
    for key in ("model", "weights"):
        required(inputs.get(key), key, where)
    required(outputs.get(MODEL_QUANTIZED), MODEL_QUANTIZED, where)
    pareto = output_in(table, PARETO, where)
    options = {**_options(defaults, where), **_options(table, where)}
    named = {**inputs, **outputs, **({} if pareto is None else {PARETO: pareto})}
    keywords = _read(reading.quantize, options, named, JOB_KEYS, f"{where}: [{JOBS}.{QUANTIZE}]")
    return Job(
        name,
        inputs,
        outputs,
        pareto,
        tuple(_exports(table, inputs, outputs, keywords, where, reading)),
        options,
        keywords,
        minimum_accuracy=_limit(merged, "minimum_accuracy", where, most=1),
        max_loss=_limit(merged, "max_loss", where),
    )


def _limit(table: Table, key: str, where: str, most: float = math.inf) -> float | None:
    value: float | None = taken(table, key, float, where)
    if value is not None and not 0 <= value <= most:
        raise JobError(
            f"{where}: {key} is {value:g}",
            hint="give a fraction, 0.98 for 98 %" if most == 1 else "a loss is 0 or more",
        )
    return value


def _options(table: Table, where: str) -> dict[str, Any]:
    return dict(taken(table, QUANTIZE, dict, where) or {})


def _exports(
    table: Table, inputs: Table, outputs: Table, quantized: Keywords, where: str, reading: Reading
) -> list[Export]:
    found = []
    for number, each in enumerate(taken(table, EXPORTS, list, where) or [], 1):
        here = f"{where}: export {number}"
        if type(each) is not dict:
            raise JobError(f"{here} is no table", hint=f"begin it with a line [[{JOBS}.{EXPORTS}]]")
        kind = required(taken(each, "format", str, here), "format", here)
        out = required(output_in(each, "out", here), "out", here)
        if kind not in EXPORTERS:
            raise JobError(f"{here}: there is no format '{kind}'", hint=meant(kind, EXPORTERS))
        options = {key: value for key, value in each.items() if key not in ("format", "out")}
        named = {"model": outputs[MODEL_QUANTIZED], "weights": inputs["weights"], "format": kind, "out": out}
        keywords = dict(_read(reading.export, options, named, OF_JOB, here))
        if "data" in inputs:
            keywords |= {key: quantized[key] for key in PREPARED}
        found.append(Export(kind, out, options, keywords))
    return found


def _read(
    read: Callable[[Mapping[str, Any]], Keywords], options: Table, named: Table, reserved: Iterable[str], where: str
) -> Keywords:
    """Read options together with the paths that the job itself names; some keys are none of them."""
    for key in reserved:
        if key in options:
            raise JobError(f"{where}: '{key}' is none of the options", hint="the job itself says it")
    try:
        return read({**named, **options})
    except RistrettoError as error:
        raise JobError(f"{where}: {error.message}", hint=error.hint) from error
