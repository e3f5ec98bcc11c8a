"""``ristretto hardware``."""

from __future__ import annotations

import argparse

from ristretto import api
from ristretto.api.hardware_report import OBSERVED_BATCHES
from ristretto.cli.arguments import add_json, add_model, add_running, chosen_arithmetic, json_files
from ristretto.cli.data_arguments import add_data, chosen_preparation, input_paths
from ristretto.cli.hardware_arguments import add_strict
from ristretto.cli.output import note_gpu, show
from ristretto.cli.watch import TerminalWatcher
from ristretto.outputs import Outputs
from ristretto.report import hardware, terminal

NAME = "hardware"
SUMMARY = "Say what a quantized net asks of hardware: words, accumulators, shifts, memory."
EXAMPLES = """examples:
  ristretto hardware --model quantized.prototxt --weights net.caffemodel
  ristretto hardware --model quantized.prototxt --weights net.caffemodel --iterations 100 --json hardware.json
  ristretto hardware --model quantized.prototxt --weights net.caffemodel --strict_hardware

For each layer: the widths of products and accumulators (the worst that the weights allow, and what was observed on
TEST batches), its shifts, what saturates, which codes are never used, memory and multiply-accumulates. Formats without
the extra shifts that it lists: `ristretto quantize --hardware`. docs/hardware.md explains the columns."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser, weights_required=True)
    add_running(parser, iterations=OBSERVED_BATCHES)
    add_strict(parser)
    add_data(parser, calibration=False)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit code."""
    note_gpu(arguments.gpu)
    with Outputs(json_files(arguments), inputs=input_paths(arguments)) as outputs:
        result = api.hardware(
            arguments.model,
            arguments.weights,
            data=arguments.data,
            preparation=chosen_preparation(arguments),
            iterations=arguments.iterations,
            strict_hardware=arguments.strict_hardware,
            arithmetic=chosen_arithmetic(arguments),
            threads=arguments.threads,
            watcher=TerminalWatcher(terminal.console(stderr=True)),
        )
        show(hardware.table(result), hardware.plain(result), arguments.json, outputs)
    return 0
