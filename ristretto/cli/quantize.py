"""``ristretto quantize``."""

from __future__ import annotations

import argparse

from ristretto import api
from ristretto.cli.arguments import add_json, add_model, add_running, percentage
from ristretto.cli.output import note_gpu, show
from ristretto.cli.watch import TerminalWatcher
from ristretto.outputs import Outputs
from ristretto.report import plain, terminal
from ristretto.search import PRESETS

NAME = "quantize"
SUMMARY = "Search the smallest bit-widths that keep the accuracy within a margin, and write the quantized prototxt."
EXAMPLES = """examples:
  ristretto quantize --model train_val.prototxt --weights net.caffemodel --model_quantized quantized.prototxt \\
      --trimming_mode dynamic_fixed_point --iterations 100 --error_margin 1
  ristretto quantize ... --preset original --json result.json     # the original tool's own choices

Ranges are measured on 10 batches of the net's TRAIN data, scores on its TEST data. The written prototxt differs from
the source only in layer types and quantization_param blocks; it takes the same caffemodel, in `ristretto test`, in
the Caffe fork, and as the start of fine-tuning."""

MARGIN_MISSED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser, weights_required=True)
    parser.add_argument("--model_quantized", required=True, metavar="PROTOTXT", help="where the result goes")
    parser.add_argument(
        "--trimming_mode",
        choices=["dynamic_fixed_point"],
        default="dynamic_fixed_point",
        help="the number format (%(default)s)",
    )
    parser.add_argument(
        "--error_margin",
        type=percentage,
        default=2.0,
        metavar="POINTS",
        help="percentage points that the score may fall (%(default)s)",
    )
    parser.add_argument(
        "--preset", choices=list(PRESETS), default=next(iter(PRESETS)), help="how formats are chosen (%(default)s)"
    )
    add_running(parser, iterations=50)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit code."""
    note_gpu(arguments.gpu)
    files = [arguments.model_quantized] + ([arguments.json] if arguments.json not in (None, "-") else [])
    with Outputs(files, inputs=[arguments.model, arguments.weights]) as outputs:
        result = api.quantize(
            arguments.model,
            arguments.weights,
            error_margin=arguments.error_margin,
            iterations=arguments.iterations,
            preset=arguments.preset,
            threads=arguments.threads,
            watcher=TerminalWatcher(terminal.console(stderr=True)),
        )
        outputs.write(arguments.model_quantized, result.encoded())
        show(terminal.quantized(result), plain.quantized(result), arguments.json, outputs)
    terminal.console(stderr=True).print(f"wrote {arguments.model_quantized}; it takes {arguments.weights} as it is")
    return 0 if result.result.within_margin else MARGIN_MISSED
