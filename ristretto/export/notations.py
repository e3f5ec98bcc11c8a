"""Other notations for a fixed-point format: both Q notations, and Xilinx's ap_fixed."""

from __future__ import annotations

from ristretto.formats import Arithmetic, FixedPoint

AP_ROUNDING = {False: "AP_RND_INF", True: "AP_RND_CONV"}
"""What Vitis HLS calls rounding to the nearest, by whether halves go to the even code and not away from zero."""


def q_arm(fmt: FixedPoint) -> str:
    """Give ARM's ``Qm.n``: m counts the sign bit, ``m + n`` is the word width.

    Examples
    --------
    >>> q_arm(FixedPoint(bw=8, fl=5)), q_arm(FixedPoint(bw=8, fl=10))
    ('Q3.5', 'Q-2.10')
    """
    return f"Q{fmt.il}.{fmt.fl}"


def q_ti(fmt: FixedPoint) -> str:
    """Give Texas Instruments' ``Qm.n``: m does not count the sign bit, ``1 + m + n`` is the word width.

    Examples
    --------
    >>> q_ti(FixedPoint(bw=16, fl=15)), q_ti(FixedPoint(bw=8, fl=5))
    ('Q0.15', 'Q2.5')
    """
    return f"Q{fmt.il - 1}.{fmt.fl}"


def ap_fixed(fmt: FixedPoint, arithmetic: Arithmetic) -> str:
    """Give the type of Vitis HLS that rounds and saturates alike: ``ap_fixed<W, I, Q, O>`` (Xilinx UG1399).

    W is the word width; I, which counts the sign bit, may be negative or greater than W.

    Examples
    --------
    >>> from ristretto.formats import EXACT
    >>> ap_fixed(FixedPoint(bw=8, fl=5), EXACT)
    'ap_fixed<8, 3, AP_RND_INF, AP_SAT>'
    """
    return f"ap_fixed<{fmt.bw}, {fmt.il}, {AP_ROUNDING[arithmetic.half_even]}, AP_SAT>"
