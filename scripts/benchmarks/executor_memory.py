"""How much memory a run needs: measured in a process of its own, which imports, builds and runs one executor only.

Linux keeps the most that a process held at once (``VmHWM``) and forgets it on demand, so that the run's own peak can
be told from what preparing left behind. That is ``getrusage``'s ``ru_maxrss``, but for one thing: in a child,
``ru_maxrss`` begins at what its parent held.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
FORGET_PEAK = "5"
RUNS = 3


@dataclass(frozen=True)
class Memory:
    """What a process held, bytes.

    Parameters
    ----------
    imported : int
        With everything imported, and the batch.
    built : int
        With the executor prepared.
    building : int
        The most at once before the first run.
    running : int
        The most at once while it ran.
    """

    imported: int
    built: int
    building: int
    running: int

    @property
    def run(self) -> int:
        """What running adds at its peak to the prepared executor."""
        return self.running - self.built

    @property
    def whole(self) -> int:
        """What model and run take at most, imports aside."""
        return self.running - self.imported


def measurable() -> bool:
    """Whether this system tells."""
    return STATUS.exists() and FORGET.exists()


def measure(file: Path, shape: Sequence[int], threads: int) -> Memory:
    """Measure one executor in a fresh process.

    Parameters
    ----------
    file : Path
        An ONNX model, or a pickled quantized net for the integer executor.
    shape : sequence of int
        Of the batch.
    threads : int
    """
    command = [sys.executable, __file__, str(file), str(threads), *map(str, shape)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: measuring memory failed: {done.stderr.strip() or done.returncode}")
    return Memory(**json.loads(done.stdout))


def _held() -> Mapping[str, int]:
    """Give what the process holds now and held at most, bytes."""
    lines = (line.split() for line in STATUS.read_text().splitlines())
    return {words[0]: 1024 * int(words[1]) for words in lines if words[0] in ("VmRSS:", "VmHWM:")}


def _child(file: str, threads: int, shape: Sequence[int]) -> Memory:
    import numpy as np

    pictures = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    if file.endswith(".onnx"):
        from peers import onnxruntime_run

        imported = _held()["VmRSS:"]
        run = onnxruntime_run(Path(file), pictures, threads)
    else:
        import pickle

        from executor_contenders import ours

        imported = _held()["VmRSS:"]
        with Path(file).open("rb") as stored:
            net = pickle.load(stored)
        (data,) = net.data_layers
        run = ours(net, {data.tops[0]: pictures.shape}, pictures, threads)
        del net
    built = _held()
    FORGET.write_text(FORGET_PEAK)
    for _ in range(RUNS):
        run()
    return Memory(imported, built["VmRSS:"], built["VmHWM:"], _held()["VmHWM:"])


if __name__ == "__main__":
    print(json.dumps(vars(_child(sys.argv[1], int(sys.argv[2]), [int(size) for size in sys.argv[3:]]))))
