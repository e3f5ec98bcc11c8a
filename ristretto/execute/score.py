"""Scores: a net's output blobs, averaged over batches."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ristretto.errors import DataError
from ristretto.execute.values import Run

Item = TypeVar("Item")
Given = TypeVar("Given", contravariant=True)
Result = TypeVar("Result")
Progress = Callable[[], None]


class Runner(Protocol[Given]):
    """Runs what stands for a batch: an executor, or several in a row."""

    def run(self, batch: Given, /) -> Run:
        """Run it."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Means over batches.

    Parameters
    ----------
    outputs : mapping of str to float64 array
        Each output blob's elementwise mean; scores as fractions.
    companions : mapping of str to float
        Figures beside them (``accuracy_argmax``).
    iterations : int
        Batches.
    """

    outputs: Mapping[str, NDArray[np.float64]]
    companions: Mapping[str, float]
    iterations: int


def default_threads() -> int:
    """Give the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int, progress: Progress | None = None
) -> Iterator[Result]:
    """Map over items on several threads, a few items ahead; results come in the items' order.

    What is done with them is then the same for every number of threads, to the last bit of a sum.
    """
    if threads == 1:
        for item in items:
            yield work(item)
            if progress:
                progress()
        return
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[Result]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) > 2 * threads:
                    yield pending.popleft().result()
                    if progress:
                        progress()
            while pending:
                yield pending.popleft().result()
                if progress:
                    progress()
        finally:
            for future in pending:
                future.cancel()


def score(
    executor: Runner[Item],
    batches: Iterable[Item],
    *,
    threads: int = 1,
    progress: Progress | None = None,
) -> Scores:
    """Average the outputs of a net over batches, as ``caffe test`` does.

    Parameters
    ----------
    executor : Executor or other Runner
        The prepared net.
    batches : iterable of what it runs
        At least one batch.
    threads : int
        Whole batches run side by side; the result does not depend on it.
    progress : callable or None
        Called after each batch.

    Raises
    ------
    DataError
        When there is no batch.
    """
    outputs: dict[str, NDArray[np.float64]] = {}
    companions: dict[str, float] = {}
    count = 0
    for run in in_order(executor.run, batches, threads, progress):
        count += 1
        for blob, value in run.outputs.items():
            outputs[blob] = np.asarray(outputs.get(blob, 0.0) + value, np.float64)
        for name, figure in run.companions.items():
            companions[name] = companions.get(name, 0.0) + figure
    if not count:
        raise DataError("no batch to score", hint="ask for at least one iteration")
    return Scores(
        {blob: np.asarray(value / count) for blob, value in outputs.items()},
        {name: figure / count for name, figure in companions.items()},
        count,
    )
