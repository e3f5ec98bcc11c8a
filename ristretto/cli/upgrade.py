"""``ristretto upgrade``."""

from __future__ import annotations

import argparse

from ristretto import api
from ristretto.cli.arguments import add_json, json_files
from ristretto.cli.output import show
from ristretto.outputs import Outputs
from ristretto.report import plain, terminal

NAME = "upgrade"
SUMMARY = "Write a prototxt or caffemodel of 2013 or 2014 (V0, V1), or HDF5 weights, in today's format."
EXAMPLES = """examples:
  ristretto upgrade train_val_2014.prototxt train_val.prototxt
  ristretto upgrade net_2014.caffemodel net.caffemodel
  ristretto upgrade net.caffemodel.h5 net.caffemodel
  ristretto upgrade solver_2015.prototxt solver.prototxt --json changes.json

What a file is, it is told by its content, not by its name. Also upgraded are `input` fields (an Input layer), transform
settings in data_param (transform_param), BatchNorm layers with three param blocks, solver_type (type) and weights in
double_data. The other commands read all of these as they are. A file in today's format is copied."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("source", metavar="IN", help="the old file")
    parser.add_argument("result", metavar="OUT", help="where the new one goes")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit code."""
    files = [arguments.result, *json_files(arguments)]
    with Outputs(files, inputs=[arguments.source]) as outputs:
        upgraded = api.upgrade(arguments.source)
        outputs.write(arguments.result, *upgraded.pieces)
        show(terminal.upgraded(upgraded), plain.upgraded(upgraded), arguments.json, outputs)
    console = terminal.console(stderr=True)
    for note in upgraded.notes:
        console.print(f"note: {note}")
    console.print(f"wrote {arguments.result}")
    return 0
