"""How far onnxruntime and qonnx are from our executor, on exported nets, with the cause of every difference."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bits import NETS
from page import fill_block, shared_models

from ristretto import api
from ristretto.api.feeding import open_test
from ristretto.api.watch import Silent
from ristretto.cli.arguments import part_widths
from ristretto.export import Subject
from ristretto.export.onnx.agreement import Comparison, compare
from ristretto.export.onnx.exporter import OnnxExporter
from ristretto.export.onnx.qdq_model import QdqOnnx
from ristretto.export.onnx.qonnx_model import Qonnx
from ristretto.export.onnx.runners import Runner, in_onnxruntime, in_qonnx
from ristretto.formats import EXACT, HALF_EVEN, Arithmetic
from ristretto.net import Net
from ristretto.net.op import Array

FIXED, MINI, POWERS = "dynamic_fixed_point", "minifloat", "integer_power_of_2_weights"
ROWS = (
    ("LeNet", FIXED, "8/8/8", 20),
    ("LeNet", FIXED, "4/4/4", 20),
    ("LeNet", FIXED, "16/16/16", 20),
    ("LeNet", MINI, "8/8/8", 20),
    ("LeNet", POWERS, "4/4/8", 20),
    ("CIFAR-10 full", FIXED, "8/8/8", 20),
    ("CIFAR-10 full", FIXED, "4/4/8", 20),
    ("CIFAR-10 full", FIXED, "16/16/16", 20),
    ("ResNet-20", FIXED, "8/8/8", 20),
    ("SqueezeNet", FIXED, "8/-/8", 2),
)
"""A net, how it is trimmed, its widths, and how many pictures are compared."""


RUNTIMES: tuple[tuple[str, type[OnnxExporter], Runner, Arithmetic], ...] = (
    ("onnxruntime", QdqOnnx, in_onnxruntime(optimized=True), EXACT),
    ("onnxruntime, `--round_halves even`", QdqOnnx, in_onnxruntime(optimized=True), HALF_EVEN),
    ("qonnx", Qonnx, in_qonnx(), EXACT),
)


def condensed(name: str, mode: str, widths: str) -> tuple[Net, Mapping[str, Array]]:
    """Give a condensed net of the TEST phase, and one batch for it."""
    case = replace(NETS[name], iterations=2)
    bits = part_widths(widths)
    found = case.quantize(trimming_mode=mode, bits=bits, fold=name == "ResNet-20")
    read, _ = api.load(shared_models() / case.folder / "train_val.prototxt")
    net, source = open_test(read, found.net, Silent())
    return net, next(iter(source.batches(1)))


def told(name: str, mode: str, widths: str, runtime: str, found: Comparison) -> list[str]:
    """Give a line of the table."""
    places, (output,) = found.places, found.outputs
    numbers = sum(place.numbers for place in places)
    counts = [
        sum(getattr(p, kind) for p in places) for kind in ("off_by_one", "further", "ties", "sums", "unexplained")
    ]
    steps = f" ({output.largest / output.step:.0f} steps)" if output.step else ""
    return [
        name,
        f"{mode} {widths}",
        runtime,
        f"{numbers:,}",
        *(f"{count:,}" for count in counts),
        f"{output.differ:,} of {output.numbers:,}",
        f"{output.largest:.3g}{steps}",
        f"{output.other_class} of {output.pictures}",
    ]


def rows(line: tuple[str, str, str, int]) -> list[Sequence[str]]:
    """Give the lines of one net: one for each runtime that has words for its formats."""
    name, mode, widths, count = line
    net, batch = condensed(name, mode, widths)
    batch = {blob: array[:count] for blob, array in batch.items()}
    inputs = {blob: array.shape for blob, array in batch.items()}
    lines: list[Sequence[str]] = []
    for runtime, exporter, runner, arithmetic in RUNTIMES:
        # QuantizeLinear knows no minifloats.
        if mode == MINI and exporter is QdqOnnx:
            continue
        found = compare(exporter(), Subject(net, inputs, arithmetic=arithmetic), batch, runner)
        lines.append(told(name, mode, widths, runtime, found))
    return lines


def main() -> None:
    """Compare every row, or those of the nets that are named."""
    # qonnx's own, of numbers that become infinite on their way to a clamp.
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="qonnx")
    head = ["net", "format, bits CONV / FC / outputs", "runtime", "numbers in all layers", "off by one code", "further"]
    head += [
        "ties",
        "sums",
        "unexplained",
        "whole run: outputs that differ",
        "largest difference",
        "another first class",
    ]
    fill_block("runtimes", __doc__, head, ROWS, rows)


if __name__ == "__main__":
    main()
