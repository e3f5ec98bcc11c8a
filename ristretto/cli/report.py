"""``ristretto report``."""

from __future__ import annotations

import argparse

from ristretto.outputs import Outputs
from ristretto.report import page, terminal

NAME = "report"
SUMMARY = "Make one page for a browser from a result: summary, curves, layers, histograms, the net as a drawing."
EXAMPLES = """examples:
  ristretto quantize ... --json result.json
  ristretto report result.json -o report.html
  ristretto sweep ... --json sweep.json
  ristretto report result.json sweep.json -o report.html          # with the sweep's curves
  ristretto report result.json front/front.json -o report.html    # with a front that another search has written

The page is one file: it asks nothing of a network, and the same results give the same bytes. The files may stand in any
order, each says what it is; one of them must be of `ristretto quantize --json`. The front of a search with --pareto is
in its own result already."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "results", nargs="+", metavar="FILE", help="JSON: a result of quantize; of sweep and a front, too"
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="where the page goes")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit code."""
    with Outputs([arguments.output], inputs=arguments.results) as outputs:
        outputs.write(arguments.output, page.render(page.read(arguments.results)))
    terminal.console(stderr=True).print(f"wrote {arguments.output}")
    return 0
