"""``ristretto init-weights``."""

from __future__ import annotations

import argparse

from ristretto import api
from ristretto.cli.help import FILES, section
from ristretto.cli.watch import TerminalWatcher
from ristretto.outputs import Outputs
from ristretto.report import terminal

NAME = "init-weights"
SUMMARY = "Make weights for a net that has none, as Caffe does before training: by the fillers in its prototxt."
EXAMPLES = """examples:
  ristretto init-weights --model models/vgg16/deploy.prototxt --weights_out vgg16.caffemodel
  ristretto init-weights --model deploy.prototxt --weights_out net.caffemodel --seed 7

Every net in models/ runs with such weights, without a download; it then has the shapes and the speed of the trained
net, and the accuracy of chance. One seed gives the same file again. A BatchNorm gets means of 0 and variances of 1."""


def _seed(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return number


_seed.__name__ = "whole number"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    files = section(parser, FILES)
    files.add_argument("--model", required=True, metavar="PROTOTXT", help="the net")
    files.add_argument("--weights_out", required=True, metavar="CAFFEMODEL", help="where the weights go")
    parser.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="another number gives other weights (%(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit code."""
    console = terminal.console(stderr=True)
    with Outputs([arguments.weights_out], inputs=[arguments.model]) as outputs:
        made = api.init_weights(arguments.model, seed=arguments.seed, watcher=TerminalWatcher(console))
        outputs.write(arguments.weights_out, made.encoded())
    console.print(f"wrote {arguments.weights_out}: {made.parameters:,} parameters, seed {arguments.seed}")
    return 0
