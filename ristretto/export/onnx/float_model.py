"""The net in float32 as an ONNX model."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ristretto.export.base import Subject
from ristretto.export.onnx.exporter import OnnxExporter

if TYPE_CHECKING:
    from ristretto.export.onnx.dialect import Dialect


class FloatOnnx(OnnxExporter):
    """The float net; formats are left out, and so are scores and losses."""

    name: ClassVar[str] = "onnx-float"
    summary: ClassVar[str] = "ONNX in float32, formats left out"

    def dialect(self, subject: Subject) -> Dialect:
        """Give float32."""
        from ristretto.export.onnx.dialect import Plain

        return Plain()
