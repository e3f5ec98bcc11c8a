"""Nets trained from their fillers for some minutes, and scored over the whole test set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bits import NETS
from page import fill_block, shared_models

from ristretto.api.finetuning import Options, finetune


@dataclass(frozen=True)
class Rates:
    """What a solver says of how a net is trained.

    Parameters
    ----------
    base_lr : float
        Falls to 0 in a straight line.
    weight_decay : float
    """

    base_lr: float
    weight_decay: float


# Those of Caffe's example, and of He and others (2015), who trained for 70,000 and 64,000 updates.
ROWS = (
    ("CIFAR-10 full", Rates(0.001, 0.004), 2_000),
    ("ResNet-20", Rates(0.1, 0.0001), 500),
)


def rows(line: tuple[str, Rates, int]) -> list[list[str]]:
    """Give a line of the table."""
    name, rates, updates = line
    case = NETS[name]
    with TemporaryDirectory() as folder:
        solver = Path(folder) / "solver.prototxt"
        lines = [f'net: "{shared_models() / case.folder / "train_val.prototxt"}"', 'lr_policy: "poly"', "power: 1"]
        lines += [f"base_lr: {rates.base_lr}", f"weight_decay: {rates.weight_decay}", "momentum: 0.9"]
        # The score at the end alone, over all test pictures: nothing is chosen by it.
        lines += [f"test_iter: {case.iterations}", "test_interval: 1000000", "test_initialization: false"]
        lines += [f"max_iter: {updates}", "display: 0", "random_seed: 1", f'snapshot_prefix: "{folder}/net"']
        solver.write_text("\n".join(lines), encoding="utf-8")
        found = finetune(solver, options=Options())
    (scores,) = found.scores
    # The one score by argmax is called after the Accuracy layer's top, as the strict one is.
    ((blob, argmax),) = scores.companions.items()
    figures = (argmax, float(scores.outputs[blob.removesuffix("_argmax")]))
    settings = (f"{rates.base_lr:g}", f"{rates.weight_decay:g}", f"{found.iteration}")
    return [[name, *settings, *(f"{figure:.4f}" for figure in figures)]]


def main() -> None:
    """Train every net, or those that are named."""
    head = ["net", "learning rate", "weight decay", "updates", "score", "ties as wrong"]
    fill_block("train", __doc__, head, ROWS, rows)


if __name__ == "__main__":
    main()
