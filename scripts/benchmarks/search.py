"""How long a search with `--preset original` takes, as a command and without its start-up, beside the original."""

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
        *("--iterations", "100", "--error_margin", "1", "--no-cache"),
    ]
    start = time.perf_counter()
    code = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).returncode
    if code not in (0, 3):
        sys.exit(f"error: {' '.join(command)} exited with {code}")
    return time.perf_counter() - start


ALONE = """
import sys, time
from ristretto import api
api.info(compile=True)
model, weights = sys.argv[1:]
start = time.perf_counter()
api.quantize(model, weights, error_margin=1, iterations=100, preset="original", cached=False)
print(time.perf_counter() - start)
"""


def seconds_alone(name: str) -> float:
    """Time the search in a process of its own, from when everything is imported and the kernels are loaded."""
    files = shared_models() / name
    arguments = [str(files / "train_val.prototxt"), str(files / f"{name}.caffemodel")]
    done = subprocess.run([sys.executable, "-c", ALONE, *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: the search of {name} failed: {done.stderr}")
    return float(done.stdout)


def row(name: str, what: str, times: list[float]) -> list[str]:
    """Give a line of the table."""
    middle, original = statistics.median(times), ORIGINAL_SECONDS[name]
    spread = f"{min(times):.1f} to {max(times):.1f}"
    return [name, what, f"{middle:.1f}", spread, str(original), f"{original / middle:.1f}"]


def main() -> None:
    """Time each net; the first run, which may compile, is not counted."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ORIGINAL_SECONDS:
            rows.append(row(name, "the whole command", [seconds(name, Path(folder)) for _ in range(RUNS + 1)][1:]))
            rows.append(row(name, "without start-up", [seconds_alone(name) for _ in range(RUNS)]))
    head = ["net", "what", f"seconds, median of {RUNS}", "spread", "the original's seconds", "times faster"]
    write_block("search", table(head, rows))


if __name__ == "__main__":
    main()
