"""Scores: a net's output blobs, averaged over batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ristretto.errors import DataError
from ristretto.execute.values import Run
from ristretto.kernels.cpu import cores

Observations = NDArray[Any]
"""For each picture whether it counts as right (bool), or for each batch a number (float64)."""
Item = TypeVar("Item")
Given = TypeVar("Given", contravariant=True)
Result = TypeVar("Result")
Progress = Callable[[], None]


class Runner(Protocol[Given]):
    """Runs what stands for a batch: an executor, or several in a row."""

    def run(self, batch: Given, /) -> Run:
        """Run it."""


@dataclass(frozen=True, eq=False, repr=False)
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
    observations : mapping of str to array
        What each mean is made of, in the order of the data, by output blob or companion. Where the net knows it, that
        is for each picture whether it counts as right, as bool; else for each batch the output's first number, as
        float64.
    """

    outputs: Mapping[str, NDArray[np.float64]]
    companions: Mapping[str, float]
    iterations: int
    observations: Mapping[str, Observations] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, float]:
        """Every output of one number, and what stands beside them, by name."""
        single = {blob: float(mean.reshape(-1)[0]) for blob, mean in self.outputs.items() if mean.size == 1}
        return {**single, **self.companions}

    def __getitem__(self, name: str) -> float:
        """Give one of the `figures`."""
        return self.figures[name]

    def __repr__(self) -> str:
        """Name the figures, and how many batches they are means over."""
        told = [f"{name}={value:.6g}" for name, value in self.figures.items()]
        return f"Scores({', '.join([*told, f'iterations={self.iterations}'])})"


Enough = Callable[[Scores], bool]
"""Says after each batch, from the scores so far, whether more of them are not needed."""


class _Tally:
    """Scores as they grow, batch by batch."""

    def __init__(self) -> None:
        self.outputs: dict[str, NDArray[np.float64]] = {}
        self.companions: dict[str, float] = {}
        self.observations: dict[str, list[Observations]] = {}
        self.count = 0

    def add(self, run: Run) -> None:
        self.count += 1
        for blob, value in run.outputs.items():
            self.outputs[blob] = np.asarray(self.outputs.get(blob, 0.0) + value, np.float64)
        for name, figure in run.companions.items():
            self.companions[name] = self.companions.get(name, 0.0) + figure
        for name, seen in _observed(run).items():
            self.observations.setdefault(name, []).append(seen)

    def scores(self) -> Scores:
        return Scores(
            {blob: np.asarray(value / self.count) for blob, value in self.outputs.items()},
            {name: figure / self.count for name, figure in self.companions.items()},
            self.count,
            {name: np.concatenate(seen) for name, seen in self.observations.items()},
        )


def _observed(run: Run) -> dict[str, Observations]:
    """Give what a batch adds to each mean."""
    # Copies: a view would keep the whole output.
    seen: dict[str, Observations] = {
        blob: value.reshape(-1)[:1].astype(np.float64) for blob, value in run.outputs.items()
    }
    seen |= {name: np.array([figure], np.float64) for name, figure in run.companions.items()}
    for blob, pictures in run.pictures.items():
        seen |= {f"{blob}_{suffix}" if suffix else blob: right for suffix, right in pictures.items()}
    return seen


def default_threads() -> int:
    """Give the threads that a command uses where it is told nothing: as many as there are cores."""
    return cores()


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int, progress: Progress | None = None
) -> Generator[Result, None, None]:
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
    enough: Enough | None = None,
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
    enough : callable or None
        Given the scores so far after each batch, in their order. When it says so, they are the result: what other
        threads are at work on is dropped, and so is the rest.

    Raises
    ------
    DataError
        When there is no batch.
    """
    tally = _Tally()
    with closing(in_order(executor.run, batches, threads, progress)) as runs:
        for run in runs:
            tally.add(run)
            if enough and enough(tally.scores()):
                break
    if not tally.count:
        raise DataError("no batch to score", hint="ask for at least one iteration")
    return tally.scores()
