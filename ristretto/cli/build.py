"""``ristretto build``."""

from __future__ import annotations

import argparse

from ristretto.cli.arguments import add_json, json_files
from ristretto.cli.job_arguments import add_jobs, chosen_jobs, job_inputs
from ristretto.cli.output import show
from ristretto.cli.quantize import MARGIN_MISSED
from ristretto.cli.watch import TerminalWatcher
from ristretto.jobs import Built, Job, State, build, telling_builds
from ristretto.outputs import Outputs
from ristretto.report import terminal

NAME = "build"
SUMMARY = "Condense the nets of a job file anew whose inputs, options or outputs have changed."
EXAMPLES = """examples:
  ristretto build                           # the jobs of ./ristretto.toml that are stale
  ristretto build --dry_run                 # which are stale, and why
  ristretto build --job lenet --force
  ristretto build --file nets/ristretto.toml --json -

Beside the job file lies a lock, ristretto.lock: digests of all that each job read and wrote, its options, the version
of ristretto, and its score. A job is stale when one of these is not what it was; files that were only touched do not
make it so. Commit the lock with the outputs; `ristretto check` compares with both.

A job's files and its entry in the lock appear together when the job is done. What one job meets does not stop the
others. It exits with 1 when a job failed, with 3 when a margin or a limit is missed, and with --dry_run with 4 when a
job is stale."""

FAILED, STALE = 1, 4
INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--force", action="store_true", help="make jobs that are up to date, too")
    parser.add_argument(
        "--dry_run", action="store_true", help="make nothing; say which jobs are stale, and exit with 4 if one is"
    )
    add_jobs(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit code."""
    console = terminal.console(stderr=True)
    finished: list[Job] = []

    def say(text: str) -> None:
        # On one line, however long it is: so it can be searched for.
        console.print(" ".join(text.split()), soft_wrap=True)

    def begin(job: Job, reasons: list[str]) -> None:
        say(f"{job.name}: {'; '.join(reasons)}")

    def done(built: Built) -> None:
        say(f"{built.job.name}: {built.state.value}")
        if built.error:
            say(f"error: {built.job.name}: {built.error}")
        if built.hint:
            say(f"hint: {built.hint}")
        if built.state is State.BUILT:
            finished.append(built.job)

    file, jobs = chosen_jobs(arguments)
    try:
        with Outputs(json_files(arguments), inputs=job_inputs(file)) as outputs:
            found = build(
                file,
                jobs,
                force=arguments.force,
                dry_run=arguments.dry_run,
                watcher=TerminalWatcher(console),
                begin=begin,
                done=done,
            )
            show(telling_builds.table(found), telling_builds.plain(found), arguments.json, outputs)
    except KeyboardInterrupt:
        kept = ", ".join(job.name for job in finished) or "none"
        console.print(f"interrupted; jobs that were finished before: {kept}")
        return INTERRUPTED
    return exit_code(found)


def exit_code(found: list[Built]) -> int:
    """Give what the command exits with: the gravest that was met."""
    states = {built.state for built in found}
    if State.FAILED in states:
        return FAILED
    if State.STALE in states:
        return STALE
    return MARGIN_MISSED if any(built.missed for built in found) else 0
