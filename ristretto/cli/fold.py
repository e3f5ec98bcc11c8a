"""``ristretto fold``."""

from __future__ import annotations

import argparse

from ristretto import api
from ristretto.cli.arguments import add_model
from ristretto.cli.help import FILES, section
from ristretto.cli.watch import TerminalWatcher
from ristretto.outputs import Outputs
from ristretto.report import terminal

NAME = "fold"
SUMMARY = "Fold BatchNorm, Scale and Bias layers into the weights before them; write prototxt and caffemodel."
EXAMPLES = """examples:
  ristretto fold --model train_val.prototxt --weights net.caffemodel \\
      --model_out folded.prototxt --weights_out folded.caffemodel

The folded net computes in the TEST phase what the net did, with fewer layers. Its prototxt is the source without
those; the rest stays as it is, but for the tops and the biases of the layers that took them up. Notes say which layers
stay and why. In the TRAIN phase the folded net keeps the statistics that training stored."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser, weights_required=True)
    files = section(parser, FILES)
    files.add_argument("--model_out", required=True, metavar="PROTOTXT", help="where the folded net goes")
    files.add_argument("--weights_out", required=True, metavar="CAFFEMODEL", help="where its weights go")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit code."""
    files = [arguments.model_out, arguments.weights_out]
    console = terminal.console(stderr=True)
    with Outputs(files, inputs=[arguments.model, arguments.weights]) as outputs:
        folded = api.fold(arguments.model, arguments.weights, watcher=TerminalWatcher(console))
        outputs.write(arguments.model_out, folded.encoded())
        outputs.write(arguments.weights_out, folded.encoded_weights())
    console.print(f"wrote {arguments.model_out} and {arguments.weights_out}")
    return 0
