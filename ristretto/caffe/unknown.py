"""A layer of a type that cannot be run: an error once it takes part, not before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ristretto.errors import ModelError
from ristretto.layers.unsupported import UNSUPPORTED
from ristretto.net import Fields, Op, Phase


@dataclass(frozen=True)
class Unknown(Op):
    """Stands for a layer whose type is unknown or left out on purpose.

    A train_val prototxt may hold such layers for training alone (data augmentation, special losses); the net of the
    TEST phase runs without them.
    """

    type: str  # type: ignore[misc]
    known: tuple[str, ...]

    @classmethod
    def parse(cls, fields: Fields) -> Self:
        """Take the type as it stands."""
        return cls(fields.text("type"), ())

    def in_phase(self, phase: Phase) -> Op:
        """Raise a ModelError: there is nothing to run."""
        if left_out := UNSUPPORTED.get(self.type):
            raise ModelError(f"{self.type} layers are not supported: {left_out.reason}", hint=left_out.hint)
        raise ModelError(f"unknown layer type '{self.type}'", hint=f"known types: {', '.join(self.known)}")
