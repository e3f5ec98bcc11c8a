"""MemoryData: pictures and labels that the calling program hands over."""

from __future__ import annotations

from dataclasses import dataclass, field

from ristretto.errors import ModelError
from ristretto.layers.data import Transform
from ristretto.net.fields import Fields
from ristretto.net.op import Op, Shape


@dataclass(frozen=True)
class MemoryData(Op):
    """Declares ``top[0]`` as pictures (batch_size, channels, height, width) and ``top[1]`` as labels (batch_size,)."""

    type = "MemoryData"
    is_data = True

    batch_size: int
    channels: int
    height: int
    width: int
    transform: Transform = field(default_factory=Transform)

    @classmethod
    def parse(cls, fields: Fields) -> MemoryData:
        """Read ``memory_data_param`` and ``transform_param``."""
        param = fields.message("memory_data_param")
        op = cls(
            batch_size=param.integer("batch_size"),
            channels=param.integer("channels"),
            height=param.integer("height"),
            width=param.integer("width"),
            transform=Transform.parse(fields.message("transform_param")),
        )
        if min(op.batch_size, op.channels, op.height, op.width) < 1:
            raise ModelError("batch_size, channels, height and width must be at least 1")
        return op

    def declared_shape(self, top: int) -> Shape:
        """Give the shape of pictures or labels."""
        return (self.batch_size, self.channels, self.height, self.width) if top == 0 else (self.batch_size,)
