"""``ristretto finetune``."""

from __future__ import annotations

import argparse

from ristretto.api.finetuning import Options
from ristretto.cli.help import FILES, section
from ristretto.cli.training_arguments import add_quantized, add_training, run_training

NAME = "finetune"
SUMMARY = "Train a quantized net with shadow weights, as a solver says, and score it in fixed point."
EXAMPLES = """examples:
  ristretto finetune --solver solver.prototxt --model quantized.prototxt --weights float.caffemodel
  ristretto finetune ... --weights_quantized quantized.caffemodel       # the trimmed weights, too
  ristretto finetune ... --distill --temperature 4                      # no labels: learn the float net's outputs
  ristretto finetune ... --learn_fl --model_quantized tuned.prototxt    # fractional lengths are trained, too
  ristretto finetune ... --activations float --rounding stochastic      # as the original trains
  ristretto finetune ... --snapshot out/net_iter_2000.solverstate       # go on exactly where that was written
  ristretto finetune ... --log log.jsonl --plot training.svg --tensorboard runs/

Weights are trimmed in the forward pass, and gradients change float weights behind them: the shadow weights, which
snapshots hold. The solver is Caffe's, and so are the snapshots. TEST nets are scored in integers, as `ristretto test`
does. Ctrl-C ends the training with a snapshot and exit code 130. Needs the extra `finetune` (torch)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    files = section(parser, FILES)
    files.add_argument(
        "--weights",
        metavar="CAFFEMODEL",
        help="what to start from; several with commas between them (the solver's `weights`)",
    )
    files.add_argument(
        "--model", metavar="PROTOTXT", help="a quantized prototxt, in place of the nets that the solver names"
    )
    add_training(parser)
    add_quantized(parser)
    parser.set_defaults(refuse=parser.error)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit code."""
    if arguments.learn_fl and not arguments.model_quantized:
        arguments.refuse("--learn_fl needs --model_quantized: what is learned stands in the prototxt")
    options = Options(
        activations=arguments.activations,
        rounding=arguments.rounding,
        learn_fl=arguments.learn_fl,
        distill=arguments.distill,
        temperature=arguments.temperature,
        seed=arguments.seed,
        max_iter=arguments.max_iter,
        device=arguments.device,
        starts_from_weights=True,
    )
    weights = arguments.weights.split(",") if arguments.weights else []
    return run_training(arguments, weights, arguments.model, options)
