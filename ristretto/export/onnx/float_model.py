"""The net in float32 as an ONNX model."""

from __future__ import annotations

from typing import ClassVar

from ristretto.execute.onnx_model import model_of
from ristretto.export.base import Exported, Exporter, Subject


class FloatOnnx(Exporter):
    """The float net; formats are left out, and so are scores and losses."""

    name: ClassVar[str] = "onnx-float"
    summary: ClassVar[str] = "ONNX in float32, formats left out"
    single_file: ClassVar[bool] = True

    def export(self, subject: Subject) -> Exported:
        """Give the model."""
        return Exported({"": model_of(subject.net, subject.inputs).SerializeToString(deterministic=True)})
