"""Exporter: what turns a net into files that other tools read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from ristretto.formats import EXACT, Arithmetic
from ristretto.net import Net, Shape
from ristretto.net.op import Array


def _idle() -> None:
    """Do nothing."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A net that is to be exported, and what goes along with it.

    Parameters
    ----------
    net : Net
        Of the TEST phase, with its weights; quantized or not.
    inputs : mapping of str to shape
        The shapes of the data layers' tops for one batch.
    pictures : mapping of str to array, or None
        Of one or more batches, by data blob, in real units: what golden vectors are computed from.
    arithmetic : Arithmetic
        Where halves go.
    advance : callable
        Called after each picture that golden vectors are computed from.
    batch : int or None
        How many pictures an ONNX model takes at once; None leaves their number open where the net and the format
        allow it, and else as `inputs` has it.
    """

    net: Net
    inputs: Mapping[str, Shape]
    pictures: Mapping[str, Array] | None = None
    arithmetic: Arithmetic = EXACT
    advance: Callable[[], None] = _idle
    batch: int | None = None


@dataclass(frozen=True)
class Exported:
    """The files of an export.

    Parameters
    ----------
    files : mapping of str to bytes
        By path within the output folder, with ``/`` between folders; the one file of a `single_file` exporter has an
        empty path.
    notes : tuple of str
        What the user should know of them, one line each.
    """

    files: Mapping[str, bytes]
    notes: tuple[str, ...] = ()


class Exporter(ABC):
    """One kind of export: a subclass in a file of its own and one line in ``ristretto.export.EXPORTERS``."""

    name: ClassVar[str]
    """What ``--format`` calls it."""
    summary: ClassVar[str]
    """What it gives, in a few words, for ``--help``."""
    single_file: ClassVar[bool] = False
    """Whether the output is one file, and not a folder."""
    takes_batch: ClassVar[bool] = False
    """Whether it asks how many pictures go in at once."""

    @abstractmethod
    def export(self, subject: Subject) -> Exported:
        """Give the files.

        The same subject gives the same bytes.

        Raises
        ------
        ModelError
            When the net, or a layer of it, cannot be said in this format.
        """
