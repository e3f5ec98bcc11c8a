"""Watcher: told how far long work has come."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from ristretto.search import Trial


class Watcher(Protocol):
    """Told how far long work has come; the command line draws a bar."""

    def stage(self, title: str, batches: int) -> AbstractContextManager[Callable[[], None]]:
        """Open a stage of so many batches; gives what is called after each."""

    def note(self, text: str) -> None:
        """Say something that the user should know."""

    def trial(self, trial: Trial) -> None:
        """Take note that a trial is done."""


class Silent:
    """Watches without a word."""

    def stage(self, title: str, batches: int) -> AbstractContextManager[Callable[[], None]]:
        """Do nothing."""
        return nullcontext(lambda: None)

    def note(self, text: str) -> None:
        """Do nothing."""

    def trial(self, trial: Trial) -> None:
        """Do nothing."""
