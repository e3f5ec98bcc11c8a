"""``ristretto train``."""

from __future__ import annotations

import argparse

from ristretto.api.finetuning import Options
from ristretto.cli.help import FILES, section
from ristretto.cli.training_arguments import add_training, run_training

NAME = "train"
SUMMARY = "Train a net from its fillers, as `caffe train` does."
EXAMPLES = """examples:
  ristretto train --solver solver.prototxt
  ristretto train --solver solver.prototxt --weights_out net.caffemodel --log log.jsonl --plot training.svg
  ristretto train --solver solver.prototxt --snapshot out/net_iter_2000.solverstate      # go on exactly

Update rules, learning-rate policies and snapshots are Caffe's. One seed gives the same bytes in every run on one
machine, with one number of threads and one version of torch. Ctrl-C ends the training with a snapshot and exit code
130. Needs the extra `finetune` (torch)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    section(parser, FILES).add_argument(
        "--model", metavar="PROTOTXT", help="a prototxt in place of the nets that the solver names"
    )
    add_training(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit code."""
    options = Options(seed=arguments.seed, max_iter=arguments.max_iter, device=arguments.device)
    return run_training(arguments, [], arguments.model, options)
