"""Integers as C writes them."""

from __future__ import annotations

LEAST_INT64 = -(1 << 63)


def literal(number: int, bits: int, *, signed: bool = True) -> str:
    """Give a number as a constant of C99 that may stand anywhere.

    Parameters
    ----------
    number : int
    bits : int
        Of the type that it is for. Plain constants are long enough for up to 32.
    signed : bool
        Whether that type has a sign.

    Examples
    --------
    >>> literal(-128, 8), literal(-(1 << 63), 64), literal(7, 64, signed=False)
    ('-128', '(-INT64_C(9223372036854775807) - 1)', 'UINT64_C(7)')
    """
    if bits <= 32:
        return str(number)
    if not signed:
        return f"UINT64_C({number})"
    # C has no negative constants: what the sign stands before must itself be one.
    return f"INT64_C({number})" if number > LEAST_INT64 else f"(-INT64_C({-number - 1}) - 1)"
