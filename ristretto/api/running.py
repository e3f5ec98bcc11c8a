"""The verb `run`."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from ristretto.api.loading import ModelSource, WeightsSource, chosen, load
from ristretto.data.tables import KINDS_OF_NUMBERS
from ristretto.errors import DataError
from ristretto.execute import EXECUTORS, default_threads
from ristretto.formats import EXACT, Arithmetic
from ristretto.net import Net, Phase
from ristretto.net.op import Array
from ristretto.passes import OnlyFed


def run(
    model: ModelSource,
    weights: WeightsSource,
    arrays: Array | Mapping[str, Array],
    *,
    keep: Collection[str] = (),
    executor: str = "integer",
    arithmetic: Arithmetic = EXACT,
    threads: int | None = None,
) -> Mapping[str, NDArray[np.float32]]:
    """Run a net's TEST phase on one batch of arrays.

    Layers that read what is not given are left out: without labels a training net gives its class scores, and neither
    loss nor accuracy.

    Parameters
    ----------
    model, weights : path, or Model and Net
        Prototxt, quantized or not, and caffemodel: files, or what `load` gives.
    arrays : array, or mapping of str to array, real units
        What the net's first layers read, after any transform of the prototxt: pictures as (n, channels, height,
        width), any number of them. An array alone is the first top of the first data layer.
    keep : collection of str
        What is given beside the outputs, as ``LAYER.topK``: the blob right after that layer ran.
    executor : str
        One of ``ristretto.execute.EXECUTORS``.
    arithmetic : Arithmetic
        How numbers are trimmed: where halves go, and which of the original's defects are repeated.
    threads : int or None
        By default one for each core; the result does not depend on it.

    Returns
    -------
    mapping of str to float32 array
        The output blobs, and what is kept, in real units.

    Raises
    ------
    RistrettoError
        Whatever is wrong with the files, the arrays or the options.
    """
    kind = chosen("executor", executor, EXECUTORS)
    _, whole = load(model, weights)
    net = whole.for_phase(Phase.TEST)
    batch = _batch(net, arrays)
    fed = OnlyFed(frozenset(batch))(net)
    if all(layer.op.is_data for layer in fed):
        raise DataError(f"no layer can be run from {' and '.join(map(repr, batch))}", hint=_asked(net))
    shapes = {blob: array.shape for blob, array in batch.items()}
    prepared = kind(fed, shapes, keep=keep, arithmetic=arithmetic, threads=threads or default_threads())
    made = prepared.run(batch)
    return {blob: np.asarray(value, np.float32) for blob, value in {**made.outputs, **made.kept}.items()}


def _batch(net: Net, arrays: Array | Mapping[str, Array]) -> dict[str, NDArray[np.float32]]:
    tops = [top for layer in net.data_layers for top in layer.tops]
    if not tops:
        raise DataError(f"net '{net.name}' has no data layer in TEST that arrays could feed")
    given = arrays if isinstance(arrays, Mapping) else {tops[0]: arrays}
    if unknown := [name for name in given if name not in tops]:
        raise DataError(f"net '{net.name}' reads no blob '{unknown[0]}' from outside", hint=_asked(net))
    batch = {}
    for name, array in given.items():
        try:
            numbers = np.asarray(array)
            if numbers.dtype.kind not in KINDS_OF_NUMBERS:
                raise TypeError(f"it is of the type {numbers.dtype}")
            batch[name] = np.ascontiguousarray(numbers, np.float32)
        except (TypeError, ValueError) as error:
            raise DataError(f"'{name}' is no array of numbers: {error}") from error
    return batch


def _asked(net: Net) -> str:
    tops = ", ".join(top for layer in net.data_layers for top in layer.tops)
    return f"it reads: {tops}"
