"""Table 2 of the paper: nets condensed, fine-tuned, and scored in fixed point over the whole test set."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from bits import NETS, condensed
from page import fill_block

from ristretto import api
from ristretto.api.finetuning import Finetuned, Options, finetune
from ristretto.search.refine import Techniques

MODELS = Path(__file__).parents[2] / "models"


@dataclass(frozen=True)
class Setting:
    """What a row of the table is trained by.

    Parameters
    ----------
    options : Options
    solver : str
        A file of the net's folder in models/.
    mirror : bool
        Whether half of the training pictures, by chance, are mirrored: ``mirror: true`` in the TRAIN layer.
    """

    options: Options = field(default_factory=Options)
    solver: str = "finetune.prototxt"
    mirror: bool = False

    def net_text(self, text: str) -> str:
        """Give the net's prototxt, in which the TRAIN layer comes first."""
        if not self.mirror:
            return text
        before, found, after = text.partition("transform_param {")
        assert found, "the net has no transform_param to write into"
        assert before.count("\nlayer {") == 1, "it is not the first layer's"
        return f"{before}{found} mirror: true{after}"

    @property
    def told(self) -> str:
        """What is not the default, as the command line and the files have it."""
        options = self.options
        found = [f"--rounding {options.rounding}"] if options.rounding else []
        found += [f"--max_iter {options.max_iter}"] if options.max_iter else []
        found += [f"--distill {options.distill:g} --temperature {options.temperature:g}"] if options.distill else []
        found += [self.solver] if self.solver != Setting.solver else []
        found += ["mirror: true"] if self.mirror else []
        return ", ".join(found)


# Settings, and what the paper reports for fixed point without and with fine-tuning. With 2 bits the noise of stochastic
# rounding is as large as the weights. The narrowest nets are trained for longer than the others: each in at most ten
# minutes.
ROWS = (
    ("LeNet", "4/4/4", Setting(Options(rounding="stochastic")), "98.7, 99.0"),
    ("LeNet", "2/2/4", Setting(Options(max_iter=24_000)), "98.0, 98.8"),
    ("CIFAR-10 full", "8/8/8", Setting(), "81.3, 81.4 (float 81.7)"),
    ("CIFAR-10 full", "4/4/8", Setting(), ""),
    ("CIFAR-10 full", "4/4/4", Setting(solver="finetune_narrow.prototxt", mirror=True), ""),
)


def tuned(name: str, start: api.Quantized, setting: Setting, folder: Path) -> Finetuned:
    """Fine-tune a condensed net from its refined weights; score it on the whole test set."""
    case = NETS[name]
    lines = (MODELS / case.folder / setting.solver).read_text(encoding="utf-8").splitlines()
    solver = [line for line in lines if not line.startswith(("snapshot_prefix", "test_i"))]
    solver += case.scored_at_the_end(folder)
    (folder / "solver.prototxt").write_text("\n".join(solver), encoding="utf-8")
    (folder / "net.prototxt").write_text(setting.net_text(start.text), encoding="utf-8")
    (folder / "net.caffemodel").write_bytes(start.encoded_weights())
    return finetune(
        folder / "solver.prototxt",
        [folder / "net.caffemodel"],
        model=folder / "net.prototxt",
        options=setting.options,
    )


def rows(line: tuple[str, str, Setting, str]) -> list[list[str]]:
    """Give a line of the table."""
    name, bits, setting, paper = line
    plain, refined = (condensed(NETS[name], bits, techniques) for techniques in (None, Techniques()))
    begun = time.monotonic()
    with TemporaryDirectory() as folder:
        found = tuned(name, refined, setting, Path(folder))
    minutes = (time.monotonic() - begun) / 60
    (scores,) = found.scores
    strict, argmax = float(scores.outputs["accuracy"]), scores.companions["accuracy_argmax"]
    untuned = [result.result.score.argmax for result in (plain, refined)]
    baseline = refined.result.baseline.argmax
    assert baseline is not None
    cells = [
        name,
        bits,
        setting.told,
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
        "how",
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
