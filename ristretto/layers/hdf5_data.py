"""HDF5Data: batches from the arrays of HDF5 files."""

from __future__ import annotations

from dataclasses import dataclass

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.op import Op


@dataclass(frozen=True)
class HDF5Data(Op):
    """Feeds each top with the array of that name, as many rows at a time as a batch has.

    `source` is a text file with the path of an HDF5 file on each line.
    """

    type = "HDF5Data"
    is_data = True

    source: str
    batch_size: int
    shuffle: bool = False

    @classmethod
    def parse(cls, fields: Fields) -> HDF5Data:
        """Read ``hdf5_data_param``; Caffe refuses a ``transform_param`` here, and so do we."""
        if fields.has("transform_param"):
            raise ModelError("HDF5Data takes no transform_param", hint="store the arrays as the net is to read them")
        param = fields.message("hdf5_data_param")
        op = cls(source=param.text("source"), batch_size=param.integer("batch_size"), shuffle=param.flag("shuffle"))
        if op.batch_size < 1:
            raise ModelError("batch_size must be at least 1")
        return op
