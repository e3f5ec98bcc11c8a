"""The whole exception tree.

Every error that a user can cause is a `RistrettoError`; the command line prints it as one line, with its hint, and
exits 1. Anything else is a defect of this package.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class RistrettoError(Exception):
    """Base of all errors that this package raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong and where, in one line.
    hint : str
        What to do about it, in one line; may be empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            # Python shows it beneath the traceback.
            self.add_note(f"hint: {hint}")


class ModelError(RistrettoError):
    """A net, a layer of it or its weights make no sense.

    Parameters
    ----------
    message : str
        What is wrong.
    layer : str
        The layer's name; it is put in front of the message.
    hint : str
        What to do about it.
    """

    def __init__(self, message: str, *, layer: str = "", hint: str = "") -> None:
        super().__init__(f"layer '{layer}': {message}" if layer else message, hint=hint)
        self.layer = layer


class PrototxtError(ModelError):
    """A text file that is no prototxt; the message starts with ``file:line:column``."""


class CaffemodelError(ModelError):
    """A weights file that is truncated, corrupt or of another kind."""


class FormatError(RistrettoError):
    """A number format with impossible parameters."""


class DataError(RistrettoError):
    """A data source that is missing, empty, corrupt or of the wrong shape."""


class SearchError(RistrettoError):
    """A search that cannot start or has nothing to decide."""


class TrainingError(RistrettoError):
    """A training that cannot start, or has gone astray."""


class HardwareError(RistrettoError):
    """A net that needs more than integers and shifts where no more is allowed."""


class ClusterError(RistrettoError):
    """Other processes or machines that cannot be reached, are lost, or run another program than this one."""


class JobError(RistrettoError):
    """A list of jobs, or the lock beside it, that makes no sense."""


class ResultError(RistrettoError):
    """A file of results that is missing, damaged, or none that is asked for."""


class OutputError(RistrettoError):
    """A result that cannot be written where the user wants it."""


@contextmanager
def in_layer(name: str, what: str = "") -> Iterator[None]:
    """Name the layer in an error about its settings, its weights or the numbers that it meets.

    Parameters
    ----------
    name : str
        The layer's name.
    what : str
        What of it the error is about, where its message does not say so.

    Raises
    ------
    ModelError
        In place of a `ModelError` or `FormatError` raised inside.
    """
    try:
        yield
    except (ModelError, FormatError) as error:
        if isinstance(error, ModelError) and error.layer == name:
            # It names the layer itself.
            raise
        message = f"{what}: {error.message}" if what else error.message
        raise ModelError(message, layer=name, hint=error.hint) from error
