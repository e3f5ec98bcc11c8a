"""``ristretto test``."""

from __future__ import annotations

import argparse

from ristretto import api
from ristretto.cli.arguments import add_json, add_model, add_running, chosen_arithmetic, json_files
from ristretto.cli.data_arguments import add_data, chosen_preparation, input_paths
from ristretto.cli.help import RUNNING, section
from ristretto.cli.output import note_gpu, show
from ristretto.cli.watch import TerminalWatcher
from ristretto.execute import EXECUTORS
from ristretto.outputs import Outputs
from ristretto.report import plain, terminal

NAME = "test"
SUMMARY = "Score a net, quantized or not, on its TEST data, as `caffe test` does."
EXAMPLES = """examples:
  ristretto test --model quantized.prototxt --weights net.caffemodel --iterations 100
  ristretto test --model quantized.prototxt --weights net.caffemodel --executor simulate --json -
  ristretto test --model deploy.prototxt --weights net.caffemodel --data pictures/ --batch_size 50 \\
      --resize_height 256 --resize_width 256 --crop_size 227 --mean_value 104,117,123

Each output blob's mean over the batches is printed. An accuracy counts a tie as wrong, as Caffe's does; beside it
stands the one in which a tie goes to the lower index (`_argmax`)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser, weights_required=True)
    section(parser, RUNNING).add_argument(
        "--executor",
        choices=list(EXECUTORS),
        default=next(iter(EXECUTORS)),
        help="integer codes, simulated in real units, or the float net (%(default)s)",
    )
    add_running(parser, iterations=50)
    add_data(parser, calibration=False)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit code."""
    note_gpu(arguments.gpu)
    with Outputs(json_files(arguments), inputs=input_paths(arguments)) as outputs:
        result = api.test(
            arguments.model,
            arguments.weights,
            data=arguments.data,
            preparation=chosen_preparation(arguments),
            iterations=arguments.iterations,
            executor=arguments.executor,
            arithmetic=chosen_arithmetic(arguments),
            threads=arguments.threads,
            watcher=TerminalWatcher(terminal.console(stderr=True)),
        )
        show(terminal.scores(result), plain.scores(result), arguments.json, outputs)
    return 0
