"""Table 2 of the paper: nets condensed, fine-tuned, and scored in fixed point over the whole test set."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bits import NETS, condensed
from page import table, write_block

from ristretto import api
from ristretto.api.finetuning import Finetuned, Options, finetune
from ristretto.search.refine import Techniques

MODELS = Path(__file__).parents[2] / "models"
# Options, and what the paper reports for fixed point without and with fine-tuning. With 2 bits the noise of stochastic
# rounding is as large as the weights.
ROWS = (
    ("LeNet", "4/4/4", Options(rounding="stochastic"), "98.7, 99.0"),
    ("LeNet", "2/2/4", Options(), "98.0, 98.8"),
    ("CIFAR-10 full", "8/8/8", Options(), "81.3, 81.4 (float 81.7)"),
    ("CIFAR-10 full", "4/4/8", Options(), ""),
    ("CIFAR-10 full", "4/4/4", Options(distill=0.5, temperature=2), ""),
)


def tuned(name: str, start: api.Quantized, options: Options, folder: Path) -> Finetuned:
    """Fine-tune a condensed net from its refined weights, by the solver in models/; score it on the whole test set."""
    case = NETS[name]
    text = (MODELS / case.folder / "finetune.prototxt").read_text(encoding="utf-8")
    files = {"solver.prototxt": "", "net.prototxt": start.text}
    for line in text.splitlines():
        prefix, tests = line.startswith("snapshot_prefix"), line.startswith("test_i")
        files["solver.prototxt"] += f'snapshot_prefix: "{folder}/net"\n' if prefix else "" if tests else f"{line}\n"
    # The score at the end alone, over all test pictures: nothing is chosen by it.
    files["solver.prototxt"] += f"test_iter: {case.iterations}\ntest_interval: 1000000\ntest_initialization: false\n"
    for file, content in files.items():
        (folder / file).write_text(content, encoding="utf-8")
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
    found += [f"--distill {options.distill:g} --temperature {options.temperature:g}"] if options.distill else []
    return " ".join(found)


def row(name: str, bits: str, options: Options, paper: str) -> list[str]:
    """Give a line of the table."""
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
    return [
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


def main() -> None:
    """Fine-tune every row, or those of the nets that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--net", action="append", choices=NETS, help="only this net, and write nothing")
    asked = parser.parse_args().net
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
    text = table(head, [row(*line) for line in ROWS if asked is None or line[0] in asked])
    if asked is None:
        write_block("finetune", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
