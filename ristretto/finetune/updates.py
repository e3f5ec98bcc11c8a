"""Update rules: from gradients to weights, as Caffe's solvers do it.

The formulas and the order of operations are those of Caffe's CPU code (``src/caffe/solvers``), in float32. Each product
and each sum is rounded by itself, as BLAS did it before fused multiply-add: so numbers do not depend on the processor,
nor on a weight's place in its blob.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ristretto.errors import ModelError
from ristretto.finetune.policies import learning_rate
from ristretto.net import Solver
from ristretto.net.net import squeeze


@dataclass(frozen=True, eq=False)
class Trained:
    """A weight blob that is trained, or kept as it is.

    Parameters
    ----------
    tensor : float32 tensor
        The weights, changed in place; a leaf, whose ``grad`` is the sum over `iter_size` batches.
    lr_mult, decay_mult : float
        Factors of learning rate and weight decay. A blob with an `lr_mult` of 0 has no gradient, as in Caffe, but a
        history all the same.
    """

    tensor: Tensor
    lr_mult: float = 1.0
    decay_mult: float = 1.0


class Updater(ABC):
    """Updates weights by one rule.

    Parameters
    ----------
    solver : Solver
    parameters : sequence of Trained
        In Caffe's order: that of the layers in the net, then of their blobs; those that layers share once, where the
        first of them stands.
    """

    type: ClassVar[str]
    """Caffe's name of the rule."""
    takes_momentum: ClassVar[bool] = True
    """Whether a solver with `momentum` may have the rule."""
    histories: ClassVar[int] = 1
    """How many arrays it keeps for each blob."""

    def __init__(self, solver: Solver, parameters: Sequence[Trained]) -> None:
        self._solver = solver
        self._parameters = tuple(parameters)
        self._histories = tuple(
            tuple(torch.zeros_like(each.tensor, requires_grad=False) for _ in range(self.histories))
            for each in self._parameters
        )

    @torch.no_grad()
    def step(self, iteration: int) -> None:
        """Update all weights by their gradients, which are used up: each ``grad`` is None behind it.

        Parameters
        ----------
        iteration : int
            How many updates were made before.

        Raises
        ------
        ModelError
            When the policy has no rate for it (see `learning_rate`); nothing has changed then.
        """
        rate = learning_rate(self._solver, iteration)
        gradients = [self._gradient(each) for each in self._parameters]
        self._clip(gradients)
        for each, gradient, history in zip(self._parameters, gradients, self._histories, strict=True):
            if self._solver.iter_size > 1:
                gradient *= single(1 / self._solver.iter_size)
            self._regularize(each, gradient)
            each.tensor.sub_(self.update(gradient, history, single(rate * single(each.lr_mult)), iteration))

    @abstractmethod
    def update(self, gradient: Tensor, history: Sequence[Tensor], rate: float, iteration: int) -> Tensor:
        """Give what a blob's weights lose.

        Parameters
        ----------
        gradient : float32 tensor
            May be changed.
        history : sequence of float32 tensors
            As many as `histories`; changed in place.
        rate : float
            The blob's own learning rate.
        iteration : int
            How many updates were made before.
        """

    @property
    def history(self) -> list[NDArray[np.float32]]:
        """What the rule keeps, in the order of a solverstate: the first array of each blob, then the second of each."""
        return [
            arrays[index].detach().cpu().numpy().copy() for index in range(self.histories) for arrays in self._histories
        ]

    def restore(self, history: Sequence[NDArray[np.float32]]) -> None:
        """Take up what `history` gave.

        Raises
        ------
        ModelError
            When it is not of this rule and these weights.
        """
        targets = [arrays[index] for index in range(self.histories) for arrays in self._histories]
        if len(history) != len(targets):
            raise ModelError(
                f"the solverstate has {len(history)} history blobs where {self.type} needs {len(targets)}",
                hint="it belongs to another net, or to another type of solver",
            )
        for index, (target, array) in enumerate(zip(targets, history, strict=True)):
            if squeeze(tuple(target.shape)) != squeeze(array.shape):
                raise ModelError(
                    f"history blob {index} of the solverstate has shape {array.shape}, not {tuple(target.shape)}",
                    hint="it belongs to another net",
                )
        with torch.no_grad():
            for target, array in zip(targets, history, strict=True):
                # A copy: what was read from a file is read-only, and need not be aligned.
                target.copy_(torch.from_numpy(np.array(array, np.float32).reshape(target.shape)))

    @staticmethod
    def _gradient(each: Trained) -> Tensor:
        """Take a blob's gradient away from it; zeros where it has none."""
        gradient, each.tensor.grad = each.tensor.grad, None
        return torch.zeros_like(each.tensor) if gradient is None or each.lr_mult == 0 else gradient

    def _clip(self, gradients: Sequence[Tensor]) -> None:
        """Shorten the gradients, sums over `iter_size` batches still, to a common length of `clip_gradients`."""
        limit = single(self._solver.clip_gradients)
        if limit < 0:
            return
        # Summed in double precision: the order of a sum, which depends on the number of threads, is not seen then.
        squares = sum(float(torch.linalg.vector_norm(each, dtype=torch.float64)) ** 2 for each in gradients)
        length = single(math.sqrt(squares))
        if length > limit:
            for gradient in gradients:
                gradient *= single(limit / length)

    def _regularize(self, each: Trained, gradient: Tensor) -> None:
        decay = single(single(self._solver.weight_decay) * single(each.decay_mult))
        if decay:
            weights = each.tensor.sign() if self._solver.regularization_type == "L1" else each.tensor
            gradient += weights * decay


