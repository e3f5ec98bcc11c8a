"""The verb `export`."""

from __future__ import annotations

from ristretto.api.feeding import open_test
from ristretto.api.loading import ModelSource, WeightsSource, chosen, load, pass_on, undeclared_shapes
from ristretto.api.watch import Silent, Watcher
from ristretto.data import AS_WRITTEN, Feed, Preparation
from ristretto.export import EXPORTERS, Exported, Subject
from ristretto.formats import EXACT, Arithmetic
from ristretto.net import Phase


def export(
    model: ModelSource,
    weights: WeightsSource,
    kind: str,
    *,
    golden: bool = False,
    data: Feed | None = None,
    preparation: Preparation = AS_WRITTEN,
    arithmetic: Arithmetic = EXACT,
    watcher: Watcher | None = None,
) -> Exported:
    """Give a net as files that other tools read.

    Parameters
    ----------
    model, weights : path, or Model and Net
        Prototxt, quantized or not, and caffemodel: files, or what `load` gives.
    kind : str
        One of ``ristretto.export.EXPORTERS``.
    golden : bool
        Whether golden vectors are wanted, of the first batch of the TEST data.
    data : path, arrays or None
        What feeds the net in place of the data that its prototxt names; `ristretto.data.feed` says what it may be.
    preparation : Preparation
        What is done to the pictures of `data` instead of what the prototxt says.
    arithmetic : Arithmetic
        Where halves go.
    watcher : Watcher or None
        Told of what is worth a note.

    Returns
    -------
    Exported

    Raises
    ------
    RistrettoError
        Whatever is wrong with the files, the data or the options.
    """
    watcher = watcher or Silent()
    exporter = chosen("format", kind, EXPORTERS)()
    read, whole = load(model, weights)
    pass_on(read, watcher)
    if golden or data is not None:
        net, source = open_test(read, whole, watcher, data=data, preparation=preparation)
        pictures = next(iter(source.batches(1))) if golden else None
        return exporter.export(Subject(net, source.shapes, pictures, arithmetic))
    net = whole.for_phase(Phase.TEST)
    return exporter.export(Subject(net, undeclared_shapes(read, net, Phase.TEST), arithmetic=arithmetic))
