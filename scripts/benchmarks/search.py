"""How long a whole search with `--preset original` takes as a command, start-up included, beside the original tool."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from page import ROOT, shared_models, table, write_block

RUNS = 3
ORIGINAL_SECONDS = {"lenet": 168, "cifar10_full": 441}
"""The original's CPU build on two cores: 100 iterations, error margin 1."""


def seconds(name: str, folder: Path) -> float:
    """Time one command."""
    files = shared_models() / name
    command = [
        *(sys.executable, "-m", "ristretto", "quantize", "--trimming_mode", "dynamic_fixed_point"),
        *("--model", str(files / "train_val.prototxt"), "--weights", str(files / f"{name}.caffemodel")),
        *("--model_quantized", str(folder / "quantized.prototxt"), "--preset", "original"),
        *("--iterations", "100", "--error_margin", "1"),
    ]
    start = time.perf_counter()
    code = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).returncode
    if code not in (0, 3):
        sys.exit(f"error: {' '.join(command)} exited with {code}")
    return time.perf_counter() - start


def main() -> None:
    """Time each net; the first run, which may compile, is not counted."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, original in ORIGINAL_SECONDS.items():
            times = [seconds(name, Path(folder)) for _ in range(RUNS + 1)][1:]
            middle = statistics.median(times)
            spread = f"{min(times):.1f} to {max(times):.1f}"
            rows.append([name, f"{middle:.1f}", spread, str(original), f"{original / middle:.1f}"])
    head = ["net", f"seconds, median of {RUNS}", "spread", "the original's seconds", "times faster"]
    write_block("search", table(head, rows))


if __name__ == "__main__":
    main()
