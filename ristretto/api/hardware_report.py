"""The verb `hardware`."""

from __future__ import annotations

from ristretto.api.feeding import open_test
from ristretto.api.loading import ModelSource, WeightsSource, load, pass_on
from ristretto.api.watch import Silent, Watcher
from ristretto.data import AS_WRITTEN, Feed, Preparation
from ristretto.execute import default_threads
from ristretto.formats import EXACT, Arithmetic
from ristretto.hardware.observe import ObservingExecutor, observe
from ristretto.hardware.obstacle import refuse_obstacles
from ristretto.hardware.realisability import Realisability, needs

OBSERVED_BATCHES = 10
"""TEST batches that are run, as many as ranges are measured on."""


def hardware(
    model: ModelSource,
    weights: WeightsSource,
    *,
    data: Feed | None = None,
    preparation: Preparation = AS_WRITTEN,
    iterations: int = OBSERVED_BATCHES,
    strict_hardware: bool = False,
    arithmetic: Arithmetic = EXACT,
    threads: int | None = None,
    watcher: Watcher | None = None,
) -> Realisability:
    """Say what a quantized net asks of hardware: words, accumulators, shifts, memory.

    Parameters
    ----------
    model, weights : path, or Model and Net
        Prototxt, quantized, and caffemodel: files, or what `load` gives.
    data : path, arrays or None
        What feeds the net in place of the data that its prototxt names; `ristretto.data.feed` says what it may be.
    preparation : Preparation
        What is done to the pictures of `data` instead of what the prototxt says.
    iterations : int
        TEST batches that are run to see which codes and totals occur.
    strict_hardware : bool
        Whether anything that needs more than shifts is an error.
    arithmetic : Arithmetic
        Where halves go.
    threads : int or None
        By default one for each core; the result does not depend on it.
    watcher : Watcher or None
        Told of progress.

    Returns
    -------
    Realisability

    Raises
    ------
    HardwareError
        When `strict_hardware`, and shifts do not do.
    RistrettoError
        Whatever is wrong with the files, the data or the options.
    """
    watcher, threads = watcher or Silent(), threads or default_threads()
    read, whole = load(model, weights)
    pass_on(read, watcher)
    net, source = open_test(read, whole, watcher, data=data, preparation=preparation)
    executor = ObservingExecutor(net, source.shapes, arithmetic=arithmetic)
    if strict_hardware:
        refuse_obstacles(executor.path.obstacles)
    with watcher.stage("observing totals", iterations) as advance:
        observed = observe(executor, source.batches(iterations), threads, advance)
    pictures = iterations * next((shape[0] for shape in source.shapes.values() if shape), 1)
    return needs(executor.path, observed, batches=iterations, pictures=pictures, source=", ".join(source.names))
