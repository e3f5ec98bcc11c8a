"""``ristretto diff``."""

from __future__ import annotations

import argparse

from ristretto import api
from ristretto.cli.arguments import add_json, json_files
from ristretto.cli.output import show
from ristretto.outputs import Outputs
from ristretto.report import difference, markdown

NAME = "diff"
SUMMARY = "Show which layers of two prototxts differ, in formats, types and settings."
EXAMPLES = """examples:
  ristretto diff old.prototxt new.prototxt
  ristretto diff train_val.prototxt quantized.prototxt --json -
  ristretto diff old.prototxt new.prototxt --markdown comment.md      # for a pull request

Formats are written as elsewhere: 8.5 for 8 bits with a fractional length of 5, e4m3 for a minifloat, float for none.
Both files are read as nets: comments, spacing, the order of fields and defaults that are written out do not count.

It exits with 0 when the nets are the same and with 4 when they differ; where only the text differs it says so and
exits with 0."""

DIFFERENT = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("first", metavar="A", help="a prototxt, quantized or not")
    parser.add_argument("second", metavar="B", help="the one that it is compared with")
    parser.add_argument("--markdown", metavar="FILE", help="write the difference as Markdown, too")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit code."""
    files = [*json_files(arguments), *([arguments.markdown] if arguments.markdown else [])]
    with Outputs(files, inputs=[arguments.first, arguments.second]) as outputs:
        found = api.diff(arguments.first, arguments.second)
        if arguments.markdown:
            outputs.write(arguments.markdown, f"{markdown.difference(found)}\n".encode())
        show(difference.shown(found), difference.plain(found), arguments.json, outputs)
    return 0 if found.same else DIFFERENT
