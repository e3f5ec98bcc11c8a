"""Powers, as the C library computes them."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from ristretto.kernels.jit import kernel


@kernel
def power(x: NDArray[Any], out: NDArray[Any], exponent: float) -> None:
    """Raise positive numbers to a power; 1-D arrays of one length and type.

    In float32 this calls the C library's ``powf``, as Caffe does. It is no correct rounding: one result in 4,000 of the
    fork's CIFAR-10 net is off by the last bit, and a net trimmed behind it sees that bit. numpy's own float32 power
    differs in one of 14, and from one processor to the next.
    """
    e = x.dtype.type(exponent)
    for i in range(x.size):
        out[i] = x[i] ** e
