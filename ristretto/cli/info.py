"""``ristretto info``."""

from __future__ import annotations

import argparse

from ristretto import api
from ristretto.cli.arguments import add_json, json_files
from ristretto.cli.output import show
from ristretto.cli.watch import TerminalWatcher
from ristretto.outputs import Outputs
from ristretto.report import plain, terminal

NAME = "info"
SUMMARY = "Show versions, the vector instructions that the kernels use, threads, and which kernels are compiled."
EXAMPLES = """examples:
  ristretto info
  ristretto info --compile
  RISTRETTO_TIER=avx2 ristretto info --json -

Kernels are compiled where they are first needed, once on a machine for each version of the package, and kept beside the
package or, where that cannot be written to, in the user's cache folder. NUMBA_CACHE_DIR names another folder. In the
image of a container --compile spares each start the wait; it must be built on the kind of processor it will run on."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--compile", action="store_true", help="first compile every kernel that is not compiled yet")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit code."""
    with Outputs(json_files(arguments)) as outputs:
        watcher = TerminalWatcher(terminal.console(stderr=True))
        result = api.info(compile=arguments.compile, watcher=watcher)
        show(terminal.info(result), plain.info(result), arguments.json, outputs)
    return 0
