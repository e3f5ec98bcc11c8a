"""``ristretto export``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.text import Text

from ristretto import api
from ristretto.cli.arguments import add_json, add_model, add_round_halves, chosen_halves, json_files, positive
from ristretto.cli.data_arguments import add_data, chosen_preparation, input_paths
from ristretto.cli.hardware_arguments import add_strict
from ristretto.cli.output import show
from ristretto.cli.watch import TerminalWatcher
from ristretto.export import EXPORTERS
from ristretto.export.folder import EarlierExport
from ristretto.export.manifest import MANIFEST
from ristretto.outputs import Outputs
from ristretto.report import exports, terminal

NAME = "export"
SUMMARY = "Write a net as files for other tools: integers for hardware, ONNX."
EXAMPLES = """examples:
  ristretto export --model quantized.prototxt --weights net.caffemodel --format integers words/
  ristretto export --model quantized.prototxt --weights net.caffemodel --format hex --golden 2 words/
  ristretto export --model quantized.prototxt --weights net.caffemodel --format c-program program/
  ristretto export --model train_val.prototxt --weights net.caffemodel --format onnx-float net.onnx
  ristretto export --model quantized.prototxt --weights net.caffemodel --format qonnx --batch 1 net.onnx

A folder gets a manifest.json that says what its files hold, and their CRC-32. It may hold an earlier export, whose
files are replaced, or removed where the new one has none of that name; else it must be empty, or not there."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser, weights_required=True)
    kinds = "; ".join(f"{name}: {exporter.summary}" for name, exporter in EXPORTERS.items())
    parser.add_argument("--format", required=True, choices=list(EXPORTERS), help=kinds)
    parser.add_argument(
        "--golden",
        type=positive,
        default=0,
        metavar="N",
        help="also write what each quantized layer reads, adds up and makes of the first N TEST pictures (none)",
    )
    add_round_halves(parser)
    parser.add_argument(
        "--batch",
        type=positive,
        metavar="N",
        help="pictures that an ONNX model takes at once (any number where the net allows it, for qonnx the prototxt's)",
    )
    add_strict(parser)
    parser.add_argument("out", metavar="OUT", help="the file or, where there are several, the folder to write")
    add_data(parser, calibration=False)
    add_json(parser)


def chosen_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Give what the options are to `api.export`: its arguments by name, but for the net, the format and the watcher."""
    return {
        "golden": arguments.golden,
        "data": arguments.data,
        "preparation": chosen_preparation(arguments),
        "arithmetic": chosen_halves(arguments),
        "strict_hardware": arguments.strict_hardware,
        "batch": arguments.batch,
    }


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit code."""
    watcher = TerminalWatcher(terminal.console(stderr=True))
    single = EXPORTERS[arguments.format].single_file
    out = Path(arguments.out)
    # The manifest is named first of all: an output that is an input, or cannot be written, is found before any work.
    first = out if single else out / MANIFEST
    outputs = Outputs([first, *json_files(arguments)], inputs=input_paths(arguments))
    earlier = None if single else EarlierExport.found(out)
    with outputs:
        settings = chosen_settings(arguments)
        exported = api.export(arguments.model, arguments.weights, arguments.format, **settings, watcher=watcher)
        for name, content in exported.files.items():
            path = out / name
            if path != first:
                outputs.add(path)
            outputs.write(path, content)
        for note in exported.notes:
            watcher.note(note)
        told = Text(exports.summary(exported, arguments.out))
        show(told, exports.plain(exported, arguments.format), arguments.json, outputs)
    if earlier is not None:
        earlier.remove_others(exported.files)
    return 0
