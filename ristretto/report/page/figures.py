"""Numbers as a page shows them."""

from __future__ import annotations

import math

MINUS, NONE = "\u2212", "\u2013"
PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
SIZES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def count(number: float | None) -> str:
    """Give a count in three digits or a few more, with a prefix where it is large.

    Examples
    --------
    >>> [count(number) for number in (0, 520, 25050, 2_293_000)]
    ['0', '520', '25.1 k', '2.29 M']
    """
    if number is None:
        return NONE
    if number < 0:
        return f"{MINUS}{count(-number)}"
    for size, prefix in PREFIXES:
        # What would be shown as 1000 of the smaller prefix is 1 of this one.
        if number >= 0.9995 * size:
            return f"{_three(number / size)} {prefix}"
    return _three(number)


def size(bits: float | None) -> str:
    """Give an amount of memory in bytes.

    Examples
    --------
    >>> [size(bits) for bits in (80, 913_300, 13_794_560)]
    ['10 B', '111 KiB', '1.64 MiB']
    """
    if bits is None:
        return NONE
    for unit, name in SIZES:
        if bits / 8 >= 0.9995 * unit:
            return f"{_three(bits / 8 / unit)} {name}"
    return f"{math.ceil(bits / 8)} B"


def real(number: float) -> str:
    """Give a number in real units in three digits.

    Examples
    --------
    >>> [real(number) for number in (0.0, -0.5262237, 27.184, 0.00001234, 123456.0)] == [
    ...     "0", MINUS + "0.526", "27.2", "1.23e" + MINUS + "5", "1.23e5"]
    True
    """
    magnitude = abs(number)
    if magnitude and not 1e-3 <= magnitude < 1e5:
        mantissa, _, exponent = f"{magnitude:.2e}".partition("e")
        text = f"{mantissa}e{signed(int(exponent))}"
    else:
        text = _three(magnitude)
    return f"{MINUS}{text}" if number < 0 else text


def signed(number: int) -> str:
    """Give a whole number with a minus sign that is as wide as a plus."""
    return f"{MINUS}{-number}" if number < 0 else str(number)


def share(part: float | None) -> str:
    """Give a share in percent; a small one is not told as none.

    Examples
    --------
    >>> [share(part) for part in (0.0, 0.00003, 0.00528, 0.25)]
    ['0 %', '<0.01 %', '0.53 %', '25 %']
    """
    if part is None:
        return NONE
    percent = 100 * part
    if percent and percent < 0.01:
        return "<0.01 %"
    text = f"{percent:.2f}" if percent < 9.995 else f"{percent:.1f}"
    return f"{text.rstrip('0').rstrip('.')} %"


def decibels(ratio: float | None) -> str:
    """Give a ratio in dB; None stands for one without noise."""
    return "exact" if ratio is None else f"{'' if ratio >= 0 else MINUS}{abs(ratio):.1f}"


def score(value: float | None, *, higher_is_better: bool) -> str:
    """Give an accuracy in percent, a loss as it is; None stands for one that is no number."""
    if value is None:
        return "not a number"
    text = f"{abs(100 * value):.2f} %" if higher_is_better else f"{abs(value):.4f}"
    return f"{MINUS if value < 0 else ''}{text}"


def hundredths(change: float) -> str:
    """Give a change of a score in percentage points, or in hundredths of a loss.

    Examples
    --------
    >>> [hundredths(change) for change in (0.0045, -0.015, 0.0)] == ["+0.45", MINUS + "1.50", "0.00"]
    True
    """
    text = f"{abs(100 * change):.2f}"
    return text if float(text) == 0 else f"{'+' if change > 0 else MINUS}{text}"


def _three(number: float) -> str:
    """Give a number of less than 100,000 in three digits, more only before its point."""
    if number == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(number)))
    text = f"{number:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
