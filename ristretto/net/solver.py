"""Solver: how a net is trained, as a solver's prototxt says it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from ristretto.net.phase import NetState, Phase


class SnapshotFormat(Enum):
    """How snapshots are written; the value is Caffe's name."""

    BINARYPROTO = "BINARYPROTO"
    HDF5 = "HDF5"

    @property
    def ending(self) -> str:
        """What Caffe puts behind ``.caffemodel`` and ``.solverstate``, and tells the form by."""
        return ".h5" if self is SnapshotFormat.HDF5 else ""


@dataclass(frozen=True)
class NetTest:
    """A net that is scored now and then while another is trained.

    Parameters
    ----------
    net : str
        Its prototxt, as the solver names it.
    iterations : int
        Batches.
    state : NetState
        What its layers are chosen for.
    """

    net: str
    iterations: int
    state: NetState = field(default=NetState(Phase.TEST))


@dataclass(frozen=True)
class Solver:
    """A solver's settings. Names and defaults are Caffe's, but for those of the nets.

    Real numbers are those of float32, in which Caffe keeps them. `ristretto.caffe.solver_file.read_solver` makes sure
    that each makes sense alone; policies and update rules say what they need beside that.

    Parameters
    ----------
    train_net : str
        The prototxt of the net to be trained, as the solver names it (``net`` or ``train_net``).
    base_lr : float
        Learning rate that the policy starts from.
    lr_policy : str
        How the rate changes; one of `ristretto.finetune.policies.POLICIES`.
    max_iter : int
        Updates of the weights, those before a snapshot included.
    train_state : NetState
        What the layers of the trained net are chosen for.
    tests : tuple of NetTest
        The nets to be scored, in Caffe's order: those of ``test_net``, then ``net`` for each ``test_iter`` left.
    test_interval : int
        Updates from one scoring to the next; 0 for none.
    test_initialization : bool
        Whether to score before the first update.
    test_compute_loss : bool
        Whether a scoring also gives the loss.
    type : str
        Update rule; one of `ristretto.finetune.updates.RULES`.
    gamma, power : float
        Of the policy.
    stepsize : int
        Updates; of the policy.
    stepvalues : tuple of int
        Updates after which the policy ``multistep`` takes a step.
    momentum, momentum2, rms_decay, delta : float
        Of the update rule.
    weight_decay : float
        Share of a weight (L2), or of its sign (L1), that is added to its gradient.
    regularization_type : str
        ``L2`` or ``L1``.
    clip_gradients : float
        The greatest length of all gradients together, as one vector; below 0 for no limit.
    iter_size : int
        Batches whose gradients are averaged for one update.
    average_loss : int
        Updates whose losses are averaged for the display.
    display : int
        Updates from one line of the log to the next; 0 for none.
    snapshot : int
        Updates from one snapshot to the next; 0 for none.
    snapshot_prefix : str
        Path and first part of the name of snapshots; as in Caffe, the solver's own where it gives none or a folder.
    snapshot_format : SnapshotFormat
    snapshot_after_train : bool
        Whether to write one at the end.
    random_seed : int
        Below 0 for another one in each run.
    weights : tuple of str
        Caffemodels to start from.
    solver_mode : str
        ``CPU`` or ``GPU``.
    device_id : int
        Which GPU.
    path : Path
        The solver's file.
    notes : tuple of str
        What the user should know: fields that nothing here reads.
    """

    train_net: str
    base_lr: float
    lr_policy: str
    max_iter: int
    train_state: NetState = field(default=NetState(Phase.TRAIN))
    tests: tuple[NetTest, ...] = ()
    test_interval: int = 0
    test_initialization: bool = True
    test_compute_loss: bool = False
    type: str = "SGD"
    gamma: float = 0.0
    power: float = 0.0
    stepsize: int = 0
    stepvalues: tuple[int, ...] = ()
    momentum: float = 0.0
    momentum2: float = 0.999
    rms_decay: float = 0.99
    delta: float = 1e-8
    weight_decay: float = 0.0
    regularization_type: str = "L2"
    clip_gradients: float = -1.0
    iter_size: int = 1
    average_loss: int = 1
    display: int = 0
    snapshot: int = 0
    snapshot_prefix: str = "snapshot"
    snapshot_format: SnapshotFormat = SnapshotFormat.BINARYPROTO
    snapshot_after_train: bool = True
    random_seed: int = -1
    weights: tuple[str, ...] = ()
    solver_mode: str = "GPU"
    device_id: int = 0
    path: Path = Path()
    notes: tuple[str, ...] = ()

    def snapshot_names(self, iteration: int) -> tuple[str, str]:
        """Give the files of the snapshot after so many updates, as Caffe names them: weights, then state.

        Examples
        --------
        >>> Solver("net.prototxt", 0.1, "fixed", 9, snapshot_prefix="out/lenet").snapshot_names(5)
        ('out/lenet_iter_5.caffemodel', 'out/lenet_iter_5.solverstate')
        """
        start, ending = f"{self.snapshot_prefix}_iter_{iteration}", self.snapshot_format.ending
        return f"{start}.caffemodel{ending}", f"{start}.solverstate{ending}"
