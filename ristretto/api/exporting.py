"""The verb `export`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ristretto.api.feeding import open_test, refuse_alone
from ristretto.api.hardware_wish import HardwareWish
from ristretto.api.loading import ModelSource, WeightsSource, chosen, load, pass_on, undeclared_shapes
from ristretto.api.watch import Silent, Watcher
from ristretto.data import AS_WRITTEN, BatchSource, Feed, Preparation
from ristretto.errors import DataError, RistrettoError
from ristretto.export import EXPORTERS, Exported, Subject
from ristretto.formats import EXACT, Arithmetic
from ristretto.net import Net, Phase
from ristretto.net.op import Array
from ristretto.passes import OnlyFed


def export(
    model: ModelSource,
    weights: WeightsSource,
    kind: str,
    *,
    golden: int = 0,
    data: Feed | None = None,
    preparation: Preparation = AS_WRITTEN,
    arithmetic: Arithmetic = EXACT,
    strict_hardware: bool = False,
    batch: int | None = None,
    watcher: Watcher | None = None,
) -> Exported:
    """Give a net as files that other tools read.

    Parameters
    ----------
    model, weights : path, or Model and Net
        Prototxt, quantized or not, and caffemodel: files, or what `load` gives.
    kind : str
        One of ``ristretto.export.EXPORTERS``.
    golden : int
        Of how many pictures golden vectors are wanted: the first ones of the TEST data.
    data : path, arrays or None
        What feeds the net in place of the data that its prototxt names; `ristretto.data.feed` says what it may be.
    preparation : Preparation
        What is done to the pictures of `data` instead of what the prototxt says.
    arithmetic : Arithmetic
        Where halves go.
    strict_hardware : bool
        Whether it is an error when anything in the net needs more than integers and shifts.
    batch : int or None
        How many pictures an ONNX model takes at once; None leaves it open where the net and the format allow it.
    watcher : Watcher or None
        Told of what is worth a note.

    Returns
    -------
    Exported

    Raises
    ------
    HardwareError
        When `strict_hardware`, and shifts do not do.
    RistrettoError
        Whatever is wrong with the files, the data or the options.
    """
    watcher = watcher or Silent()
    exporter = chosen("format", kind, EXPORTERS)()
    if batch is not None and not exporter.takes_batch:
        raise RistrettoError(f"{kind} takes no number of pictures", hint="leave out --batch: only ONNX models have one")
    if golden and exporter.single_file:
        raise RistrettoError(f"{kind} has no place for golden vectors", hint="export them with --format integers")
    read, whole = load(model, weights)
    pass_on(read, watcher)
    net = whole.for_phase(Phase.TEST)
    source: BatchSource | None = None
    if golden or data is not None:
        fed = without_scores(net) if golden else whole
        net, source = open_test(read, fed, watcher, data=data, preparation=preparation, with_score=not golden)
    else:
        refuse_alone(preparation)
    shapes = undeclared_shapes(read, net, Phase.TEST) if source is None else source.shapes
    HardwareWish(strict=strict_hardware).check_net(net, shapes, arithmetic)
    subject = Subject(net, shapes, arithmetic=arithmetic, batch=batch)
    if source is None or not golden:
        return exporter.export(subject)
    pictures = first_pictures(source, golden)
    with watcher.stage("golden vectors", golden) as advance:
        return exporter.export(replace(subject, pictures=pictures, advance=advance))


def without_scores(net: Net) -> Net:
    """Give a net without what no quantized layer depends on and the data need not hold: labels, scores, losses."""
    needed: set[str] = set()
    for layer in reversed(net.layers):
        if layer.quant is not None or needed.intersection(layer.tops):
            needed.update(layer.bottoms)
    given = frozenset(top for layer in net.data_layers for top in layer.tops if top in needed)
    return OnlyFed(given)(net) if given else net


def first_pictures(source: BatchSource, count: int) -> Mapping[str, Array]:
    """Give the first pictures of a source, from as many batches as that takes.

    Raises
    ------
    DataError
        When it is not said how many, or when the net's blobs do not all hold as many, so that none can be left out.
    """
    if count < 1:
        raise DataError(f"golden vectors of {count} pictures", hint="one picture is the least")
    sizes = {shape[0] if shape else 0 for shape in source.shapes.values()}
    (size, *others) = sizes
    if others or not size:
        raise DataError("the data give blobs of different lengths, which are not pictures")
    batches = list(source.batches(-(-count // size)))
    return {blob: np.concatenate([batch[blob] for batch in batches])[:count] for blob in source.shapes}