def single(value: float) -> float:
    """Round a number to float32."""
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def _blend(kept: Tensor, share: float, new: Tensor, factor: float) -> Tensor:
    """Give ``share * kept + factor * new``, in the place of `kept`."""
    kept *= share
    kept += new * factor
    return kept


def _root(squares: Tensor) -> Tensor:
    """Give the square root, rounded rightly."""
    # torch's own of float32 may be off by one bit (634 of 100,003 numbers, measured on a CPU), elsewhere by other ones.
    return squares.double().sqrt().to(squares.dtype)


class SGD(Updater):
    """Stochastic gradient descent with momentum: ``h = m h + r g``; the weights lose ``h``."""

    type = "SGD"

    def update(self, gradient: Tensor, history: Sequence[Tensor], rate: float, iteration: int) -> Tensor:
        """Give the new momentum."""
        return _blend(history[0], single(self._solver.momentum), gradient, rate)


class Nesterov(Updater):
    """Nesterov's accelerated gradient: ``h' = m h + r g``; the weights lose ``(1 + m) h' - m h``."""

    type = "Nesterov"

    def update(self, gradient: Tensor, history: Sequence[Tensor], rate: float, iteration: int) -> Tensor:
        """Give the new momentum, and a part of what it has changed by."""
        momentum = single(self._solver.momentum)
        before = history[0].clone()
        after = _blend(history[0], momentum, gradient, rate)
        return _blend(before, -momentum, after, single(1 + momentum))


class AdaGrad(Updater):
    """Gradients by the root of all their squares: ``h = h + g²``; the weights lose ``r g / (√h + δ)``."""

    type = "AdaGrad"
    takes_momentum = False

    def update(self, gradient: Tensor, history: Sequence[Tensor], rate: float, iteration: int) -> Tensor:
        """Give the gradient over the root of the sum of its squares."""
        squares = history[0]
        squares += gradient * gradient
        return gradient / (_root(squares) + single(self._solver.delta)) * rate


class RMSProp(Updater):
    """Gradients by the root of their mean square: ``h = d h + (1 - d) g²``; the weights lose ``r g / (√h + δ)``."""

    type = "RMSProp"
    takes_momentum = False

    def update(self, gradient: Tensor, history: Sequence[Tensor], rate: float, iteration: int) -> Tensor:
        """Give the gradient over its running root mean square."""
        decay = single(self._solver.rms_decay)
        squares = _blend(history[0], decay, gradient * gradient, single(1 - decay))
        return gradient / (_root(squares) + single(self._solver.delta)) * rate


class AdaDelta(Updater):
    """Gradients in the measure of earlier updates.

    ``h = m h + (1 - m) g²``, ``u = g √((k + δ) / (h + δ))``, ``k = m k + (1 - m) u²``; the weights lose ``r u``.
    """

    type = "AdaDelta"
    histories = 2

    def update(self, gradient: Tensor, history: Sequence[Tensor], rate: float, iteration: int) -> Tensor:
        """Give the gradient times the quotient of two running root mean squares."""
        squares, updates = history
        momentum, delta = single(self._solver.momentum), single(self._solver.delta)
        _blend(squares, momentum, gradient * gradient, single(1 - momentum))
        scaled = gradient * _root((updates + delta) / (squares + delta))
        _blend(updates, momentum, scaled * scaled, single(1 - momentum))
        return scaled * rate


class Adam(Updater):
    """Adaptive moments (Kingma and Ba, 2015), with ``t`` the updates made, this one included.

    ``h = m h + (1 - m) g``, ``k = n k + (1 - n) g²``; the weights lose ``r √(1 - nᵗ) / (1 - mᵗ) · h / (√k + δ)``.
    """

    type = "Adam"
    histories = 2

    def update(self, gradient: Tensor, history: Sequence[Tensor], rate: float, iteration: int) -> Tensor:
        """Give the running mean over the running root mean square, both corrected for their start at 0."""
        mean, squares = history
        momentum, momentum2 = single(self._solver.momentum), single(self._solver.momentum2)
        count = iteration + 1
        correction = single(math.sqrt(1 - momentum2**count) / (1 - momentum**count))
        _blend(mean, momentum, gradient, single(1 - momentum))
        _blend(squares, momentum2, gradient * gradient, single(1 - momentum2))
        return mean / (_root(squares) + single(self._solver.delta)) * single(rate * correction)


RULES: tuple[type[Updater], ...] = (SGD, Nesterov, AdaGrad, RMSProp, AdaDelta, Adam)
"""Every update rule."""


def rule_of(solver: Solver) -> type[Updater]:
    """Give a solver's update rule.

    Raises
    ------
    ModelError
        When there is none of that type, or the solver asks for what it cannot do.
    """
    for rule in RULES:
        if rule.type != solver.type:
            continue
        if solver.momentum and not rule.takes_momentum:
            raise ModelError(f"{rule.type} takes no momentum", hint="take momentum out of the solver")
        return rule
    raise ModelError(f"unknown type '{solver.type}'", hint=f"known: {', '.join(rule.type for rule in RULES)}")
