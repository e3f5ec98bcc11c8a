"""Which numbers exist: a format is a value, and a file of this package."""

from ristretto.formats.base import EMULATIONS, EXACT, HALF_EVEN, Arithmetic, Format
from ristretto.formats.fixed_point import FixedPoint
from ristretto.formats.minifloat import MiniFloat
from ristretto.formats.power_of_two import PowerOfTwo

FORMATS: tuple[type[Format], ...] = (FixedPoint, MiniFloat, PowerOfTwo)
"""Every number format; readers, documentation and tests iterate over this."""

__all__ = [
    "EMULATIONS",
    "EXACT",
    "FORMATS",
    "HALF_EVEN",
    "Arithmetic",
    "FixedPoint",
    "Format",
    "MiniFloat",
    "PowerOfTwo",
]
