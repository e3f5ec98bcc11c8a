"""What `ristretto finetune` and `ristretto train` have in common: options, and how a training is run from them."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

from ristretto.api.finetuning import ACTIVATIONS, DEVICES, ROUNDINGS, Finetuned, Options, finetune
from ristretto.api.training_loop import Listener
from ristretto.cli.arguments import add_json, json_files, positive, whole
from ristretto.cli.help import FILES, section
from ristretto.cli.output import show
from ristretto.cli.plot_arguments import add_plot
from ristretto.cli.training_watch import TrainingWatcher
from ristretto.finetune.events import Event
from ristretto.outputs import Outputs
from ristretto.report import plot, terminal, training
from ristretto.report.tensorboard import tensorboard

STOPPED = 130
"""The exit code of a command that Ctrl-C ended."""


def add_training(parser: argparse.ArgumentParser) -> None:
    """Add what both commands read, write and choose."""
    files, training = section(parser, FILES), section(parser, "training")
    files.add_argument("--solver", required=True, metavar="PROTOTXT", help="the solver, which names the net")
    files.add_argument(
        "--snapshot", metavar="SOLVERSTATE", help="go on from here; the files of a snapshot stay together"
    )
    files.add_argument(
        "--weights_out", metavar="CAFFEMODEL", help="write the float weights at the end, beside the solver's snapshots"
    )
    training.add_argument("--max_iter", type=positive, metavar="N", help="updates (as many as the solver says)")
    training.add_argument(
        "--seed", type=whole, metavar="N", help="where all that is random comes from (the solver's random_seed, or 0)"
    )
    training.add_argument(
        "--device",
        choices=DEVICES,
        default=DEVICES[0],
        help="auto takes a GPU where the solver asks for it and torch finds one (%(default)s)",
    )
    training.add_argument(
        "--threads",
        type=positive,
        metavar="N",
        help="that torch computes with (one for each core); another number gives other last bits",
    )
    files.add_argument("--log", metavar="FILE", help="write what happens, a line of JSON for each event")
    files.add_argument(
        "--tensorboard", metavar="DIR", help="write it for TensorBoard, too (needs the extra `tensorboard`)"
    )
    add_plot(parser, "losses and scores against iterations")
    add_json(parser)


def add_quantized(parser: argparse.ArgumentParser) -> None:
    """Add what only makes sense where a net may be quantized."""
    group = parser.add_argument_group("quantized nets")
    group.add_argument(
        "--activations",
        choices=ACTIVATIONS,
        default=ACTIVATIONS[0],
        help="trim layers' inputs and outputs while training, or leave them in float, as the original (%(default)s)",
    )
    group.add_argument(
        "--rounding",
        choices=list(ROUNDINGS),
        help="how weights are trimmed while training (what each layer's rounding_scheme says)",
    )
    group.add_argument("--learn_fl", action="store_true", help="train fractional lengths, too; needs --model_quantized")
    group.add_argument(
        "--distill",
        type=float,
        nargs="?",
        const=1.0,
        default=0.0,
        metavar="SHARE",
        help="learn the outputs of the float net that training starts from: the share of the loss that they make, 0 to "
        "1 (1 where the flag stands alone; labels do not count then)",
    )
    group.add_argument(
        "--temperature",
        type=float,
        default=1.0,
        metavar="T",
        help="what class scores are divided by in that (%(default)s)",
    )
    group.add_argument("--model_quantized", metavar="PROTOTXT", help="where the prototxt with learned lengths goes")
    group.add_argument(
        "--weights_quantized", metavar="CAFFEMODEL", help="write the trimmed weights, numbers on the formats' grids"
    )


def run_training(arguments: argparse.Namespace, weights: Sequence[str], model: str | None, options: Options) -> int:
    """Train; show the end, write what was asked for; give the exit code.

    Parameters
    ----------
    arguments : Namespace
        With the options of `add_training`.
    weights : sequence of str
        Caffemodels to start from.
    model : str or None
        A prototxt in place of the solver's net.
    options : Options
    """
    if arguments.plot:
        plot.require_matplotlib()
    console = terminal.console(stderr=True)
    watcher, history = TrainingWatcher(console), training.History()
    inputs = [arguments.solver, *weights, *(path for path in (model, arguments.snapshot) if path)]
    files = [(path, make) for option, make in OUTPUTS.items() if (path := getattr(arguments, option, None))]
    written = [*json_files(arguments), *arguments.plot, *(path for path, _ in files)]
    with ExitStack() as stack:
        outputs = stack.enter_context(Outputs(written, inputs))
        listeners: list[Listener] = [watcher.told, history.add]
        if arguments.log:
            listeners.append(training.Log(arguments.log, stack, goes_on=bool(arguments.snapshot)))
        if arguments.tensorboard:
            listeners.append(stack.enter_context(tensorboard(arguments.tensorboard)))
        with _interrupts(watcher) as stop:
            found = finetune(
                arguments.solver,
                weights,
                model=model,
                snapshot=arguments.snapshot,
                options=options,
                threads=arguments.threads,
                outputs=[*([arguments.log] if arguments.log else []), *written],
                stop=stop,
                listener=lambda event: _tell(listeners, event),
                watcher=watcher,
            )
        for path, make in files:
            outputs.write(path, make(found))
        for path in arguments.plot:
            outputs.write(path, plot.plot_training(history, plot.plot_kind(path)))
        show(training.table(found), training.data(found, history), arguments.json, outputs)
    if written:
        console.print(f"wrote {' and '.join(written)}")
    return 0 if found.complete else STOPPED


OUTPUTS: dict[str, Callable[[Finetuned], bytes]] = {
    "weights_out": Finetuned.encoded_shadow_weights,
    "weights_quantized": Finetuned.encoded_weights,
    "model_quantized": Finetuned.encoded,
}
"""The options that name a file, and what goes there."""


def _tell(listeners: Sequence[Listener], event: Event) -> None:
    for listener in listeners:
        listener(event)


@contextmanager
def _interrupts(watcher: TrainingWatcher) -> Iterator[Callable[[], bool]]:
    """Have the first Ctrl-C end the training after its update, with a snapshot, and the second one at once."""
    asked: list[bool] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt("earlier snapshots stay")
        asked.append(True)
        watcher.note("stopping after this update, with a snapshot; Ctrl-C once more stops at once, without")

    before: Any = signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)
