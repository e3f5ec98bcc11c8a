"""The constants of powers in float32, as words of binary64."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ristretto.kernels import power
from ristretto.net.op import Array


def numbers_of_powers() -> Mapping[str, Array | int | str]:
    """Give what the program's powers are made of: the tables of `kernels.power`, by the names of the template."""
    return {
        "pieces": power.PIECES,
        "steps": power.STEPS,
        "inverses": _words(power.INVERSES),
        "logarithms": _words(power.LOGARITHMS),
        "powers_of_two": _words(power.POWERS),
        "a": _words([power.A0, power.A1, power.A2, power.A3, power.A4]),
        "c": _words([power.C0, power.C1, power.C2]),
        "shift": _words([power.SHIFT]),
        "least": f"{float(power.LEAST):.0e}",
        "greatest": f"{float(power.GREATEST):.0e}",
        "steepest": f"{power.STEEPEST:g}",
    }


def _words(numbers: Array | list[float]) -> Array:
    return np.asarray(numbers, np.float64).view(np.uint64)
