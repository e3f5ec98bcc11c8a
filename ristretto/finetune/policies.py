"""Learning-rate policies: how far a step goes, from the number of updates before it.

The formulas are those of Caffe's ``SGDSolver::GetLearningRate``, without its state: the steps that it counts follow
from the iteration. They are computed in double precision and rounded to float32 once, where Caffe rounds some
intermediate numbers of ``inv``, ``poly`` and ``sigmoid`` too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.net import Solver


def _no_steps(solver: Solver, iteration: int) -> int:
    return 0


@dataclass(frozen=True)
class Policy:
    """A learning-rate policy.

    Parameters
    ----------
    name : str
        Caffe's word for it, in ``lr_policy``.
    needs : tuple of str
        The settings of `Solver` that it works with; each must be above 0, or not empty.
    rate : callable
        Gives the rate at a solver's iteration, counted from 0: that is how many updates were made before.
    step : callable
        Gives how many steps the rate has taken then, where the policy counts them.
    """

    name: str
    needs: tuple[str, ...]
    rate: Callable[[Solver, int], float]
    step: Callable[[Solver, int], int] = _no_steps


def _fixed(solver: Solver, iteration: int) -> float:
    return solver.base_lr


def _steps(solver: Solver, iteration: int) -> int:
    return iteration // solver.stepsize


def _step(solver: Solver, iteration: int) -> float:
    return solver.base_lr * solver.gamma ** _steps(solver, iteration)


def _exp(solver: Solver, iteration: int) -> float:
    return float(solver.base_lr * solver.gamma**iteration)


def _inv(solver: Solver, iteration: int) -> float:
    return float(solver.base_lr * (1 + solver.gamma * iteration) ** -solver.power)


def _multisteps(solver: Solver, iteration: int) -> int:
    """Count steps: each is taken at its value, in the order of the file, and no two in one iteration."""
    taken, last = 0, -1
    for value in solver.stepvalues:
        last = max(value, last + 1)
        if last > iteration:
            break
        taken += 1
    return taken


def _multistep(solver: Solver, iteration: int) -> float:
    return solver.base_lr * solver.gamma ** _multisteps(solver, iteration)


def _poly(solver: Solver, iteration: int) -> float:
    # Nothing is trained at the end and beyond it, where Caffe's formula has no value.
    return float(solver.base_lr * max(1 - iteration / solver.max_iter, 0.0) ** solver.power)


def _sigmoid(solver: Solver, iteration: int) -> float:
    x = solver.gamma * (iteration - solver.stepsize)
    # The same function in two spellings, of which each keeps the exponential small.
    return solver.base_lr * (1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x)))


POLICIES: tuple[Policy, ...] = (
    Policy("fixed", (), _fixed),
    Policy("step", ("gamma", "stepsize"), _step, _steps),
    Policy("exp", ("gamma",), _exp),
    Policy("inv", ("gamma", "power"), _inv),
    Policy("multistep", ("gamma", "stepvalues"), _multistep, _multisteps),
    Policy("poly", ("power", "max_iter"), _poly),
    Policy("sigmoid", ("gamma", "stepsize"), _sigmoid),
)
"""Every policy."""

LARGEST = float(np.finfo(np.float32).max)

FIELDS = {"stepvalues": "stepvalue"}
"""By the name of a setting of `Solver`: the field of a prototxt, where it has another name."""


def policy_of(solver: Solver) -> Policy:
    """Give a solver's policy.

    Raises
    ------
    ModelError
        When there is none of that name, or a setting that it needs is missing.
    """
    for policy in POLICIES:
        if policy.name != solver.lr_policy:
            continue
        for name in policy.needs:
            setting = getattr(solver, name)
            if not setting or (not isinstance(setting, tuple) and setting < 0):
                field = FIELDS.get(name, name)
                raise ModelError(f"lr_policy '{policy.name}' needs {field}", hint=f"give the solver a {field} above 0")
        return policy
    known = ", ".join(policy.name for policy in POLICIES)
    raise ModelError(f"unknown lr_policy '{solver.lr_policy}'", hint=f"known: {known}")


def learning_rate(solver: Solver, iteration: int) -> float:
    """Give the learning rate of an update.

    Parameters
    ----------
    solver : Solver
    iteration : int
        How many updates were made before.

    Returns
    -------
    float
        A number of float32.

    Raises
    ------
    ModelError
        As `policy_of`; also when the rate is beyond float32.

    Examples
    --------
    >>> solver = Solver("net.prototxt", 0.5, "step", 100, gamma=0.5, stepsize=10)
    >>> [learning_rate(solver, iteration) for iteration in (0, 9, 10, 20)]
    [0.5, 0.5, 0.25, 0.125]
    """
    policy = policy_of(solver)
    try:
        rate = policy.rate(solver, iteration)
    except OverflowError:
        rate = math.inf
    if rate > LARGEST:
        raise ModelError(
            f"lr_policy '{policy.name}' has no finite rate at iteration {iteration}", hint="correct gamma and power"
        )
    return float(np.float32(rate))


def current_step(solver: Solver, iteration: int) -> int:
    """Give the steps that the rate has taken once so many updates are made, as a solverstate has them.

    Caffe counts them when it asks for a rate, so those of the update to come are not among them.
    """
    return policy_of(solver).step(solver, iteration - 1) if iteration else 0
