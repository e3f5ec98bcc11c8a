"""Run a net: float (onnxruntime), simulate (numpy, real units), integer (numba, codes)."""

from collections.abc import Mapping

from ristretto.execute.executor import Executor
from ristretto.execute.float_executor import FloatExecutor
from ristretto.execute.integer import IntegerExecutor
from ristretto.execute.score import Scores, default_threads, score
from ristretto.execute.simulate import SimulateExecutor
from ristretto.execute.values import Run

EXECUTORS: Mapping[str, type[Executor]] = {
    executor.name: executor for executor in (IntegerExecutor, SimulateExecutor, FloatExecutor)
}
"""Every executor, by name; the default first."""

__all__ = [
    "EXECUTORS",
    "Executor",
    "FloatExecutor",
    "IntegerExecutor",
    "Run",
    "Scores",
    "SimulateExecutor",
    "default_threads",
    "score",
]
