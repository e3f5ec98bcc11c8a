"""Exports: a net as files that other tools read. A kind of export is one file and one line in `EXPORTERS`."""

from ristretto.export.base import Exported, Exporter, Subject
from ristretto.export.c_header import CHeader
from ristretto.export.coe_files import CoeFiles
from ristretto.export.hex_files import HexFiles
from ristretto.export.integers import Integers
from ristretto.export.onnx.float_model import FloatOnnx
from ristretto.export.onnx.qdq_model import QdqOnnx
from ristretto.export.onnx.qonnx_model import Qonnx
from ristretto.export.program.exporter import CProgram

EXPORTERS: dict[str, type[Exporter]] = {
    exporter.name: exporter
    for exporter in (
        Integers,
        HexFiles,
        CoeFiles,
        CHeader,
        CProgram,
        FloatOnnx,
        QdqOnnx,
        Qonnx,
    )
}
"""Every kind of export, by the name that ``--format`` has for it."""

__all__ = ["EXPORTERS", "Exported", "Exporter", "Subject"]
