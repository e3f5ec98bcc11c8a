"""ImageData: batches of picture files that a list names."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ristretto.errors import ModelError
from ristretto.layers.data import Transform, refuse_legacy
from ristretto.net.fields import Fields
from ristretto.net.op import Op


@dataclass(frozen=True)
class ImageData(Op):
    """Feeds ``top[0]`` with pictures (n, c, h, w) and ``top[1]``, if there, with labels (n,).

    `source` is a text file with a path and a label on each line; `root_folder` is put in front of each path.
    `new_height` and `new_width` are in pixels; 0 leaves the pictures as they are.
    """

    type = "ImageData"
    is_data = True

    source: str
    batch_size: int = 1
    rand_skip: int = 0
    shuffle: bool = False
    new_height: int = 0
    new_width: int = 0
    is_color: bool = True
    root_folder: str = ""
    transform: Transform = field(default_factory=Transform)

    @classmethod
    def parse(cls, fields: Fields) -> ImageData:
        """Read ``image_data_param`` and ``transform_param``."""
        param = fields.message("image_data_param")
        refuse_legacy(param, "image_data_param")
        op = cls(
            source=param.text("source"),
            batch_size=param.integer("batch_size"),
            rand_skip=param.integer("rand_skip"),
            shuffle=param.flag("shuffle"),
            new_height=param.integer("new_height"),
            new_width=param.integer("new_width"),
            is_color=param.flag("is_color"),
            root_folder=param.text("root_folder"),
            transform=Transform.parse(fields.message("transform_param")),
        )
        if op.batch_size < 1:
            raise ModelError("batch_size must be at least 1")
        if (op.new_height > 0) != (op.new_width > 0):
            raise ModelError("new_height and new_width must stand together", hint="set both, or neither")
        return op

    def seeded(self, seed: int) -> ImageData:
        """Draw crops and mirrors from a seed; the order of the pictures stays."""
        return replace(self, transform=replace(self.transform, seed=seed))
