"""``ristretto quantize``."""

from __future__ import annotations

import argparse
from typing import Any

from ristretto import api
from ristretto.cli.arguments import (
    add_choosing,
    add_json,
    add_model,
    add_running,
    add_scheduler,
    chosen_arithmetic,
    json_files,
    part_of_one,
    part_widths,
    percentage,
    whole,
)
from ristretto.cli.data_arguments import add_data, chosen_preparation, input_paths
from ristretto.cli.hardware_arguments import add_hardware
from ristretto.cli.help import CHOOSING, FILES, RUNNING, section
from ristretto.cli.layer_arguments import add_layers, kept_layers
from ristretto.cli.output import note_gpu, show
from ristretto.cli.refine_arguments import add_refining, chosen_equalizing, chosen_techniques
from ristretto.cli.watch import TerminalWatcher
from ristretto.outputs import Outputs
from ristretto.report import front, page, plain, plot, terminal
from ristretto.search import MODES

NAME = "quantize"
SUMMARY = "Search the smallest bit-widths that keep the accuracy within a margin, and write the quantized prototxt."
EXAMPLES = """examples:
  ristretto quantize --model train_val.prototxt --weights net.caffemodel --model_quantized quantized.prototxt \\
      --trimming_mode dynamic_fixed_point --iterations 100 --error_margin 1
  ristretto quantize ... --preset original --json result.json     # the original tool's own choices
  ristretto quantize ... --report report.html                     # a page with all that was found
  ristretto quantize ... --bits 4/4/8                             # no search: 4-bit weights, 8-bit outputs
  ristretto quantize ... --bits 4/4/8 --weights_quantized quantized.caffemodel     # weights may change, too
  ristretto quantize ... --granularity layer --minimize energy --pareto front/ --keep conv1=8
  ristretto quantize ... --trimming_mode minifloat --score accuracy_top5
  ristretto quantize ... --confidence 0.95 --report_split 0.3     # the margin holds though chance be against it
  ristretto quantize ... --data val.txt --calibration_data train.txt      # other data than the prototxt's
  ristretto quantize ... --fold folded.caffemodel                 # a net with BatchNorm
  ristretto quantize ... --hardware --strict_hardware             # integers and as few shifts as there can be

Ranges are measured on 10 batches of the net's TRAIN data, scores on its TEST data: the first batches of these decide,
the others report. Finished trials are kept in ~/.cache/ristretto, or where RISTRETTO_CACHE_DIR points: after Ctrl-C the
same command goes on where it was.

The written prototxt differs from the source only in layer types and quantization_param blocks (and in the group of a
depthwise layer, which the fork must be told); it takes the same caffemodel, in `ristretto test`, in the Caffe fork, and
as the start of fine-tuning."""

MARGIN_MISSED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser, weights_required=True)
    files, choosing, running = (section(parser, title) for title in (FILES, CHOOSING, RUNNING))
    files.add_argument("--model_quantized", required=True, metavar="PROTOTXT", help="where the result goes")
    choosing.add_argument(
        "--trimming_mode",
        choices=list(MODES),
        default=next(iter(MODES)),
        help="the number format (%(default)s)",
    )
    choosing.add_argument(
        "--error_margin",
        type=percentage,
        default=2.0,
        metavar="POINTS",
        help="points that an accuracy may fall, or hundredths that a loss may rise (%(default)s)",
    )
    add_choosing(parser)
    choosing.add_argument(
        "--bits",
        type=part_widths,
        metavar="CONV/FC/OUTPUTS",
        help="take these widths, in bits; - leaves a part in float, as in 8/-/8 (they are searched)",
    )
    files.add_argument(
        "--fold",
        metavar="CAFFEMODEL",
        help="fold BatchNorm, Scale and Bias layers into the weights before them; where the new weights go",
    )
    choosing.add_argument(
        "--report_split",
        type=part_of_one,
        metavar="SHARE",
        help="the share of the TEST batches, at their end, that no choice looks at and that the reported score is of "
        "(0.5; 0 with --bits, with --preset original, and where ranges are measured on the TEST data)",
    )
    choosing.add_argument(
        "--confidence",
        type=part_of_one,
        metavar="LEVEL",
        help="the margin must hold for the upper bound of the loss at this confidence, 0.95 for instance (that of the "
        "score itself)",
    )
    add_scheduler(running)
    running.add_argument(
        "--skip",
        type=whole,
        default=0,
        metavar="N",
        help="pass over so many TEST batches: where they are what ranges are measured on, for instance (%(default)s)",
    )
    add_running(parser, iterations=50)
    add_hardware(parser)
    add_refining(parser)
    add_layers(parser)
    add_data(parser, calibration=True)
    add_json(parser)
    files.add_argument("--report", metavar="FILE", help="write the result as a page for a browser, too: report.html")


