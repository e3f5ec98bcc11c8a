"""``ristretto inspect``."""

from __future__ import annotations

import argparse

from ristretto import api
from ristretto.cli.arguments import add_json, add_model, json_files
from ristretto.cli.output import show
from ristretto.net import Phase
from ristretto.outputs import Outputs
from ristretto.report import plain, terminal

NAME = "inspect"
SUMMARY = "List the layers of a net with shapes, parameters, multiply-accumulates and formats."
EXAMPLES = """examples:
  ristretto inspect --model train_val.prototxt
  ristretto inspect --model quantized.prototxt --weights net.caffemodel --json -"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser, weights_required=False)
    parser.add_argument(
        "--phase",
        choices=[phase.value for phase in Phase],
        default=Phase.TEST.value,
        help="whose layers are listed (%(default)s)",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit code."""
    inputs = [path for path in (arguments.model, arguments.weights) if path]
    with Outputs(json_files(arguments), inputs=inputs) as outputs:
        result = api.inspect(arguments.model, arguments.weights, phase=Phase(arguments.phase))
        show(terminal.inspection(result), plain.inspection(result), arguments.json, outputs)
    return 0
