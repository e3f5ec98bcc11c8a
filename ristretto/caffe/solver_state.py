"""Solverstates: where a training stands, beside its weights, so that it can go on from there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ristretto.caffe.binary_file import HDF5, SIGNATURES, is_text, map_file
from ristretto.caffe.blob import DAMAGED, Blob, number, read_blob, write_blob
from ristretto.caffe.caffemodel import CAFFE_LIMIT
from ristretto.caffe.wire import (
    LENGTH,
    VARINT,
    Field,
    Piece,
    Span,
    WireError,
    fields,
    length_field,
    signed,
    varint_field,
)
from ristretto.errors import CaffemodelError, ModelError
from ristretto.net import SnapshotFormat

ITER, LEARNED_NET, HISTORY, CURRENT_STEP = (
    number("SolverState", name) for name in ("iter", "learned_net", "history", "current_step")
)
WIRES = {ITER: VARINT, LEARNED_NET: LENGTH, HISTORY: LENGTH, CURRENT_STEP: VARINT}
"""The wire type of each field."""

WANTED = "give the .solverstate of a snapshot"


@dataclass(frozen=True, eq=False)
class SolverState:
    """What a solverstate holds.

    Parameters
    ----------
    iteration : int
        Updates of the weights so far.
    learned_net : str
        The caffemodel of the same snapshot; a path as it was written, empty for none.
    history : tuple of float32 arrays
        What the update rule keeps of earlier gradients, in Caffe's order (see `ristretto.finetune.updates`).
    current_step : int
        Steps that the learning rate has taken, of the policies ``step`` and ``multistep``.
    """

    iteration: int
    learned_net: str = ""
    history: tuple[Blob, ...] = ()
    current_step: int = 0


def read_state(path: str | Path) -> SolverState:
    """Read a solverstate, binary or HDF5; the content says which.

    Parameters
    ----------
    path : path
        The file. But for HDF5 the arrays are read-only views of it, so it must not be changed in place while they are
        in use; to put another file under its name does no harm.

    Returns
    -------
    SolverState
        All numbers in it are finite.

    Raises
    ------
    CaffemodelError
        When the file is missing, truncated, corrupt or of another kind, or when a number is NaN or infinite.
    """
    try:
        data = map_file(path)
    except CaffemodelError as error:
        raise CaffemodelError(error.message, hint=WANTED) from error
    if bytes(data[: len(HDF5)]) == HDF5:
        from ristretto.caffe.hdf5_state import read_hdf5_state  # h5py takes long to load

        return read_hdf5_state(path)
    _refuse_other_kinds(path, data)
    try:
        return _read(data)
    except WireError as error:
        raise CaffemodelError(f"{path} is truncated or corrupt: {error}", hint=DAMAGED) from error
    except CaffemodelError as error:
        raise CaffemodelError(f"{error.message} in {path}", hint=error.hint) from error


def _refuse_other_kinds(path: str | Path, data: memoryview) -> None:
    first = bytes(data[:64])
    if is_text(data):
        raise CaffemodelError(f"{path} is no solverstate but a text file", hint=WANTED)
    for signature, (kind, hint) in SIGNATURES.items():
        if first.startswith(signature) and first[0] != ITER << 3 | VARINT:
            raise CaffemodelError(f"{path} is no solverstate but {kind}", hint=hint)
    if first[0] == number("NetParameter", "name") << 3 | LENGTH:
        raise CaffemodelError(f"{path} is no solverstate but a caffemodel", hint=WANTED)


def _read(data: memoryview) -> SolverState:
    numbers: dict[int, int] = {}
    learned_net, spans = "", []
    for field in fields(data, 0, len(data)):
        if field.number not in WIRES:
            continue
        if field.wire != WIRES[field.number]:
            raise CaffemodelError("a field of another kind than a solverstate's", hint=f"{WANTED}; is it a mean file?")
        if field.wire == VARINT:
            numbers[field.number] = _count(field)
        elif field.number == LEARNED_NET:
            learned_net = str(data[field.start : field.end], "utf-8", "surrogateescape")
        else:
            spans.append(field.span)
    if ITER not in numbers:
        raise CaffemodelError("no number of iterations", hint=WANTED)
    history = tuple(_read_history(data, span, index) for index, span in enumerate(spans))
    return SolverState(numbers[ITER], learned_net, history, numbers.get(CURRENT_STEP, 0))


def _count(field: Field) -> int:
    value = signed(field.value, 32)
    if value < 0:
        raise CaffemodelError(f"a count of {value}", hint=DAMAGED)
    return value


def _read_history(data: memoryview, span: Span, index: int) -> Blob:
    try:
        return read_blob(data, span)
    except CaffemodelError as error:
        raise CaffemodelError(f"history blob {index} {error.message}", hint=error.hint) from error


def encode_state(state: SolverState, form: SnapshotFormat = SnapshotFormat.BINARYPROTO) -> bytes:
    """Give the bytes of a solverstate, the same ones for the same state.

    Parameters
    ----------
    state : SolverState
    form : SnapshotFormat
        Caffe reads a file as HDF5 when its name ends in ``.h5``.

    Returns
    -------
    bytes

    Raises
    ------
    ModelError
        When the file would be longer than Caffe can read.
    """
    return ENCODERS[form](state)


def _encode_binary(state: SolverState) -> bytes:
    if (size := sum(blob.nbytes for blob in state.history)) > CAFFE_LIMIT:
        raise ModelError(f"{size} bytes of history are too many for a solverstate", hint="use snapshot_format: HDF5")
    pieces: list[Piece] = [varint_field(ITER, state.iteration)]
    if state.learned_net:
        pieces += length_field(LEARNED_NET, [state.learned_net.encode("utf-8", "surrogateescape")])
    for blob in state.history:
        pieces += length_field(HISTORY, write_blob(blob))
    pieces.append(varint_field(CURRENT_STEP, state.current_step))
    return b"".join(pieces)


def _encode_hdf5(state: SolverState) -> bytes:
    from ristretto.caffe.hdf5_state import encode_hdf5_state  # h5py takes long to load

    return encode_hdf5_state(state)


ENCODERS: dict[SnapshotFormat, Callable[[SolverState], bytes]] = {
    SnapshotFormat.BINARYPROTO: _encode_binary,
    SnapshotFormat.HDF5: _encode_hdf5,
}
