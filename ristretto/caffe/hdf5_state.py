"""Solverstates in HDF5, as Caffe writes them: ``iter``, ``learned_net``, ``current_step``, ``history/<number>``."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from ristretto.caffe.blob import DAMAGED
from ristretto.caffe.hdf5_file import encoded, member, opened, read_dataset, write_dataset
from ristretto.caffe.solver_state import SolverState
from ristretto.errors import CaffemodelError

LARGEST_COUNT = (1 << 31) - 1
"""Of the kind of number that Caffe counts iterations in."""

LONGEST_NAME = 1 << 16
"""Bytes of a path; far beyond what a system takes."""


def read_hdf5_state(path: str | Path) -> SolverState:
    """Read a solverstate in HDF5.

    Parameters
    ----------
    path : path
        The file. It is opened read-only, and no link out of it is followed.

    Raises
    ------
    CaffemodelError
        When the file is missing, damaged, or holds something else, or when a number is NaN or infinite.
    """
    try:
        with opened(path) as file:
            history = member(file, "history")
            if not isinstance(history, h5py.Group):
                what = "a caffemodel" if "data" in file else "without the group '/history'"
                raise CaffemodelError(f"{path} is an HDF5 file {what}", hint="give the .solverstate.h5")
            blobs = []
            for index in range(len(history)):
                if not isinstance(dataset := member(history, str(index)), h5py.Dataset):
                    raise CaffemodelError(f"history blob {index} is missing", hint=DAMAGED)
                blobs.append(read_dataset(dataset, f"history blob {index}"))
            learned_net = _text(file, "learned_net") if "learned_net" in file else ""
            return SolverState(_count(file, "iter"), learned_net, tuple(blobs), _count(file, "current_step"))
    except CaffemodelError as error:
        if error.message.startswith(str(path)):
            raise
        raise CaffemodelError(f"{error.message} in {path}", hint=error.hint) from error


def _count(file: h5py.File, name: str) -> int:
    dataset = member(file, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "iu" or dataset.shape not in ((), (1,)):
        raise CaffemodelError(f"'/{name}' is no whole number", hint=DAMAGED)
    value = int(np.asarray(dataset[()]).item())
    if not 0 <= value <= LARGEST_COUNT:
        raise CaffemodelError(f"'/{name}' is {value}", hint=DAMAGED)
    return value


def _text(file: h5py.File, name: str) -> str:
    dataset = member(file, name)
    # A fixed length; of a text without one, which Caffe neither writes nor reads, the dtype is that of an object.
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != "S" or dataset.shape != ():
        raise CaffemodelError(f"'/{name}' is no text", hint=DAMAGED)
    if dataset.dtype.itemsize > LONGEST_NAME:
        raise CaffemodelError(f"'/{name}' has {dataset.dtype.itemsize} bytes", hint=DAMAGED)
    # What lies behind the first zero is no part of a text in C.
    return bytes(dataset[()]).partition(b"\0")[0].decode("utf-8", "surrogateescape")


def encode_hdf5_state(state: SolverState) -> bytes:
    """Give the bytes of a ``.solverstate.h5``, the same ones for the same state."""

    def fill(file: h5py.File) -> None:
        file["iter"] = np.array([state.iteration], np.int32)
        if state.learned_net:
            name = state.learned_net.encode("utf-8", "surrogateescape")
            # Caffe reads it as a text in C, up to a zero: there must be room for one.
            file["learned_net"] = np.array(name, f"S{len(name) + 1}")
        file["current_step"] = np.array([state.current_step], np.int32)
        group = file.create_group("history")
        for index, blob in enumerate(state.history):
            write_dataset(group, str(index), blob)

    return encoded(fill)
