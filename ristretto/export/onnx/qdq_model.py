"""The quantized net as an ONNX model with QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ristretto.export.base import Subject
from ristretto.export.onnx.exporter import OnnxExporter, require_quantized

if TYPE_CHECKING:
    from ristretto.export.onnx.dialect import Dialect


class QdqOnnx(OnnxExporter):
    """The quantized net for onnxruntime and all that reads QDQ."""

    name: ClassVar[str] = "onnx"
    summary: ClassVar[str] = "ONNX with QuantizeLinear and DequantizeLinear"

    def dialect(self, subject: Subject) -> Dialect:
        """Give QDQ."""
        from ristretto.export.onnx.qdq import Qdq

        require_quantized(subject)
        return Qdq.of(subject.net, subject.arithmetic)
