"""The quantized net as a QONNX model."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ristretto.export.base import Subject
from ristretto.export.onnx.exporter import OnnxExporter, require_quantized

if TYPE_CHECKING:
    from ristretto.export.onnx.dialect import Dialect


class Qonnx(OnnxExporter):
    """The quantized net for FINN, hls4ml and `qonnx`, which want to know how many pictures go in."""

    name: ClassVar[str] = "qonnx"
    summary: ClassVar[str] = "QONNX, with Quant and FloatQuant"
    opens_batch: ClassVar[bool] = False

    def dialect(self, subject: Subject) -> Dialect:
        """Give QONNX."""
        from ristretto.export.onnx.qonnx import Qonnx as Words

        require_quantized(subject)
        return Words(subject.arithmetic)
