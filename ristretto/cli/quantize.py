"""``ristretto quantize``."""

from __future__ import annotations

import argparse

from ristretto import api
from ristretto.cli.arguments import (
    add_json,
    add_model,
    add_running,
    chosen_arithmetic,
    json_files,
    part_widths,
    percentage,
)
from ristretto.cli.data_arguments import add_data, chosen_preparation, data_paths
from ristretto.cli.output import note_gpu, show
from ristretto.cli.watch import TerminalWatcher
from ristretto.outputs import Outputs
from ristretto.report import plain, terminal
from ristretto.search import MODES, PRESETS

NAME = "quantize"
SUMMARY = "Search the smallest bit-widths that keep the accuracy within a margin, and write the quantized prototxt."
EXAMPLES = """examples:
  ristretto quantize --model train_val.prototxt --weights net.caffemodel --model_quantized quantized.prototxt \\
      --trimming_mode dynamic_fixed_point --iterations 100 --error_margin 1
  ristretto quantize ... --preset original --json result.json     # the original tool's own choices
  ristretto quantize ... --bits 4/4/8                             # no search: 4-bit weights, 8-bit outputs
  ristretto quantize ... --trimming_mode minifloat --score accuracy_top5
  ristretto quantize ... --data val.txt --calibration_data train.txt      # other data than the prototxt's
  ristretto quantize ... --fold folded.caffemodel                 # a net with BatchNorm

Ranges are measured on 10 batches of the net's TRAIN data, scores on its TEST data. The written prototxt differs from
the source only in layer types and quantization_param blocks (and in the group of a depthwise layer, which the fork must
be told); it takes the same caffemodel, in `ristretto test`, in the Caffe fork, and as the start of fine-tuning."""

MARGIN_MISSED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser, weights_required=True)
    parser.add_argument("--model_quantized", required=True, metavar="PROTOTXT", help="where the result goes")
    parser.add_argument(
        "--trimming_mode",
        choices=list(MODES),
        default=next(iter(MODES)),
        help="the number format (%(default)s)",
    )
    parser.add_argument(
        "--error_margin",
        type=percentage,
        default=2.0,
        metavar="POINTS",
        help="points that an accuracy may fall, or hundredths that a loss may rise (%(default)s)",
    )
    parser.add_argument(
        "--preset", choices=list(PRESETS), default=next(iter(PRESETS)), help="how formats are chosen (%(default)s)"
    )
    parser.add_argument(
        "--bits",
        type=part_widths,
        metavar="CONV/FC/OUTPUTS",
        help="take these widths instead of searching; - leaves a part in float, as in 8/-/8",
    )
    parser.add_argument(
        "--score", metavar="BLOB", help="the output blob that is the score (the first accuracy, else the first loss)"
    )
    parser.add_argument(
        "--fold",
        metavar="CAFFEMODEL",
        help="fold BatchNorm, Scale and Bias layers into the weights before them; where the new weights go",
    )
    add_running(parser, iterations=50)
    add_data(parser, calibration=True)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit code."""
    note_gpu(arguments.gpu)
    files = [arguments.model_quantized, *json_files(arguments)]
    files += [arguments.fold] if arguments.fold else []
    with Outputs(files, inputs=[arguments.model, arguments.weights, *data_paths(arguments)]) as outputs:
        result = api.quantize(
            arguments.model,
            arguments.weights,
            data=arguments.data,
            calibration_data=arguments.calibration_data,
            preparation=chosen_preparation(arguments),
            trimming_mode=arguments.trimming_mode,
            error_margin=arguments.error_margin,
            iterations=arguments.iterations,
            preset=arguments.preset,
            bits=arguments.bits,
            arithmetic=chosen_arithmetic(arguments),
            score_blob=arguments.score,
            fold=arguments.fold is not None,
            threads=arguments.threads,
            watcher=TerminalWatcher(terminal.console(stderr=True)),
        )
        outputs.write(arguments.model_quantized, result.encoded())
        if arguments.fold is not None:
            outputs.write(arguments.fold, result.encoded_weights())
        show(terminal.quantized(result), plain.quantized(result), arguments.json, outputs)
    takes = f"{arguments.weights} as it is" if arguments.fold is None else f"{arguments.fold}, written beside it"
    terminal.console(stderr=True).print(f"wrote {arguments.model_quantized}; it takes {takes}")
    return 0 if result.result.within_margin else MARGIN_MISSED
