"""A training for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ristretto.errors import OutputError, RistrettoError
from ristretto.finetune.events import Event, Scored, Updated


@contextmanager
def tensorboard(folder: str) -> Iterator[Callable[[Event], None]]:
    """Write losses, learning rates and scores into a folder as they come.

    Raises
    ------
    RistrettoError
        When TensorBoard is not there, or the folder cannot be made.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise RistrettoError(
            f"--tensorboard needs tensorboard, which cannot be imported: {error}",
            hint="install it by: pip install 'ristretto-cnn[tensorboard]'",
        ) from error
    try:
        opened = SummaryWriter(folder)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}", hint="name a folder") from error
    with opened as writer:

        def add(event: Event) -> None:
            if isinstance(event, Updated):
                writer.add_scalar("train/loss", event.loss, event.iteration)
                writer.add_scalar("train/learning_rate", event.rate, event.iteration)
            elif isinstance(event, Scored):
                for name, figure in event.scores.items():
                    writer.add_scalar(f"test{event.net}/{name}", figure, event.iteration)

        yield add
