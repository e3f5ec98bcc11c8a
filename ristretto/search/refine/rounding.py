"""Learned rounding: the codes of a layer's weights that make on condensed inputs what float weights made on float ones.

AdaRound (Nagel and others, 2020) found that rounding each weight to the nearest code is far from best, and learns which
way each goes by what the layer then computes. Here the same error, the mean square of a layer's output, is brought down
by moving one code at a time; it knows the weights by the second moments of the inputs alone, as GPTQ does (Frantar and
others, 2022). The bias is one more weight, whose input is 1.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ristretto.formats import FixedPoint
from ristretto.formats.fixed_point import MAX_FRACTION
from ristretto.kernels.descent import descend, multiply
from ristretto.search.refine.moments import Moments

SWEEPS = 30
"""Most weights stand still after ten."""
WORK = 2e10
"""Multiplications that a layer's descent may take; a very large layer is swept fewer times, at least once."""
PULLS = (0.01, 0.03, 0.1, 0.3, 1.0)
"""How strongly weights are drawn to what they were, as a share of an input's mean power: few pictures say little."""
TRIED_ROWS = 64
"""Outputs of a layer on which that is tried."""
NEIGHBOURS = (0, 1, -1, 2)
"""Fractional lengths that are tried beside the one chosen for nearest rounding."""

Float64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Problem:
    """The rounding of one group of outputs.

    Parameters
    ----------
    weights : float64 array (rows, n + 1), real units
        Bias last.
    moments : Moments
        Of this group, without the axis of groups.
    """

    weights: Float64
    moments: Moments

    def target(self, follow: float) -> Float64:
        """Give the moments of the wanted output with the inputs, (rows, n + 1).

        Parameters
        ----------
        follow : float
            1 when the output of the float net is wanted; 0 when what the float weights make of condensed inputs is.
        """
        blend = follow * self.moments.cross + (1 - follow) * self.moments.inner
        result = np.zeros_like(self.weights)
        multiply(np.ascontiguousarray(self.weights), np.ascontiguousarray(blend), result)
        return result

    def error(self, weights: Float64, target: Float64) -> float:
        """Give the squared error of an output, but for what no weight changes."""
        product = np.zeros_like(weights)
        multiply(weights, np.ascontiguousarray(self.moments.inner), product)
        return float(((product - 2 * target) * weights).sum())

    def some(self, groups: int) -> Problem:
        """Give the problem of some outputs, on which choices are tried; of fewer where there are more groups."""
        most = TRIED_ROWS // groups + 1
        chosen = np.unique(np.linspace(0, len(self.weights) - 1, most).astype(np.int64))
        return Problem(self.weights[chosen], self.moments)


@dataclass(frozen=True)
class Pull:
    """How a layer's codes are sought.

    Parameters
    ----------
    strength : float
        See `PULLS`.
    follow : float
        See `Problem.target`.
    """

    strength: float
    follow: float


def choose_pull(fitted: list[Problem], held: list[Problem], fmt: FixedPoint) -> Pull:
    """Give the pull under which the codes found on some windows do best on others: cross-validation."""

    def loss(pull: Pull) -> float:
        total = 0.0
        for group, other in zip(fitted, held, strict=True):
            few, rest = group.some(len(fitted)), other.some(len(fitted))
            total += rest.error(solve(few, fmt, pull)[0], rest.target(1.0))
        return total

    return min((Pull(strength, follow) for follow in (1.0, 0.0) for strength in PULLS), key=loss)


def solve(problem: Problem, fmt: FixedPoint, pull: Pull, threads: int = 1) -> tuple[Float64, float]:
    """Find codes for a group.

    Parameters
    ----------
    problem : Problem
    fmt : FixedPoint
    pull : Pull
    threads : int
        Rows side by side; the codes do not depend on it.

    Returns
    -------
    float64 array (rows, n + 1), float
        Weights on the format's grid, in real units; and their error, pull included, to compare formats by.
    """
    hessian, target = problem.moments.inner.copy(), problem.target(pull.follow)
    draw = pull.strength * np.diagonal(hessian).mean()
    hessian[np.diag_indices(len(hessian))] += draw
    target += draw * problem.weights
    step = 2.0**-fmt.fl
    codes = fmt.encode(problem.weights.astype(np.float32)).astype(np.float64)
    slope = np.zeros_like(codes)
    multiply(codes, -hessian * step, slope)
    slope += target
    slope /= step
    rows, size = codes.shape
    sweeps = max(1, min(SWEEPS, int(WORK / (rows * size * size))))
    ends = -(2.0 ** (fmt.bw - 1)), 2.0 ** (fmt.bw - 1) - 1
    parts = np.array_split(np.arange(rows), threads)
    with ThreadPoolExecutor(threads) as pool:
        pieces = [slice(part[0], part[-1] + 1) for part in parts if len(part)]
        list(pool.map(lambda piece: descend(codes[piece], hessian, slope[piece], *ends, sweeps), pieces))
    weights = codes * step
    return weights, Problem(problem.weights, Moments(hessian, hessian)).error(weights, target)


def learn(
    problems: list[Problem], held: list[Problem], fmt: FixedPoint, threads: int
) -> tuple[FixedPoint, list[Float64]]:
    """Find the codes of a layer, and the radix point with which they do best.

    Parameters
    ----------
    problems : list of Problem
        One for each group, on some windows.
    held : list of Problem
        The same on others.
    fmt : FixedPoint
        The format for nearest rounding.
    threads : int

    Returns
    -------
    FixedPoint, list of float64 arrays (rows, n + 1)
        Of the same width; weights on its grid, in real units.
    """
    pull = choose_pull(problems, held, fmt)
    whole = [Problem(p.weights, p.moments + h.moments) for p, h in zip(problems, held, strict=True)]
    few = [problem.some(len(whole)) for problem in whole]
    formats = [FixedPoint(fmt.bw, max(-MAX_FRACTION, min(fmt.fl + d, MAX_FRACTION))) for d in NEIGHBOURS]
    best = min(formats, key=lambda tried: sum(solve(problem, tried, pull, threads)[1] for problem in few))
    return best, [solve(problem, best, pull, threads)[0] for problem in whole]
