"""OnnxExporter: what all exports to ONNX have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ristretto.errors import ModelError
from ristretto.export.base import Exported, Exporter, Subject

# onnx takes a quarter of a second to load: only who exports waits for it.
if TYPE_CHECKING:
    from ristretto.export.onnx.dialect import Dialect
    from ristretto.export.onnx.model import Written


class OnnxExporter(Exporter):
    """An export to ONNX: a subclass says in which dialect."""

    single_file: ClassVar[bool] = True
    takes_batch: ClassVar[bool] = True
    opens_batch: ClassVar[bool] = True
    """Whether the number of pictures may be left open."""

    @abstractmethod
    def dialect(self, subject: Subject) -> Dialect:
        """Give the dialect for a net.

        Raises
        ------
        ModelError
            When the net is not one for this export.
        """

    def write(self, subject: Subject) -> Written:
        """Give the model as a message, with what it was made of."""
        from ristretto.export.onnx.model import write

        return write(subject, self.dialect(subject), open_batch=self.opens_batch)

    def export(self, subject: Subject) -> Exported:
        """Give the file."""
        written = self.write(subject)
        return Exported({"": written.model.SerializeToString(deterministic=True)}, written.notes)


def require_quantized(subject: Subject) -> None:
    """Raise a ModelError when no layer of a net has a format."""
    if not any(layer.quant for layer in subject.net):
        raise ModelError(
            f"no layer of net '{subject.net.name}' is quantized",
            hint="--format onnx-float gives the float net; ristretto quantize makes a quantized one",
        )
