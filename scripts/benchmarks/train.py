"""Nets trained from their fillers for some minutes, and scored over the whole test set."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from bits import NETS
from page import fill_block, shared_models

from ristretto.api.finetuning import finetune

# The learning rate, which falls to 0 in a straight line, and the weight decay: those of Caffe's example, and of He and
# others (2015), who trained for 70,000 and 64,000 updates. Then the updates that are made here.
ROWS = (("CIFAR-10 full", 0.001, 0.004, 2_000), ("ResNet-20", 0.1, 0.0001, 500))


def rows(line: tuple[str, float, float, int]) -> list[list[str]]:
    """Give a line of the table."""
    name, base_lr, weight_decay, updates = line
    case = NETS[name]
    with TemporaryDirectory() as folder:
        solver = Path(folder) / "solver.prototxt"
        lines = [f'net: "{shared_models() / case.folder / "train_val.prototxt"}"', 'lr_policy: "poly"', "power: 1"]
        lines += [f"base_lr: {base_lr}", f"weight_decay: {weight_decay}", "momentum: 0.9", f"max_iter: {updates}"]
        lines += ["random_seed: 1", *case.scored_at_the_end(Path(folder))]
        solver.write_text("\n".join(lines), encoding="utf-8")
        found = finetune(solver)
    (scores,) = found.scores
    # The one score by argmax is called after the Accuracy layer's top, as the strict one is.
    ((blob, argmax),) = scores.companions.items()
    figures = (argmax, float(scores.outputs[blob.removesuffix("_argmax")]))
    settings = (f"{base_lr:g}", f"{weight_decay:g}", f"{found.iteration}")
    return [[name, *settings, *(f"{figure:.4f}" for figure in figures)]]


def main() -> None:
    """Train every net, or those that are named."""
    head = ["net", "learning rate", "weight decay", "updates", "score", "ties as wrong"]
    fill_block("train", __doc__, head, ROWS, rows)


if __name__ == "__main__":
    main()
