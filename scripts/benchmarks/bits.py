"""Scores at given widths, without fine-tuning: formats alone, and with weights refined, beside the original's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from page import fill_block, shared_models

from ristretto import api
from ristretto.cli.arguments import part_widths
from ristretto.data import AS_WRITTEN, Preparation
from ristretto.search.refine import Techniques


@dataclass(frozen=True)
class Case:
    """A net, and how it is calibrated and scored.

    Parameters
    ----------
    folder : str
    weights : str
        The name of its caffemodel.
    calibration_batches, skip, iterations : int
        Training pictures: at most 1,000; of SqueezeNet's 500 pictures 100 calibrate, and the other 400 are scored.
    calibration_data : str or None
        What takes the place of the TRAIN data, from the folder of the nets.
    preparation : Preparation
    """

    folder: str
    weights: str
    calibration_batches: int
    skip: int
    iterations: int
    calibration_data: str | None = None
    preparation: Preparation = AS_WRITTEN

    def quantize(self, **options: Any) -> api.Quantized:
        """Condense the net; `options` are those of `api.quantize` beside what feeds it."""
        models = shared_models()
        return api.quantize(
            models / self.folder / "train_val.prototxt",
            models / self.folder / f"{self.weights}.caffemodel",
            calibration_data=None if self.calibration_data is None else models / self.calibration_data,
            preparation=self.preparation,
            calibration_batches=self.calibration_batches,
            skip=self.skip,
            iterations=self.iterations,
            **options,
        )

    def scored_at_the_end(self, folder: Path) -> list[str]:
        """Give a solver's lines that score all test pictures once, at the end: nothing is chosen by that."""
        lines = [f"test_iter: {self.iterations}", "test_interval: 1000000", "test_initialization: false"]
        return [*lines, f'snapshot_prefix: "{folder}/net"']


NETS = {
    "SqueezeNet": Case(
        "squeezenet_v1.0",
        "squeezenet_v1.0",
        4,
        4,
        16,
        "../imagenet/imagenet_dev500_lmdb",
        Preparation(crop_size=227, batch_size=25),
    ),
    "CIFAR-10 full": Case("cifar10_full", "cifar10_full", 10, 0, 100),
    "LeNet": Case("lenet", "lenet", 15, 0, 100),
    "ResNet-20": Case("resnet20_cifar10", "resnet20", 10, 0, 100),
}
# What the original's own build scores, strictly, where it was measured.
ROWS = (
    ("SqueezeNet", "8/-/8", "0.614 of 0.648, on all 500"),
    ("SqueezeNet", "6/-/8", ""),
    ("SqueezeNet", "4/-/8", "0.001"),
    ("CIFAR-10 full", "8/4/8", "0.7826"),
    ("CIFAR-10 full", "8/8/8", ""),
    ("CIFAR-10 full", "4/4/8", "0.701 with CONV alone"),
    ("CIFAR-10 full", "8/8/4", "0.640 with outputs alone"),
    ("LeNet", "4/4/4", "0.9571"),
    ("LeNet", "2/2/4", "0.5752"),
    ("ResNet-20", "8/8/8", ""),
    ("ResNet-20", "4/4/8", ""),
)


def condensed(case: Case, bits: str, techniques: Techniques | None) -> api.Quantized:
    """Condense a net to given widths."""
    return case.quantize(bits=part_widths(bits), refine=techniques)


def rows(line: tuple[str, str, str]) -> list[list[str]]:
    """Give a line of the table."""
    name, bits, original = line
    plain, refined = (condensed(NETS[name], bits, techniques).result for techniques in (None, Techniques()))
    assert refined.baseline.argmax is not None
    assert plain.score.argmax is not None
    assert refined.score.argmax is not None
    cells = [
        name,
        bits,
        f"{refined.baseline.argmax:.4f}",
        original,
        f"{plain.score.argmax:.4f}",
        f"{refined.score.argmax:.4f}",
        f"{100 * (refined.baseline.argmax - refined.score.argmax):.2f}",
        f"{refined.score.value:.4f}",
    ]
    return [cells]


def main() -> None:
    """Measure every row, or those of the nets that are named."""
    head = ["net", "bits CONV / FC / outputs", "float", "the original", "formats alone", "weights refined"]
    head += ["points lost", "ties as wrong"]
    fill_block("bits", __doc__, head, ROWS, rows)


if __name__ == "__main__":
    main()
