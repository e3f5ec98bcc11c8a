"""Where training runs: the CPU, or a GPU."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ristretto.errors import TrainingError
from ristretto.net import Solver

AUTO, CPU, CUDA = "auto", "cpu", "cuda"


def choose_device(name: str, solver: Solver, note: Callable[[str], None]) -> str:
    """Give torch's name of a device.

    Parameters
    ----------
    name : str
        "auto", "cpu" or "cuda"; the first takes the GPU where the solver asks for it and torch finds one.
    solver : Solver
        Its ``solver_mode`` and ``device_id``.
    note : callable
        Told where the solver asks for what is not there.

    Raises
    ------
    TrainingError
        When there is no GPU, and it was asked for by name.
    """
    wanted, there = name == CUDA or (name == AUTO and solver.solver_mode == "GPU"), torch.cuda.is_available()
    if wanted and not there:
        if name == CUDA:
            raise TrainingError("torch finds no GPU", hint="leave out --device, or take --device cpu")
        note("the solver asks for a GPU, and torch finds none: this runs on the CPU")
    return f"cuda:{solver.device_id}" if wanted and there else CPU
