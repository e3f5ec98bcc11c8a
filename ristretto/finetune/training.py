"""Training: a net whose shadow weights are updated batch by batch, while it computes with trimmed ones."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ristretto.errors import ModelError, TrainingError
from ristretto.finetune.graph import Activations, Graph
from ristretto.finetune.policies import current_step, learning_rate, policy_of
from ristretto.finetune.radix_points import RadixPoints
from ristretto.finetune.shadow import Shadow
from ristretto.finetune.teacher import Teacher
from ristretto.finetune.updates import Trained, rule_of
from ristretto.net import Net, Scheme, Shape, Solver
from ristretto.net.op import Array

FROZEN = 0.25
"""The last part of a training, as a share, in which radix points stay: weights settle on the grids that are kept."""
ADVICE = "lower base_lr, or set clip_gradients, and go on from a snapshot that scored well"
"""What to do when numbers have become too large."""


@dataclass(frozen=True)
class Choices:
    """What a user may choose beside the solver.

    Parameters
    ----------
    activations : Activations
        Whether layers' inputs and outputs are trimmed while training.
    rounding : Scheme or None
        How weights are rounded; None for what each layer's ``rounding_scheme`` says.
    learn_fl : bool
        Whether radix points are trained, too.
    distill : float
        The share of the loss, 0 to 1, that is the distance from the float net's outputs.
    temperature : float
        Of that distance.
    seed : int
        Of all that is random.
    """

    activations: Activations = Activations.TRIM
    rounding: Scheme | None = None
    learn_fl: bool = False
    distill: float = 0.0
    temperature: float = 1.0
    seed: int = 0


class Training:
    """A training at some point between its start and its end.

    Parameters
    ----------
    net : Net
        Of the TRAIN phase, with the weights to start from; quantized or not.
    inputs : mapping of str to shape
        The shapes of the data layers' tops for one batch.
    solver : Solver
    choices : Choices
    teacher : Net or None
        The net with the float weights to be learned from, of the TRAIN phase; needed where ``distill`` is above 0.
    device : torch.device or str

    Raises
    ------
    ModelError
        When the net has no loss or cannot be trained, or the solver's type and policy lack something.
    """

    def __init__(
        self,
        net: Net,
        inputs: Mapping[str, Shape],
        solver: Solver,
        choices: Choices = Choices(),
        *,
        teacher: Net | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        policy_of(solver)
        # What is distilled has a loss of its own, whatever weight the net gives to it.
        if not choices.distill and not any(layer.adds_to_loss for layer in net):
            raise ModelError(f"net '{net.name}' has no loss in the TRAIN phase", hint="add a loss layer")
        self.net, self.solver, self.choices = net, solver, choices
        self.iteration = 0
        self.losses: deque[float] = deque(maxlen=solver.average_loss)
        self.radix_points = RadixPoints(net).to(torch.device(device)) if choices.learn_fl else None
        self.graph = Graph(
            net,
            inputs,
            activations=choices.activations,
            rounding=choices.rounding,
            learned=self.radix_points.places if self.radix_points else None,
            seed=choices.seed,
            device=device,
        )
        self.shadow = Shadow(net, device=device)
        layers = {layer.name: layer for layer in net}
        trained = [
            Trained(
                tensor,
                layers[name].param(blob).lr_mult if tensor.requires_grad else 0.0,
                layers[name].param(blob).decay_mult,
            )
            for (name, blob), tensor in self.shadow.distinct()
        ]
        self.updater = rule_of(solver)(solver, trained)
        self.teacher = None
        if choices.distill:
            assert teacher is not None, "what is to be learned from"
            self.teacher = Teacher(teacher, inputs, temperature=choices.temperature, device=device)

    @property
    def rate(self) -> float:
        """The learning rate of the next update."""
        return learning_rate(self.solver, self.iteration)

    @property
    def smoothed(self) -> float:
        """The mean loss of the last updates, as many as the solver's ``average_loss``."""
        return sum(self.losses) / max(len(self.losses), 1)

    @property
    def current_step(self) -> int:
        """How many steps the learning rate has taken, as a solverstate has it."""
        return current_step(self.solver, self.iteration)

    def update(self, batches: Iterable[Mapping[str, Array]]) -> float:
        """Update the weights once.

        Parameters
        ----------
        batches : iterable of batches
            As many as the solver's ``iter_size``, each the data layers' tops by blob name; one is held at a time.

        Returns
        -------
        float
            The loss, averaged over the batches.

        Raises
        ------
        TrainingError
            When the loss is NaN or infinite; the weights are as they were before.
        FormatError
            When the gradient of a radix point is; so are they then.
        """
        size, total = self.solver.iter_size, 0.0
        for at, batch in zip(range(size), batches, strict=True):
            loss = self._loss(batch, self.iteration * size + at)
            # It has none where every lr_mult is 0: BatchNorm's sums are all that changes then.
            if loss.requires_grad:
                loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        total /= size
        if not np.isfinite(total):
            raise TrainingError(
                f"the loss is {total} at iteration {self.iteration}, with a learning rate of {self.rate:g}",
                hint=ADVICE,
            )
        if self.radix_points:
            # First, as it may refuse: the weights have not moved then.
            if self.iteration < (1 - FROZEN) * self.solver.max_iter:
                self.radix_points.step(self.iteration)
            else:
                self.radix_points.drop_gradients()
        self.updater.step(self.iteration)
        self.iteration += 1
        self.losses.append(total)
        return total

    def _loss(self, batch: Mapping[str, Array], count: int) -> torch.Tensor:
        share = self.choices.distill
        found = self.graph(self.shadow, batch, count)
        if not self.teacher:
            return found.loss
        distance = self.teacher.loss(found.blobs, self.teacher.outputs(batch))
        # A loss that does not count may have no labels to speak of, and be NaN.
        return distance if share == 1 else (1 - share) * found.loss + share * distance

    def trained(self, net: Net) -> Net:
        """Give a net of any phase, or of all, the present weights and formats.

        Raises
        ------
        TrainingError
            As `check`.
        """
        self.check()
        net = self.shadow.blobs(net)
        return self.radix_points.applied(net) if self.radix_points else net

    def check(self) -> None:
        """Make sure that the weights are numbers still: the last update may have gone too far for a loss to tell.

        Raises
        ------
        TrainingError
            When one is NaN or infinite.
        """
        for (layer, _), tensor in self.shadow.distinct():
            if not bool(torch.isfinite(tensor).all()):
                raise TrainingError(
                    f"weights of layer '{layer}' are NaN or infinite after {self.iteration} updates", hint=ADVICE
                )

    @property
    def history(self) -> list[NDArray[np.float32]]:
        """What the update rule keeps, as a solverstate has it."""
        return self.updater.history

    def restore(
        self,
        iteration: int,
        history: Sequence[NDArray[np.float32]],
        radix_points: Mapping[str, NDArray[np.float64]] | None = None,
    ) -> None:
        """Go on from a snapshot, whose weights this training was made with.

        Parameters
        ----------
        iteration : int
        history : sequence of arrays
        radix_points : mapping of str to array, or None
            See `RadixPoints.state`; needed where they are learned.

        Raises
        ------
        ModelError
            When the snapshot is of another net, solver or set of options.
        """
        self.updater.restore(history)
        if self.radix_points:
            self.radix_points.restore(radix_points or {})
        self.iteration = iteration


@contextmanager
def reproducible(threads: int, device: str = "cpu") -> Iterator[None]:
    """Have torch give the same numbers in every run on one machine, on so many threads.

    The number of threads is part of the order in which torch adds up: another one gives other last bits. On a GPU some
    operations have no order of their own; torch warns of those, where on a CPU it would refuse them.
    """
    threads_before = torch.get_num_threads()
    before, warned = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    # torch has no types for it.
    settings: Any = torch.utils.deterministic
    filled = settings.fill_uninitialized_memory
    on_gpu = device != "cpu"
    if on_gpu:
        # cuBLAS reads it when it is first used, and is refused by torch without it.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=on_gpu)
    # It takes a tenth of a training to fill memory that is written before it is read.
    settings.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        torch.use_deterministic_algorithms(before, warn_only=warned)
        settings.fill_uninitialized_memory = filled
