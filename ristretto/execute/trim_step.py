"""Trimming a blob in place, in real units or into codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ristretto.errors import in_layer
from ristretto.execute.values import Coded, State, Value, real
from ristretto.formats import Arithmetic, FixedPoint, Format
from ristretto.kernels.trim import requantize
from ristretto.net import Layer

WIDEST_CODE = 16
"""Blobs of up to this many bits stay codes between layers; wider ones go on as float32, as in the fork."""
LONGEST_LEFT, LONGEST_RIGHT = 32, 62
"""The kernels' longest shifts, bits. A longer one to the left only saturates, one to the right only gives zero."""

Trim = Callable[[Value, Format, Arithmetic], Value]


def kernel_shift(bits: int) -> int:
    """Give the shift that the kernels can do for one of any length; positive to the right, bits."""
    return max(-LONGEST_LEFT, min(bits, LONGEST_RIGHT))


def in_real_units(value: Value, fmt: Format, arithmetic: Arithmetic) -> Value:
    """Trim a value to real numbers."""
    return fmt.trim(real(value), arithmetic)


def in_codes(value: Value, fmt: Format, arithmetic: Arithmetic) -> Value:
    """Trim a value: codes are shifted to the new grid, real numbers encoded; wide formats stay real."""
    if not isinstance(fmt, FixedPoint) or fmt.bw > WIDEST_CODE:
        return fmt.trim(real(value), arithmetic)
    if not isinstance(value, Coded):
        return Coded(fmt.encode(value, arithmetic), fmt)
    if value.fmt == fmt:
        return value
    codes = np.empty(value.codes.shape, fmt.code_type)
    shift, half_even = kernel_shift(value.fmt.fl - fmt.fl), arithmetic.half_even
    requantize(np.ravel(value.codes), codes.reshape(-1), shift, fmt.low_code, fmt.high_code, half_even)
    return Coded(codes, fmt)


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
        values = [real(state.blobs[blob]) for blob in layer.bottoms]
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
    trim : callable
        `in_real_units` or `in_codes`.
    is_top : bool
        Whether the blob is that layer's first top, so that a value kept of it is the trimmed one.
    """

    layer: str
    blob: str
    fmt: Format
    arithmetic: Arithmetic
    trim: Trim
    is_top: bool = False

    def run(self, state: State) -> None:
        """Trim the blob.

        Raises
        ------
        ModelError
            When a number is NaN and the format has codes only.
        """
        with in_layer(self.layer, f"blob '{self.blob}'"):
            value = self.trim(state.blobs[self.blob], self.fmt, self.arithmetic)
        if self.is_top:
            state.store(self.layer, (self.blob,), (value,))
        else:
            state.blobs[self.blob] = value
