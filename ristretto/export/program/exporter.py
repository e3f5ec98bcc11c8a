"""``c-program``: a net as a program in C99 that computes with integers alone."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ristretto.export.archive import npz
from ristretto.export.base import Exported, Exporter, Subject
from ristretto.export.integers import Integers
from ristretto.export.manifest import MANIFEST, content_of, file_entries
from ristretto.export.program.generate import generate
from ristretto.export.program.operations import Plain, operations

OPERATIONS = "operations.npz"
"""The archive of the operations' constants."""


class CProgram(Exporter):
    """The sources of a program that gives the integer executor's numbers bit for bit, and what they are made from.

    Beside them stand the weights and golden vectors of `Integers`. The manifest lists the operations; with their
    constants, in an archive of numpy, `generate` makes the same sources again.
    """

    name = "c-program"
    summary = "a reference program in C99, in integers"

    def export(self, subject: Subject) -> Exported:
        """Give the sources, the operations and their constants, and what `Integers` gives.

        Raises
        ------
        ModelError
            When a layer that others depend on cannot be done in integers.
        """
        made = operations(subject)
        exported = Integers().export(subject)
        files = dict(exported.files)
        told: Plain = json.loads(files.pop(MANIFEST))
        told |= {"format": self.name, "operations": made.listed}
        files |= generate(told, made.arrays) | {OPERATIONS: npz(made.arrays)}
        told["files"] = file_entries(files)
        return Exported({**files, MANIFEST: content_of(told)}, (*exported.notes, *_notes(made.listed)))


def _notes(listed: Sequence[Plain]) -> list[str]:
    """Say what the program leaves to those who run it."""
    return [
        f"the program gives blob '{each['blob']}', which {', '.join(each['readers'])} would read"
        for each in listed
        if each["kind"] == "output" and each["readers"]
    ]
