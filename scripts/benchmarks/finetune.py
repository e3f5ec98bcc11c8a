"""Table 2 of the paper: nets condensed, fine-tuned, and scored in fixed point over the whole test set."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bits import NETS, condensed
from page import fill_block

from ristretto import api
from ristretto.api.finetuning import Finetuned, Options, finetune
from ristretto.search.refine import Techniques

MODELS = Path(__file__).parents[2] / "models"
# Options, and what the paper reports for fixed point without and with fine-tuning. With 2 bits the noise of stochastic
# rounding is as large as the weights. The narrowest nets are trained for longer than the solvers say: each in at most
# ten minutes.
ROWS = (
    ("LeNet", "4/4/4", Options(rounding="stochastic"), "98.7, 99.0"),
    ("LeNet", "2/2/4", Options(max_iter=24_000), "98.0, 98.8"),
    ("CIFAR-10 full", "8/8/8", Options(), "81.3, 81.4 (float 81.7)"),
    ("CIFAR-10 full", "4/4/8", Options(), ""),
    ("CIFAR-10 full", "4/4/4", Options(max_iter=8_000), ""),
)


def tuned(name: str, start: api.Quantized, options: Options, folder: Path) -> Finetuned:
    """Fine-tune a condensed net from its refined weights, by the solver in models/; score it on the whole test set."""
    case = NETS[name]
    lines = (MODELS / case.folder / "finetune.prototxt").read_text(encoding="utf-8").splitlines()
    solver = [line for line in lines if not line.startswith(("snapshot_prefix", "test_i"))]
    solver += case.scored_at_the_end(folder)
    (folder / "solver.prototxt").write_text("\n".join(solver), encoding="utf-8")
    (folder / "net.prototxt").write_text(start.text, encoding="utf-8")
    (folder / "net.caffemodel").write_bytes(start.encoded_weights())
    return finetune(
        folder / "solver.prototxt",
        [folder / "net.caffemodel"],
        model=folder / "net.prototxt",
        options=options,
    )


def told(options: Options) -> str:
    """Give the options that are not the defaults, as the command line has them."""
    found = [f"--rounding {options.rounding}"] if options.rounding else []
    found += [f"--max_iter {options.max_iter}"] if options.max_iter else []
    found += [f"--distill {options.distill:g} --temperature {options.temperature:g}"] if options.distill else []
    return " ".join(found)


def rows(line: tuple[str, str, Options, str]) -> list[list[str]]:
    """Give a line of the table."""
    name, bits, options, paper = line
    plain, refined = (condensed(NETS[name], bits, techniques) for techniques in (None, Techniques()))
    begun = time.monotonic()
    with TemporaryDirectory() as folder:
        found = tuned(name, refined, options, Path(folder))
    minutes = (time.monotonic() - begun) / 60
    (scores,) = found.scores
    strict, argmax = float(scores.outputs["accuracy"]), scores.companions["accuracy_argmax"]
    untuned = [result.result.score.argmax for result in (plain, refined)]
    baseline = refined.result.baseline.argmax
    assert baseline is not None
    cells = [
        name,
        bits,
        told(options),
        f"{baseline:.4f}",
        *(f"{score:.4f}" for score in untuned),
        f"{argmax:.4f}",
        f"{100 * (baseline - argmax):.2f}",
        f"{strict:.4f}",
        paper,
        f"{found.iteration}",
        f"{minutes:.1f}",
    ]
    return [cells]


def main() -> None:
    """Fine-tune every row, or those of the nets that are named."""
    head = [
        "net",
        "bits CONV / FC / outputs",
        "options",
        "float",
        "formats alone",
        "weights refined",
        "fine-tuned",
        "points lost",
    ]
    head += ["ties as wrong", "the paper: untuned, tuned", "updates", "minutes"]
    fill_block("finetune", __doc__, head, ROWS, rows)


if __name__ == "__main__":
    main()
