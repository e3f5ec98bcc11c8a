"""Which numbers exist: a format is a value, and a file of this package."""

from ristretto.formats.base import Format, Rounding
from ristretto.formats.fixed_point import FixedPoint

FORMATS: tuple[type[Format], ...] = (FixedPoint,)
"""Every number format; readers, documentation and tests iterate over this."""

__all__ = ["FORMATS", "FixedPoint", "Format", "Rounding"]
