"""What a worker does: it runs a prepared net on a shard, some consecutive batches."""

from __future__ import annotations

import hashlib
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

from ristretto.cluster.program import difference
from ristretto.data.source import Batch
from ristretto.errors import ClusterError, RistrettoError
from ristretto.execute import Executor, Scores, score
from ristretto.formats import Arithmetic
from ristretto.net import Net, Shape
from ristretto.search import Marks

PREPARED = 2
"""Nets that a worker holds ready: the one in work, and the one before it while its last shards run."""

_ready: OrderedDict[str, Executor] = OrderedDict()
_lock = Lock()


@dataclass(frozen=True, eq=False)
class Parcel:
    """A net on its way to workers.

    Parameters
    ----------
    key : str
        Tells it from others.
    content : bytes
        What `packed` made of the net.
    program : mapping of str to str
        The sender's `cluster.program.program`.
    """

    key: str
    content: bytes
    program: Mapping[str, str]

    def __sizeof__(self) -> int:
        # From this distributed reckons where it may go.
        return len(self.content)


@dataclass(frozen=True, eq=False)
class Marked:
    """What came of a shard.

    Parameters
    ----------
    marks : Marks or None
        On its batches, up to the first that cannot be run; None where that is the first one.
    error : RistrettoError or None
        What is wrong with that one. It is a result: a second attempt would fail, too.
    """

    marks: Marks | None
    error: RistrettoError | None = None


@dataclass(frozen=True, eq=False)
class Load:
    """Batches on their way to a worker."""

    batches: tuple[Batch, ...]

    @property
    def nbytes(self) -> int:
        """What their arrays take."""
        return sum(array.nbytes for batch in self.batches for array in batch.values())

    def __sizeof__(self) -> int:
        # From this distributed reckons where they may go.
        return self.nbytes


def packed(
    kind: type[Executor],
    net: Net,
    shapes: Mapping[str, Shape],
    arithmetic: Arithmetic,
    program: Mapping[str, str],
) -> Parcel:
    """Pack a net with all that its executor needs; parameters as in `Executor`."""
    content = pickle.dumps((kind, net, dict(shapes), arithmetic), protocol=5)
    return Parcel(hashlib.sha256(content).hexdigest(), content, program)


def mark_shard(parcel: Parcel, blob: str, load: Load, wanted: slice) -> Marked:
    """Score a net on a shard, in one thread.

    Parameters
    ----------
    parcel : Parcel
    blob : str
        The output blob that is the score.
    load : Load
    wanted : slice
        Which of its batches the shard is; at least one.
    """
    found: list[Scores] = []

    def note(scores: Scores) -> bool:
        found[:] = [scores]
        return False

    error = None
    try:
        score(_prepared(parcel), load.batches[wanted], enough=note)
    except RistrettoError as raised:
        error = raised
    return Marked(Marks.of(found[0], blob) if found else None, error)


def _prepared(parcel: Parcel) -> Executor:
    """Give a net's executor; a worker makes it once, whatever number of threads it has."""
    if differs := difference(parcel.program):
        # This is the worker: what came from elsewhere is what it should be.
        raise ClusterError(
            f"a worker runs another program than its client, which has {differs}",
            hint="install on every machine what is installed here",
        )
    with _lock:
        if parcel.key not in _ready:
            kind, net, shapes, arithmetic = pickle.loads(parcel.content)
            _ready[parcel.key] = kind(net, shapes, arithmetic=arithmetic)
        _ready.move_to_end(parcel.key)
        while len(_ready) > PREPARED:
            _ready.popitem(last=False)
        return _ready[parcel.key]
