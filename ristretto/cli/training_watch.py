"""A training on a terminal: a bar with the loss and the last score, a line for each score and snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import Progress, TaskID, TextColumn

from ristretto.cli.watch import TerminalWatcher
from ristretto.finetune.events import Event, Scored, Updated
from ristretto.report import training


class TrainingWatcher(TerminalWatcher):
    """Draws on standard error; without a terminal there are only lines.

    Scores are drawn within the training's own stage: a terminal has room for one bar.
    """

    bar: tuple[Progress, TaskID] | None = None
    scored = ""
    """The last score, as the bar shows it: the first that a test net has."""

    @contextmanager
    def stage(self, title: str, batches: int) -> Iterator[Callable[[], None]]:
        """Draw the bar of a training; none for what is scored on its way."""
        if self.bar is not None:
            yield lambda: None
            return
        with self.bar_of(TextColumn("{task.fields[told]}"), transient=False) as progress:
            task = progress.add_task(title, total=batches, told="")
            self.bar = progress, task
            try:
                yield lambda: progress.advance(task)
            finally:
                self.bar = None

    def told(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, Updated):
            if self.bar is not None:
                progress, task = self.bar
                progress.update(task, told=f"loss {event.smoothed:.4g}{self.scored}")
            if event.is_due:
                self.console.print(training.sentence(event))
            return
        self.console.print(training.sentence(event))
        if isinstance(event, Scored) and event.scores and not event.net:
            name, score = next(iter(event.scores.items()))
            self.scored = f", {name} {score:.4f}"
