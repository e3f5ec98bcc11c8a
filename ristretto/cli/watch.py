"""Progress on a terminal: a bar for each stage, a line for each trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from ristretto.report.terminal import PART_NAMES, shown_bits
from ristretto.search import Trial


class TerminalWatcher:
    """Draws on standard error; without a terminal there are only notes."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextmanager
    def stage(self, title: str, batches: int) -> Iterator[Callable[[], None]]:
        """Draw a bar that is gone when the stage is done."""
        with self.bar_of(transient=True) as progress:
            task = progress.add_task(title, total=batches)
            yield lambda: progress.advance(task)

    def bar_of(self, *more: ProgressColumn, transient: bool) -> Progress:
        """Give what draws a bar, with further columns behind it; without a terminal it draws nothing."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), *more)
        return Progress(*columns, console=self.console, transient=transient, disable=not self.console.is_terminal)

    def note(self, text: str) -> None:
        """Print a note."""
        self.console.print(f"note: {text}")

    def trial(self, trial: Trial) -> None:
        """Print a trial's score as soon as it is known."""
        if self.console.is_terminal:
            self.console.print(f"{PART_NAMES[trial.part]}, {shown_bits(trial)} bits: {trial.score.value:.4f}")
