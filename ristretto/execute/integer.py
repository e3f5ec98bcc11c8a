"""The integer executor: codes, exact sums, shifts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ristretto.execute.executor import Executor, Step
from ristretto.execute.integer_mac import IntegerMacStep, runs_in_integers, trimmed
from ristretto.execute.segments import Piece, segment
from ristretto.execute.values import State
from ristretto.formats import Format, Rounding
from ristretto.net import Layer


class IntegerExecutor(Executor):
    """Runs quantized layers on integer codes; everything left in float runs in float.

    A layer whose input and weights have up to 16 bits runs in integers throughout. One that keeps one of them in
    float (a trial in a search) gets its weights trimmed beforehand and its blobs around it, and runs in onnxruntime.
    Layers between work on codes where that is exact (`Op.forward_codes`), else on real numbers.
    """

    name = "integer"

    def plan(self) -> Sequence[Step]:
        """Integer steps, trimming steps and float segments."""
        pieces = [piece for layer in self.net if not layer.op.is_data for piece in self._lower(layer)]
        return segment(self.net, pieces, self.shapes, self.keep, join_without_macs=False)

    def _lower(self, layer: Layer) -> Sequence[Piece]:
        quant = layer.quant
        if quant is None:
            return [layer]
        if runs_in_integers(quant):
            bottom = self.net.bottom_shapes(layer, self.shapes)[0]
            return [IntegerMacStep(layer, bottom, self.rounding)]
        blobs = tuple(quant.params.trim(blob, self.rounding) for blob in layer.blobs) if quant.params else layer.blobs
        pieces: list[Piece] = [replace(layer, quant=None, blobs=blobs)]
        if quant.layer_in:
            pieces.insert(0, TrimStep(layer.name, layer.bottoms[0], quant.layer_in, self.rounding, is_top=False))
        if quant.layer_out:
            pieces.append(TrimStep(layer.name, layer.tops[0], quant.layer_out, self.rounding, is_top=True))
        return pieces


@dataclass(frozen=True, eq=False)
class TrimStep:
    """Trims a blob in place, into codes where they are narrow enough."""

    layer: str
    blob: str
    fmt: Format
    rounding: Rounding
    is_top: bool

    def run(self, state: State) -> None:
        """Trim the blob."""
        value = trimmed(state.blobs[self.blob], self.fmt, self.rounding)
        if self.is_top:
            state.store(self.layer, (self.blob,), (value,))
        else:
            state.blobs[self.blob] = value
