"""The loop of a training: updates, scores and snapshots in the order in which Caffe makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ristretto.api.training_start import Test
from ristretto.api.watch import Watcher
from ristretto.data import Batch, BatchSource
from ristretto.execute import Scores
from ristretto.finetune.events import Event, Saved, Scored, Updated
from ristretto.net import Net
from ristretto.outputs import Outputs

if TYPE_CHECKING:
    from ristretto.finetune.training import Training

Listener = Callable[[Event], None]


@dataclass(eq=False)
class Loop:
    """Runs a training to its end, or until it is to stop.

    Parameters
    ----------
    training : Training
    whole : Net
        All phases of the net that is trained.
    source : BatchSource
        What feeds it.
    tests : sequence of Test
        What is scored on the way.
    inputs : sequence of paths
        What no snapshot may be written over.
    stop : callable
        Asked after each update.
    listener : callable
        Told of each event.
    watcher : Watcher
    """

    training: Training
    whole: Net
    source: BatchSource
    tests: Sequence[Test]
    inputs: Sequence[str | Path]
    stop: Callable[[], bool]
    listener: Listener
    watcher: Watcher
    saved: int = field(init=False)
    """The iteration of the last snapshot; -1 before the first."""

    def __post_init__(self) -> None:
        # What does not begin at the beginning goes on from one.
        self.saved = self.training.iteration or -1

    def run(self) -> bool:
        """Run it; give whether it went on to its end."""
        training, solver = self.training, self.training.solver
        if training.iteration < solver.max_iter:
            # Entered and left: whether a snapshot can be written should not show after hours only.
            with Outputs(solver.snapshot_names(solver.max_iter), self.inputs):
                pass
        left = solver.max_iter - training.iteration
        batches = self._batches(left)
        with self.watcher.stage("training", max(left, 0)) as advance:
            while training.iteration < solver.max_iter:
                if self._is_due(solver.test_interval) and (training.iteration or solver.test_initialization):
                    self.score()
                rate = training.rate
                loss = training.update(islice(batches, solver.iter_size))
                self.listener(Updated(training.iteration, loss, training.smoothed, rate, self._is_due(solver.display)))
                advance()
                stopped = self.stop()
                if stopped or self._is_due(solver.snapshot):
                    self.save()
                if stopped and training.iteration < solver.max_iter:
                    return False
        if solver.snapshot_after_train:
            self.save()
        return True

    def score(self) -> tuple[Scores, ...]:
        """Score all test nets with the present weights."""
        found = []
        trained = self.training.trained(self.whole)
        for index, test in enumerate(self.tests):
            scores = test.score(trained, self.watcher)
            numbers = {blob: float(mean) for blob, mean in scores.outputs.items() if mean.size == 1}
            self.listener(Scored(self.training.iteration, index, {**numbers, **scores.companions}))
            found.append(scores)
        return tuple(found)

    def save(self) -> None:
        """Write a snapshot, unless there is one of this iteration."""
        from ristretto.finetune.snapshot import write_snapshot

        if self.saved == self.training.iteration:
            return
        files = write_snapshot(self.training, self.inputs)
        self.saved = self.training.iteration
        self.listener(Saved(self.saved, files))

    def _is_due(self, interval: int) -> bool:
        return bool(interval) and self.training.iteration % interval == 0

    def _batches(self, left: int) -> Iterator[Batch]:
        size = self.training.solver.iter_size
        return iter(self.source.batches(left * size, self.training.iteration * size))
