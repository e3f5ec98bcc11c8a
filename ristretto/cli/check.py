"""``ristretto check``."""

from __future__ import annotations

import argparse

from ristretto.cli.arguments import add_json, json_files, percentage
from ristretto.cli.job_arguments import add_jobs, chosen_jobs, job_inputs
from ristretto.cli.output import show
from ristretto.cli.watch import TerminalWatcher
from ristretto.jobs import check, telling_checks
from ristretto.outputs import Outputs
from ristretto.report import terminal

NAME = "check"
SUMMARY = "Condense the nets of a job file anew, and compare with the files and the scores that are there."
EXAMPLES = """examples:
  ristretto check                                             # all jobs of ./ristretto.toml
  ristretto check --junit junit.xml --markdown comment.md     # in continuous integration
  ristretto check --job lenet --tolerance 0.1

Everything is made anew, in memory, and nothing is written but what --junit, --markdown and --json name. Each output
must be there byte for byte; of a prototxt that is not, the layers and formats that differ are shown. An output that is
not there is compared with its digest in the lock; the quantized prototxt must be there. The score must not be worse
than the one in the lock.

It exits with 4 when a file differs, a score fell or a limit is missed, and with 1 when a job could not be made."""

FAILED, DIFFERENT = 1, 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--tolerance",
        type=percentage,
        default=0.0,
        metavar="POINTS",
        help="points that an accuracy may fall, or hundredths that a loss may rise, since the lock (%(default)s)",
    )
    parser.add_argument("--junit", metavar="FILE", help="write JUnit XML: a suite for each job, a case for each output")
    parser.add_argument("--markdown", metavar="FILE", help="write Markdown, too: a comment for a pull request")
    add_jobs(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit code."""
    console = terminal.console(stderr=True)
    named = {arguments.junit: telling_checks.as_junit, arguments.markdown: telling_checks.as_markdown}
    files = [path for path in (arguments.junit, arguments.markdown) if path is not None]
    file, jobs = chosen_jobs(arguments)
    with Outputs([*json_files(arguments), *files], inputs=job_inputs(file)) as outputs:
        found = check(
            file,
            jobs,
            tolerance=arguments.tolerance,
            watcher=TerminalWatcher(console),
            begin=lambda job: console.print(f"{job.name}: making it anew"),
        )
        for path in files:
            outputs.write(path, named[path](found).encode())
        show(telling_checks.shown(found), telling_checks.plain(found), arguments.json, outputs)
    if any(checked.error for checked in found):
        return FAILED
    return 0 if all(checked.holds for checked in found) else DIFFERENT
