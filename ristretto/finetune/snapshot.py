"""Snapshots: files that a training goes on from exactly, of which Caffe reads two."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ristretto.caffe.caffemodel import encode_weights
from ristretto.caffe.hdf5_weights import encode_hdf5
from ristretto.caffe.solver_state import SolverState, encode_state, read_state
from ristretto.errors import DataError, TrainingError
from ristretto.finetune.training import ADVICE, Training
from ristretto.net import SnapshotFormat
from ristretto.outputs import Outputs

STATE = ".solverstate"
RADIX_POINTS = ".radix_points.npz"
"""What stands in the place of ``.solverstate`` in the name of the third file: radix points that are being learned,
which a solverstate has no room for."""

ENCODERS = {SnapshotFormat.BINARYPROTO: encode_weights, SnapshotFormat.HDF5: encode_hdf5}


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Where a training was stopped.

    Parameters
    ----------
    path : Path
        The solverstate's file.
    weights : Path
        The caffemodel.
    state : SolverState
    radix_points : mapping of str to array, or None
        See `RadixPoints.state`.
    """

    path: Path
    weights: Path
    state: SolverState
    radix_points: Mapping[str, NDArray[np.float64]] | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """What belongs to it, whether or not there are radix points."""
        return self.path, self.weights, Path(radix_points_of(str(self.path)))


def write_snapshot(training: Training, inputs: Sequence[str | Path] = ()) -> tuple[str, ...]:
    """Write the snapshot of a training, as the solver names it: all of its files, or none.

    Parameters
    ----------
    training : Training
    inputs : sequence of paths
        What must not be overwritten.

    Returns
    -------
    tuple of str
        The files: caffemodel, solverstate, and the radix points where they are learned.

    Raises
    ------
    OutputError
        When they cannot be written.
    TrainingError
        When there is something in it that is no number: nobody could go on from there.
    """
    training.check()
    history = tuple(training.history)
    if not all(np.isfinite(array).all() for array in history):
        raise TrainingError(f"gradients have become too large after {training.iteration} updates", hint=ADVICE)
    solver, points = training.solver, training.radix_points
    weights, state = solver.snapshot_names(training.iteration)
    third = radix_points_of(state)
    # They appear in this order: what is gone on from comes last, when all else is there.
    with Outputs([*([third] if points else []), weights, state], inputs) as outputs:
        encoded = ENCODERS[solver.snapshot_format](training.shadow.blobs(training.net))
        outputs.write(weights, encoded)
        stands = SolverState(training.iteration, weights, history, training.current_step)
        outputs.write(state, encode_state(stands, solver.snapshot_format))
        if points:
            file = BytesIO()
            arrays: dict[str, Any] = dict(points.state())
            np.savez(file, **arrays)
            outputs.write(third, file.getvalue())
        else:
            # Those of an earlier training of this name would be taken for this one's.
            Path(third).unlink(missing_ok=True)
    return (weights, state, third) if points else (weights, state)


def read_snapshot(path: str | Path) -> Snapshot:
    """Read a snapshot by the name of its solverstate.

    The caffemodel is looked for beside the solverstate, and then where that says: both may have been moved together,
    and another training may have written one of the same name since.

    Raises
    ------
    CaffemodelError
        When the solverstate is missing, damaged or of another kind.
    DataError
        When another file of the snapshot is missing or damaged.
    """
    state = read_state(path)
    said = Path(state.learned_net)
    places = [Path(path).with_name(said.name), said] if said.name else []
    # In place of Path.is_file, which raises an error where a name is too long.
    weights = next((place for place in places if os.path.isfile(place)), None)
    if weights is None:
        raise DataError(
            f"{path} names the weights '{state.learned_net}', which are not there",
            hint="keep the files of a snapshot together",
        )
    points = Path(radix_points_of(str(path)))
    return Snapshot(Path(path), weights, state, _read_radix_points(points) if points.is_file() else None)


def restore(training: Training, snapshot: Snapshot) -> None:
    """Have a training go on from a snapshot, whose weights it was made with.

    Raises
    ------
    TrainingError
        When the snapshot has no radix points, and the training learns them, or the other way round.
    ModelError
        When it is of another net or solver.
    """
    if bool(snapshot.radix_points) != bool(training.radix_points):
        has, lacks = ("was", "leaves them") if snapshot.radix_points else ("was not", "learns them")
        raise TrainingError(
            f"the snapshot {has} made with radix points that are learned, and this training {lacks}",
            hint="take --learn_fl as it was then",
        )
    training.restore(snapshot.state.iteration, snapshot.state.history, snapshot.radix_points)


def radix_points_of(state: str) -> str:
    """Give the name of the radix points' file beside a solverstate.

    Examples
    --------
    >>> radix_points_of("out/net_iter_5.solverstate.h5")
    'out/net_iter_5.radix_points.npz'
    """
    start, mark, _ = state.rpartition(STATE)
    return (start if mark else state) + RADIX_POINTS


def _read_radix_points(path: Path) -> dict[str, NDArray[np.float64]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: np.asarray(file[name], np.float64) for name in file.files}
    except (OSError, ValueError, BadZipFile) as error:
        raise DataError(f"{path} is damaged: {error}", hint="go on from another snapshot") from error
