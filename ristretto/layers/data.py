"""Data: batches from a database of Datums."""

from __future__ import annotations

from dataclasses import dataclass, field

from ristretto.net.fields import Fields
from ristretto.net.op import Op


@dataclass(frozen=True)
class Transform:
    """Caffe's ``transform_param``: what is done to each picture, in real units.

    The order is Caffe's: subtract the mean, crop, mirror, multiply by `scale`.
    """

    scale: float = 1.0
    mirror: bool = False
    crop_size: int = 0
    mean_file: str = ""
    mean_value: tuple[float, ...] = ()
    force_color: bool = False
    force_gray: bool = False

    @classmethod
    def parse(cls, fields: Fields) -> Transform:
        """Read a ``transform_param``."""
        return cls(
            scale=fields.number("scale"),
            mirror=fields.flag("mirror"),
            crop_size=fields.integer("crop_size"),
            mean_file=fields.text("mean_file"),
            mean_value=fields.numbers("mean_value"),
            force_color=fields.flag("force_color"),
            force_gray=fields.flag("force_gray"),
        )


@dataclass(frozen=True)
class Data(Op):
    """Feeds ``top[0]`` with pictures (n, c, h, w) and ``top[1]``, if there, with labels (n,)."""

    type = "Data"
    is_data = True

    source: str
    batch_size: int
    backend: str = "LEVELDB"
    rand_skip: int = 0
    transform: Transform = field(default_factory=Transform)

    @classmethod
    def parse(cls, fields: Fields) -> Data:
        """Read ``data_param`` and ``transform_param``."""
        data = fields.message("data_param")
        return cls(
            source=data.text("source"),
            batch_size=data.integer("batch_size"),
            backend=data.text("backend"),
            rand_skip=data.integer("rand_skip"),
            transform=Transform.parse(fields.message("transform_param")),
        )
