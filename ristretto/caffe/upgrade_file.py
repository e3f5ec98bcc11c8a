"""A file of any older format, in today's; its kind is told from its content."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ristretto.caffe.binary_file import HDF5, is_text, map_file
from ristretto.caffe.printer import print_message
from ristretto.caffe.prototxt import UTF_16, encode, parse, read_text, scan
from ristretto.caffe.upgrade import Change, upgrade_net, upgrade_solver
from ristretto.caffe.upgrade_weights import packed_weights, upgrade_caffemodel
from ristretto.caffe.wire import Piece
from ristretto.errors import ModelError

PRINTED = "comments and spacing of the file are not kept"


@dataclass(frozen=True, eq=False)
class UpgradedFile:
    """A file in today's format.

    Parameters
    ----------
    kind : str
        ``prototxt``, ``solver`` or ``caffemodel``.
    version : str
        The source's: ``V0``, ``V1``, ``V2``, which is today's, or ``HDF5``.
    pieces : tuple of bytes or memoryview
        The content, in stretches; the source's own bytes when nothing changed.
    changes : tuple of Change
        What was upgraded; empty when there was nothing to upgrade.
    notes : tuple of str
        What the user should know: what the source says and the result does not.
    """

    kind: str
    version: str
    pieces: tuple[Piece, ...]
    changes: tuple[Change, ...]
    notes: tuple[str, ...]


def upgrade_file(path: str | Path) -> UpgradedFile:
    """Upgrade a net's prototxt, a solver's, a caffemodel, or weights in HDF5.

    Parameters
    ----------
    path : path
        The file; it is only read.

    Raises
    ------
    PrototxtError, CaffemodelError
        When the file is missing, damaged, or of another kind.
    ModelError
        When the net makes no sense.
    """
    data = map_file(path)
    if bytes(data[: len(HDF5)]) == HDF5:
        from ristretto.caffe.hdf5_weights import read_hdf5  # h5py takes longer to load than most weights

        weights = packed_weights(read_hdf5(path), path)
    elif is_text(data) or bytes(data[:2]) in UTF_16:
        return _upgrade_text(path)
    else:
        weights = upgrade_caffemodel(path)
    notes = tuple(f"left out: {what}" for what in weights.left_out)
    return UpgradedFile("caffemodel", weights.version, weights.pieces, weights.changes, notes)


def _upgrade_text(path: str | Path) -> UpgradedFile:
    where, text = str(path), read_text(path)
    prototxt = scan(text, where)
    net = parse(text, where)
    if net.layer or net.layers:
        upgraded = upgrade_net(net, where)
        kind, version, message = "prototxt", upgraded.version, upgraded.message
        changes, left_out = upgraded.changes, upgraded.left_out
    elif prototxt.is_solver:
        kind, version, left_out = "solver", "V2", ()
        prototxt = scan(text, where, "SolverParameter")
        message, changes = upgrade_solver(parse(text, where, "SolverParameter"), where)
    else:
        raise ModelError(f"{path} has no layers", hint="give a net, a solver or a caffemodel")
    if not changes:
        return UpgradedFile(kind, version, (encode(text),), (), ())
    notes = [PRINTED, *(f"left out: {what}" for what in left_out)]
    notes += [
        f"left out: field '{item.name}' on line {item.line}, which Caffe's schema lacks"
        + (f"; {item.count} times in all" if item.count > 1 else "")
        for item in prototxt.unknown
    ]
    return UpgradedFile(kind, version, (encode(print_message(message)),), changes, tuple(notes))
