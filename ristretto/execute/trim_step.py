"""Trimming a blob in place."""

from __future__ import annotations

from dataclasses import dataclass

from ristretto.errors import in_layer
from ristretto.execute.values import State
from ristretto.formats import Arithmetic, Format
from ristretto.net import Layer


@dataclass(frozen=True, eq=False)
class TrimInsideStep:
    """Runs a layer that trims each number that it computes on the way, and leaves its input blob alone."""

    layer: Layer
    arithmetic: Arithmetic

    def run(self, state: State) -> None:
        """Run the layer in real units."""
        layer = self.layer
        assert layer.quant is not None
        fmt = layer.quant.layer_out
        assert fmt is not None
        values = [state.blobs[blob] for blob in layer.bottoms]
        tops = layer.op.forward_trimmed(values, lambda x: fmt.trim(x, self.arithmetic))
        state.store(layer.name, layer.tops, tops)


@dataclass(frozen=True, eq=False)
class TrimStep:
    """Trims a blob in place: every later reader sees what it leaves.

    Parameters
    ----------
    layer : str
        The layer that asks for it.
    blob : str
    fmt : Format
    arithmetic : Arithmetic
    is_top : bool
        Whether the blob is that layer's first top, so that a value kept of it is the trimmed one.
    """

    layer: str
    blob: str
    fmt: Format
    arithmetic: Arithmetic
    is_top: bool = False

    def run(self, state: State) -> None:
        """Trim the blob.

        Raises
        ------
        ModelError
            When a number is NaN and the format has codes only.
        """
        with in_layer(self.layer, f"blob '{self.blob}'"):
            value = self.fmt.trim(state.blobs[self.blob], self.arithmetic)
        if self.is_top:
            state.store(self.layer, (self.blob,), (value,))
        else:
            state.blobs[self.blob] = value
