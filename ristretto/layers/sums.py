"""Sums of products in float32, in the order in which the original's CPU build adds them."""

from __future__ import annotations

from typing import cast

import numpy as np

from ristretto.net.op import Array

BLOCK = 320
"""Terms that the fork's BLAS (OpenBLAS on a processor with AVX2) adds up before it adds the block to the result."""
SMALL = 100**3
"""Up to so many products, OpenBLAS multiplies two matrices without blocks."""


def blocks(terms: int) -> list[slice]:
    """Give the blocks of a sum: whole ones while two are left, then two halves of the rest.

    Examples
    --------
    >>> [b.stop - b.start for b in blocks(800)]
    [320, 240, 240]
    >>> [b.stop - b.start for b in blocks(300)]
    [300]
    """
    cuts, start = [], 0
    while start < terms:
        rest = terms - start
        size = BLOCK if rest >= 2 * BLOCK else rest if rest <= BLOCK else -(-rest // 2)
        cuts.append(slice(start, start + size))
        start += size
    return cuts


def matmul(a: Array, b: Array) -> Array:
    """Multiply matrices; float32 ones block by block, as the fork's CPU build does.

    With it, every blob of the fork's nets in float32 comes out bit for bit, where numpy's BLAS adds up a block term by
    term with fused multiplications, as OpenBLAS does on processors with AVX-512 (``tests/execute/test_golden.py``).
    In float64 the sums are exact wherever it matters, and their order makes no difference.

    Parameters
    ----------
    a, b : float arrays (..., m, k) and (..., k, n)

    Returns
    -------
    float array (..., m, n)
    """
    products = a.shape[-2] * a.shape[-1] * b.shape[-1]
    cuts = blocks(a.shape[-1]) if a.dtype == np.float32 and products > SMALL else []
    if len(cuts) < 2:
        return cast(Array, np.matmul(a, b))
    total = cast(Array, np.matmul(a[..., cuts[0]], b[..., cuts[0], :]))
    for cut in cuts[1:]:
        total += np.matmul(a[..., cut], b[..., cut, :])
    return total
