"""Input: blobs that the caller fills."""

from __future__ import annotations

from dataclasses import dataclass

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.op import Op, Shape


@dataclass(frozen=True)
class Input(Op):
    """Declares the shapes of its tops: one for all, or one each."""

    type = "Input"
    is_data = True

    shapes: tuple[Shape, ...] = ()

    @classmethod
    def parse(cls, fields: Fields) -> Input:
        """Read ``input_param``."""
        shapes = fields.message("input_param").values["shape"]
        return cls(shapes=tuple(shape.integers("dim") for shape in shapes))

    def declared_shape(self, top: int) -> Shape:
        """Give the shape of one top."""
        if not self.shapes:
            raise ModelError("it declares no shape", hint="add input_param { shape { dim: ... } }")
        if top >= len(self.shapes) > 1:
            raise ModelError(f"{len(self.shapes)} shapes for more tops than that", hint="give one shape, or one each")
        shape = self.shapes[0] if len(self.shapes) == 1 else self.shapes[top]
        if any(length < 1 for length in shape):
            raise ModelError(f"shape {shape} holds nothing", hint="every dim must be at least 1")
        return shape
