"""``ristretto export``."""

from __future__ import annotations

import argparse
from pathlib import Path

from ristretto import api
from ristretto.cli.arguments import add_model
from ristretto.cli.data_arguments import add_data, chosen_preparation, data_paths
from ristretto.cli.watch import TerminalWatcher
from ristretto.export import EXPORTERS
from ristretto.outputs import Outputs
from ristretto.report import terminal

NAME = "export"
SUMMARY = "Write a net as files for other tools: integers for hardware, ONNX."
EXAMPLES = """examples:
  ristretto export --model train_val.prototxt --weights net.caffemodel --format onnx-float net.onnx"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser, weights_required=True)
    kinds = "; ".join(f"{name}: {exporter.summary}" for name, exporter in EXPORTERS.items())
    parser.add_argument("--format", required=True, choices=list(EXPORTERS), help=kinds)
    parser.add_argument("--golden", action="store_true", help="also write golden vectors, of the first TEST batch")
    parser.add_argument("out", metavar="OUT", help="the file or, where there are several, the folder to write")
    add_data(parser, calibration=False)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit code."""
    console = terminal.console(stderr=True)
    inputs = [arguments.model, arguments.weights, *data_paths(arguments)]
    single = EXPORTERS[arguments.format].single_file
    out = Path(arguments.out)
    with Outputs([out] if single else [], inputs=inputs) as outputs:
        exported = api.export(
            arguments.model,
            arguments.weights,
            arguments.format,
            golden=arguments.golden,
            data=arguments.data,
            preparation=chosen_preparation(arguments),
            watcher=TerminalWatcher(console),
        )
        for name, content in exported.files.items():
            path = out / name if name else out
            if not single:
                outputs.add(path)
            outputs.write(path, content)
    for note in exported.notes:
        console.print(f"note: {note}")
    console.print(f"wrote {arguments.out}")
    return 0
