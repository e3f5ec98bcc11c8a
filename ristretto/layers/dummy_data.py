"""DummyData: blobs of declared shapes, filled by rule."""

from __future__ import annotations

from dataclasses import dataclass

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.filler import Filler
from ristretto.net.op import Op, Shape


@dataclass(frozen=True)
class DummyData(Op):
    """Declares a shape and a filler for its tops: one for all, or one each; without a filler all is 0."""

    type = "DummyData"
    is_data = True

    shapes: tuple[Shape, ...]
    fillers: tuple[Filler, ...] = (Filler(),)

    @classmethod
    def parse(cls, fields: Fields) -> DummyData:
        """Read ``dummy_data_param``; ``num``, ``channels``, ``height``, ``width`` are the old form of ``shape``."""
        param = fields.message("dummy_data_param")
        shapes = tuple(shape.integers("dim") for shape in param.values["shape"])
        old = [param.integers(name) for name in ("num", "channels", "height", "width")]
        if any(old):
            if shapes:
                raise ModelError("shape stands beside num, channels, height or width", hint="keep shape")
            shapes = _old_shapes(old)
        if not shapes:
            raise ModelError("no shape", hint="add shape { dim: ... } to dummy_data_param")
        if any(size < 0 for shape in shapes for size in shape):
            raise ModelError("a shape has a negative length")
        fillers = tuple(Filler.parse(filler) for filler in param.values["data_filler"])
        tops = len(fields.values["top"])
        for name, count in (("shapes", len(shapes)), ("fillers", len(fillers))):
            if count > 1 and count != tops:
                raise ModelError(f"{count} {name} for {tops} tops", hint="give one for all, or one for each")
        return cls(shapes, fillers or (Filler(),))

    def declared_shape(self, top: int) -> Shape:
        """Give the shape of one top."""
        return self.shapes[top] if len(self.shapes) > 1 else self.shapes[0]

    def filler(self, top: int) -> Filler:
        """Give the filler of one top."""
        return self.fillers[top] if len(self.fillers) > 1 else self.fillers[0]


def _old_shapes(lists: list[tuple[int, ...]]) -> tuple[Shape, ...]:
    count = max(len(values) for values in lists)
    if any(len(values) not in (1, count) for values in lists):
        raise ModelError(
            "num, channels, height and width differ in number", hint="give each once, or once for each top"
        )
    return tuple(tuple(values[i] if len(values) > 1 else values[0] for values in lists) for i in range(count))
