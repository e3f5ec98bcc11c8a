"""A training as lines: for a terminal, for a log, and as plain data."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from rich.console import Group, RenderableType
from rich.text import Text

from ristretto.api.finetuning import Finetuned
from ristretto.errors import OutputError
from ristretto.finetune.events import Event, Saved, Scored, Updated
from ristretto.report import kinds, plain, terminal


@dataclass(eq=False)
class History:
    """What happened, by kind, in order."""

    updates: list[Updated] = field(default_factory=list)
    scores: list[Scored] = field(default_factory=list)
    snapshots: list[Saved] = field(default_factory=list)

    def add(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, Updated):
            self.updates.append(event)
        elif isinstance(event, Scored):
            self.scores.append(event)
        else:
            self.snapshots.append(event)


def sentence(event: Event) -> str:
    """Give a line about an event, much as Caffe logs it."""
    if isinstance(event, Updated):
        return f"iteration {event.iteration}: loss = {event.smoothed:.6g}, learning rate = {event.rate:.6g}"
    if isinstance(event, Saved):
        return f"iteration {event.iteration}: wrote {' and '.join(event.files)}"
    told = ", ".join(f"{name} = {figure:.6g}" for name, figure in event.scores.items())
    number = f", test net {event.net}" if event.net else ""
    return f"iteration {event.iteration}{number}: {told}"


def line(event: Event) -> str:
    """Give an event as a line of JSON: its kind, lower case, as ``event``, and its fields."""
    data = {"event": type(event).__name__.lower(), **asdict(event)}
    return json.dumps(plain.finite(data), allow_nan=False)


@dataclass(eq=False)
class Log:
    """A log that is written as things happen.

    The file is opened when there is something to tell: a training that cannot start leaves an older log as it is.

    Parameters
    ----------
    path : str
    stack : ExitStack
        Closes it.
    goes_on : bool
        Whether lines are added to what is there, as by a training that goes on from a snapshot.
    """

    path: str
    stack: ExitStack
    goes_on: bool = False
    file: TextIO | None = field(default=None, init=False)

    def __call__(self, event: Event) -> None:
        """Write a line.

        Raises
        ------
        OutputError
            When the file cannot be opened.
        """
        if self.file is None:
            self.file = self.stack.enter_context(open_log(self.path, goes_on=self.goes_on))
        print(line(event), file=self.file, flush=True)


def open_log(path: str, *, goes_on: bool) -> TextIO:
    """Open a log for writing, or for adding to it; a last line that was cut short is taken away then.

    Raises
    ------
    OutputError
        When that is not possible.
    """
    try:
        if goes_on and Path(path).is_file():
            written = Path(path).read_bytes()
            # A training that was killed may have left half a line; the next one would become part of it.
            os.truncate(path, written.rfind(b"\n") + 1)
        return open(path, "a" if goes_on else "w", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror}", hint="check the folder and its permissions"
        ) from error


def table(found: Finetuned) -> RenderableType:
    """Give what came out: the scores of the test nets, as ``caffe test`` prints them."""
    how = "trained to the end" if found.complete else "stopped"
    lines: list[RenderableType] = [Text(f"{how}: {found.iteration} updates")]
    return Group(*lines, *(terminal.scores(scores) for scores in found.scores))


def data(found: Finetuned, history: History) -> dict[str, Any]:
    """Give what came out, and how, as plain data; scores as fractions."""
    return {
        **kinds.head(kinds.TRAINING),
        "iterations": found.iteration,
        "complete": found.complete,
        "scores": [plain.scores(scores) for scores in found.scores],
        "snapshots": [list(saved.files) for saved in history.snapshots],
        "tests": [asdict(scored) for scored in history.scores],
        "losses": [[update.iteration, update.loss] for update in history.updates],
    }
