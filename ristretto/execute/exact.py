"""Up to where floats compute with integers as with integers."""

from __future__ import annotations

FLOAT32_BITS, FLOAT64_BITS = 24, 53
"""Of the mantissas, the leading one included."""
EXACT_IN_FLOAT32, EXACT_IN_FLOAT64 = 1 << FLOAT32_BITS, 1 << FLOAT64_BITS
"""Integers up to these sizes, times any power of two, are exact, and so are their sums and products, in any order.

The executors add up products in float64; what lies between layers is in float32.
"""