def chosen_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Give what the options are to `api.quantize`: its arguments by name, but for the net and the watcher.

    Raises
    ------
    SearchError
        When options do not go together.
    """
    return {
        "data": arguments.data,
        "calibration_data": arguments.calibration_data,
        "preparation": chosen_preparation(arguments),
        "trimming_mode": arguments.trimming_mode,
        "error_margin": arguments.error_margin,
        "iterations": arguments.iterations,
        "preset": arguments.preset,
        "formats_by": arguments.formats_by,
        "bits": arguments.bits,
        "refine": chosen_techniques(arguments),
        "equalize": chosen_equalizing(arguments),
        "calibration_batches": arguments.calibration_batches,
        "skip": arguments.skip,
        "report_split": arguments.report_split,
        "confidence": arguments.confidence,
        "cached": not arguments.no_cache,
        "arithmetic": chosen_arithmetic(arguments),
        "score_blob": arguments.score,
        "fold": arguments.fold is not None,
        "granularity": arguments.granularity,
        "minimize": arguments.minimize,
        "min_bits": arguments.min_bits,
        "max_bits": arguments.max_bits,
        "keep": kept_layers(arguments),
        "front": arguments.pareto is not None,
        "hardware": arguments.hardware,
        "strict_hardware": arguments.strict_hardware,
        "threads": arguments.threads,
        "scheduler": arguments.scheduler,
    }


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit code."""
    note_gpu(arguments.gpu)
    settings = chosen_settings(arguments)
    files = [arguments.model_quantized, *json_files(arguments)]
    files += [file for file in (arguments.fold, arguments.weights_quantized, arguments.report) if file]
    if arguments.pareto is not None:
        plot.require_matplotlib()
        files += front.fixed_files(arguments.pareto)
    with Outputs(files, inputs=input_paths(arguments)) as outputs:
        watcher = TerminalWatcher(terminal.console(stderr=True))
        result = api.quantize(arguments.model, arguments.weights, **settings, watcher=watcher)
        outputs.write(arguments.model_quantized, result.encoded())
        if arguments.fold is not None:
            outputs.write(arguments.fold, result.encoded_plain_weights())
        if arguments.weights_quantized is not None:
            outputs.write(arguments.weights_quantized, result.encoded_weights())
        if arguments.pareto is not None:
            _write_front(arguments.pareto, result, outputs)
        data = plain.quantized(result)
        if arguments.report is not None:
            outputs.write(arguments.report, page.render(page.read_text(plain.text(data))))
        show(terminal.quantized(result), data, arguments.json, outputs)
    beside = arguments.weights_quantized or arguments.fold
    takes = f"{arguments.weights} as it is" if beside is None else f"{beside}, written beside it"
    terminal.console(stderr=True).print(f"wrote {arguments.model_quantized}; it takes {takes}")
    if arguments.pareto is not None:
        terminal.console(stderr=True).print(f"wrote {len(result.front)} nets of the front to {arguments.pareto}")
    return 0 if result.result.within_margin else MARGIN_MISSED


def _write_front(folder: str, result: api.Quantized, outputs: Outputs) -> None:
    fixed = front.fixed_files(folder)
    for path, content in front.files(folder, result):
        if path not in fixed:
            outputs.add(path)
        outputs.write(path, content)
