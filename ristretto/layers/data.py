"""Data: batches from a database of Datums."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.op import Op

SSD_FIELDS = ("resize_param", "crop_h", "crop_w")
"""Settings of a ``transform_param`` that the SSD fork of Caffe knows."""
LEGACY_FIELDS = ("scale", "mean_file", "crop_size", "mirror")
"""Settings that stood in a data layer's own block before ``transform_param`` existed."""


@dataclass(frozen=True)
class Transform:
    """Caffe's ``transform_param``: what is done to each picture, in real units.

    The order is Caffe's: subtract the mean, crop, mirror, multiply by `scale`. `seed` is that of random crops and
    mirrors; no prototxt says it.
    """

    scale: float = 1.0
    mirror: bool = False
    crop_size: int = 0
    mean_file: str = ""
    mean_value: tuple[float, ...] = ()
    force_color: bool = False
    force_gray: bool = False
    seed: int = 0

    @classmethod
    def parse(cls, fields: Fields) -> Transform:
        """Read a ``transform_param``.

        Raises
        ------
        ModelError
            When it has settings of the SSD fork, which change the size of the pictures.
        """
        for name in SSD_FIELDS:
            if fields.has(name):
                raise ModelError(
                    f"{name} in transform_param is not supported",
                    hint="resize the pictures beforehand, or by new_height and new_width of an ImageData layer",
                )
        return cls(
            scale=fields.number("scale"),
            mirror=fields.flag("mirror"),
            crop_size=fields.integer("crop_size"),
            mean_file=fields.text("mean_file"),
            mean_value=fields.numbers("mean_value"),
            force_color=fields.flag("force_color"),
            force_gray=fields.flag("force_gray"),
        )


def refuse_legacy(param: Fields, block: str) -> None:
    """Raise a ModelError when a data layer's own block holds what belongs into ``transform_param``.

    Caffe moves these settings there in files of the V1 format and older, and so does our reader. In a newer file Caffe
    passes over them: the net would read other numbers than its author meant.
    """
    for name in LEGACY_FIELDS:
        if param.has(name):
            raise ModelError(f"{name} in {block} has no effect in Caffe", hint=f"move {name} to transform_param")


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
        if data.integer("batch_size") < 1:
            raise ModelError("batch_size must be at least 1", hint="set batch_size in data_param")
        refuse_legacy(data, "data_param")
        transform = Transform.parse(fields.message("transform_param"))
        if data.flag("force_encoded_color"):
            transform = replace(transform, force_color=True)
        return cls(
            source=data.text("source"),
            batch_size=data.integer("batch_size"),
            backend=data.text("backend"),
            rand_skip=data.integer("rand_skip"),
            transform=transform,
        )

    def seeded(self, seed: int) -> Data:
        """Draw crops and mirrors from a seed."""
        return replace(self, transform=replace(self.transform, seed=seed))
