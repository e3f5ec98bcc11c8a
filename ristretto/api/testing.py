"""The verb `test`."""

from __future__ import annotations

from ristretto.api.feeding import open_test
from ristretto.api.loading import ModelSource, WeightsSource, chosen, load, pass_on
from ristretto.api.watch import Silent, Watcher
from ristretto.data import AS_WRITTEN, Feed, Preparation
from ristretto.execute import EXECUTORS, Scores, default_threads, score
from ristretto.formats import EXACT, Arithmetic


def test(
    model: ModelSource,
    weights: WeightsSource,
    *,
    data: Feed | None = None,
    preparation: Preparation = AS_WRITTEN,
    iterations: int = 50,
    executor: str = "integer",
    arithmetic: Arithmetic = EXACT,
    threads: int | None = None,
    watcher: Watcher | None = None,
) -> Scores:
    """Score a net on its TEST data.

    Parameters
    ----------
    model, weights : path, or Model and Net
        Prototxt, quantized or not, and caffemodel: files, or what `load` gives.
    data : path, arrays or None
        What feeds the net in place of the data that its prototxt names; `ristretto.data.feed` says what it may be.
    preparation : Preparation
        What is done to the pictures of `data` instead of what the prototxt says.
    iterations : int
        TEST batches.
    executor : str
        One of ``ristretto.execute.EXECUTORS``.
    arithmetic : Arithmetic
        How numbers are trimmed: where halves go, and which of the original's defects are repeated.
    threads : int or None
        By default one for each core; the result does not depend on it.
    watcher : Watcher or None
        Told of progress.

    Returns
    -------
    Scores
        The mean of every output blob.

    Raises
    ------
    RistrettoError
        Whatever is wrong with the files, the data or the options.
    """
    watcher, threads = watcher or Silent(), threads or default_threads()
    kind = chosen("executor", executor, EXECUTORS)
    read, whole = load(model, weights)
    pass_on(read, watcher)
    net, source = open_test(read, whole, watcher, data=data, preparation=preparation)
    prepared = kind(net, source.shapes, arithmetic=arithmetic)
    with watcher.stage("scoring", iterations) as advance:
        return score(prepared, source.batches(iterations), threads=threads, progress=advance)
