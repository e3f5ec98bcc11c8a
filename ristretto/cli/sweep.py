"""``ristretto sweep``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection

from ristretto import api
from ristretto.api.sweeping import SWEPT_MODES, SWEPT_WIDTHS
from ristretto.cli.arguments import add_choosing, add_json, add_model, add_running, chosen_arithmetic, json_files
from ristretto.cli.data_arguments import add_data, chosen_preparation, input_paths
from ristretto.cli.help import CHOOSING, section
from ristretto.cli.output import note_gpu, show
from ristretto.cli.plot_arguments import add_plot
from ristretto.cli.watch import TerminalWatcher
from ristretto.outputs import Outputs
from ristretto.report import plot, terminal
from ristretto.report import sweep as report
from ristretto.search import MODES
from ristretto.search.sweep import MOST_BITS, SWEPT_PARTS

NAME = "sweep"
SUMMARY = "Score a net at every width, one part condensed at a time and all together, as a table and a plot."
EXAMPLES = """examples:
  ristretto sweep --model train_val.prototxt --weights net.caffemodel --plot sweep.svg
  ristretto sweep ... --bits 16,8,4,2 --modes dynamic_fixed_point --json sweep.json      # the paper's Table 1
  ristretto sweep ... --bits 8..2 --parts conv_params,all --iterations 100 --plot sweep.png sweep.svg
  ristretto sweep ... --preset original --emulate fork-cpu        # as the original chooses and computes

Ranges are measured once, on 10 batches of the net's TRAIN data, scores on its TEST data. The parts are conv_params
(weights of convolutions), fc_params (weights of inner products), activations (all layer inputs and outputs) and all.
The table counts a tie with the true class as wrong, as Caffe does; the JSON also has the scores by argmax. Nothing is
decided: `ristretto quantize` chooses widths."""


def widths(text: str) -> list[int]:
    """Read widths of 1 to 32 bits, with commas between them; ``16..2`` stands for all from one to the other.

    Examples
    --------
    >>> widths("16,8..5")
    [16, 8, 7, 6, 5]
    """
    found: list[int] = []
    for word in text.split(","):
        first, dots, last = word.partition("..")
        ends = [int(first), int(last if dots else first)]
        if not all(1 <= end <= MOST_BITS for end in ends):
            raise argparse.ArgumentTypeError(f"{word} is no width between 1 and {MOST_BITS} bits")
        found += range(min(ends), max(ends) + 1)
    return sorted(set(found), reverse=True)


widths.__name__ = "list of widths, as 16..2 or 16,8,4,2"


def names(known: Collection[str], what: str) -> Callable[[str], list[str]]:
    """Give what reads some of the known names, with commas between them."""

    def read(text: str) -> list[str]:
        wanted = list(dict.fromkeys(text.split(",")))
        for name in wanted:
            if name not in known:
                raise argparse.ArgumentTypeError(f"no {what} is called '{name}'; there are: {', '.join(known)}")
        return wanted

    return read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser, weights_required=True)
    choosing = section(parser, CHOOSING)
    choosing.add_argument(
        "--bits",
        type=widths,
        default=list(SWEPT_WIDTHS),
        metavar="WIDTHS",
        help=f"which widths, in bits, as 16..2 or 16,8,4,2 ({SWEPT_WIDTHS[0]}..{SWEPT_WIDTHS[-1]})",
    )
    choosing.add_argument(
        "--modes",
        type=names(MODES, "trimming mode"),
        default=list(SWEPT_MODES),
        metavar="MODES",
        help=f"which number formats, with commas between: {', '.join(MODES)} ({','.join(SWEPT_MODES)})",
    )
    choosing.add_argument(
        "--parts",
        type=names(SWEPT_PARTS, "part of a net"),
        metavar="PARTS",
        help=f"what is condensed, with commas between: {', '.join(SWEPT_PARTS)} (all that the net has)",
    )
    add_choosing(parser)
    add_plot(parser, "score against width, a panel for each part")
    add_running(parser, iterations=50)
    add_data(parser, calibration=True)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit code."""
    note_gpu(arguments.gpu)
    if arguments.plot:
        plot.require_matplotlib()
    files = [*arguments.plot, *json_files(arguments)]
    with Outputs(files, inputs=input_paths(arguments)) as outputs:
        swept = api.sweep(
            arguments.model,
            arguments.weights,
            bits=arguments.bits,
            modes=arguments.modes,
            parts=arguments.parts,
            data=arguments.data,
            calibration_data=arguments.calibration_data,
            preparation=chosen_preparation(arguments),
            iterations=arguments.iterations,
            preset=arguments.preset,
            formats_by=arguments.formats_by,
            score_blob=arguments.score,
            cached=not arguments.no_cache,
            arithmetic=chosen_arithmetic(arguments),
            threads=arguments.threads,
            watcher=TerminalWatcher(terminal.console(stderr=True)),
        )
        for file in arguments.plot:
            outputs.write(file, plot.plot_sweep(swept, plot.plot_kind(file)))
        show(report.shown(swept), report.plain(swept), arguments.json, outputs)
    if arguments.plot:
        terminal.console(stderr=True).print(f"wrote {' and '.join(arguments.plot)}")
    return 0
