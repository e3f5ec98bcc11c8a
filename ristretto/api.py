"""The public verbs: what each sub-command of the command line does, as a function."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ristretto.calibrate import CalibrationStats, calibrate
from ristretto.caffe.reader import Model, load_weights, read_model
from ristretto.caffe.writer import quantized_text
from ristretto.data import BatchSource, CachedSource, open_sources
from ristretto.errors import DataError, SearchError
from ristretto.execute import EXECUTORS, IntegerExecutor, Scores, default_threads, score
from ristretto.formats import Rounding
from ristretto.net import Layer, LayerQuant, Net, NetState, Phase, QuantSpec, Shape
from ristretto.passes import QuantizeLayers
from ristretto.search import PRESETS, Preset, Score, SearchResult, Trial, run_search

CALIBRATION_BATCHES = 10
"""Batches of training data that ranges are measured on, as in the original tool."""
CACHE_BYTES = 1 << 30
"""Decoded batches of up to this size are kept between trials."""


FLOAT = QuantSpec("float", {})
"""No layer quantized: what a search starts from, even when the prototxt is quantized already."""


class Watcher(Protocol):
    """Told how far long work has come; the command line draws a bar."""

    def stage(self, title: str, batches: int) -> AbstractContextManager[Callable[[], None]]:
        """Open a stage of so many batches; gives what is called after each."""

    def note(self, text: str) -> None:
        """Say something that the user should know."""

    def trial(self, trial: Trial) -> None:
        """A trial is done."""


class Silent:
    """Watches without a word."""

    def stage(self, title: str, batches: int) -> AbstractContextManager[Callable[[], None]]:
        """Do nothing."""
        return nullcontext(lambda: None)

    def note(self, text: str) -> None:
        """Do nothing."""

    def trial(self, trial: Trial) -> None:
        """Do nothing."""


@dataclass(frozen=True, eq=False)
class Quantized:
    """What `quantize` gives.

    Parameters
    ----------
    text : str
        The quantized prototxt: the source with other layer types and formats.
    net : Net
        All phases, with weights and formats.
    stats : CalibrationStats
    result : SearchResult
    """

    text: str
    net: Net
    stats: CalibrationStats
    result: SearchResult


@dataclass(frozen=True)
class LayerRow:
    """One layer as `inspect` lists it; None stands for what is not known.

    Parameters
    ----------
    name, type : str
    bottoms, tops : tuple of str
    shapes : tuple of shapes or None
        Of the tops.
    parameters : int or None
        Weights and biases.
    macs : int or None
        Multiply-accumulates for one picture.
    quant : LayerQuant or None
    """

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    shapes: tuple[Shape, ...] | None
    parameters: int | None
    macs: int | None
    quant: LayerQuant | None


@dataclass(frozen=True)
class Inspection:
    """What `inspect` gives.

    Parameters
    ----------
    name : str
        The net's.
    phase : Phase
    layers : tuple of LayerRow
    notes : tuple of str
    """

    name: str
    phase: Phase
    layers: tuple[LayerRow, ...]
    notes: tuple[str, ...]


def load(model: str | Path, weights: str | Path | None = None) -> tuple[Model, Net]:
    """Read a prototxt, and the weights of a caffemodel if one is given.

    Parameters
    ----------
    model : path
        A prototxt, quantized or not.
    weights : path or None
        A caffemodel.

    Returns
    -------
    Model, Net
        The prototxt, and its net with all phases.
    """
    read = read_model(model)
    return read, read.net if weights is None else load_weights(read.net, weights)


def quantize(
    model: str | Path,
    weights: str | Path,
    *,
    error_margin: float = 1.0,
    iterations: int = 100,
    preset: str = "accurate",
    threads: int | None = None,
    watcher: Watcher | None = None,
) -> Quantized:
    """Condense a net: measure ranges, search widths, choose formats.

    Parameters
    ----------
    model, weights : path
        Prototxt and caffemodel.
    error_margin : float
        Percentage points that the score may fall below the float net's.
    iterations : int
        TEST batches for each score.
    preset : str
        One of ``ristretto.search.PRESETS``.
    threads : int or None
        By default one for each core; the result does not depend on it.
    watcher : Watcher or None
        Told of progress.

    Raises
    ------
    RistrettoError
        Whatever is wrong with the files, the data or the options.
    """
    watcher, threads = watcher or Silent(), threads or default_threads()
    read, whole = load(model, weights)
    whole = QuantizeLayers(FLOAT)(whole)
    chosen = PRESETS[preset]
    test = whole.for_phase(Phase.TEST)
    blob = _score_blob(test)
    source = CachedSource(_open(read, test.data_layers, Phase.TEST), CACHE_BYTES)
    stats = _measure(read, whole, chosen, source, threads, watcher)

    def scorer(net: Net) -> Score:
        executor = IntegerExecutor(net, source.shapes)
        with watcher.stage("scoring", iterations) as advance:
            scores = score(executor, source.batches(iterations), threads=threads, progress=advance)
        return Score(float(scores.outputs[blob].reshape(-1)[0]), scores.companions.get(f"{blob}_argmax"))

    result = run_search(
        test, stats, chosen, scorer, score_blob=blob, error_margin=error_margin, report=watcher.trial
    )
    for note in result.notes:
        watcher.note(note)
    net = QuantizeLayers(result.spec)(whole)
    return Quantized(quantized_text(read.prototxt, read.net, net), net, stats, result)


def test(
    model: str | Path,
    weights: str | Path,
    *,
    iterations: int = 50,
    executor: str = "integer",
    rounding: Rounding = Rounding.HALF_AWAY,
    threads: int | None = None,
    watcher: Watcher | None = None,
) -> Scores:
    """Score a net on its TEST data.

    Parameters
    ----------
    model, weights : path
        Prototxt, quantized or not, and caffemodel.
    iterations : int
        TEST batches.
    executor : str
        One of ``ristretto.execute.EXECUTORS``.
    rounding : Rounding
        Where halves go.
    threads : int or None
        By default one for each core; the result does not depend on it.
    watcher : Watcher or None
        Told of progress.

    Returns
    -------
    Scores
        The mean of every output blob.
    """
    watcher, threads = watcher or Silent(), threads or default_threads()
    read, whole = load(model, weights)
    net = whole.for_phase(Phase.TEST)
    source = _open(read, net.data_layers, Phase.TEST)
    prepared = EXECUTORS[executor](net, source.shapes, rounding=rounding)
    with watcher.stage("scoring", iterations) as advance:
        return score(prepared, source.batches(iterations), threads=threads, progress=advance)


def inspect(model: str | Path, weights: str | Path | None = None, *, phase: Phase = Phase.TEST) -> Inspection:
    """List the layers of a net.

    Parameters
    ----------
    model : path
        Prototxt, quantized or not.
    weights : path or None
        Caffemodel; with it, parameters are counted as they are in the file and checked against the prototxt.
    phase : Phase
        Whose layers are listed.

    Returns
    -------
    Inspection
        Shapes are None where the data that determines them cannot be opened; a note then says why.
    """
    read, whole = load(model, weights)
    net = whole.for_phase(phase)
    sourced = [layer for layer in net.data_layers if layer.op.declared_shape(0) is None]
    notes: list[str] = []
    inputs: Mapping[str, Shape] = {}
    shapes: Mapping[str, tuple[Shape, ...]] | None
    try:
        inputs = _open(read, sourced, phase).shapes if sourced else {}
    except DataError as error:
        notes.append(f"shapes are unknown: {error.message}")
        shapes = None
    else:
        shapes = net.shapes(inputs)
    rows = tuple(_row(net, layer, shapes) for layer in net)
    return Inspection(net.name, phase, rows, tuple(notes))


def _row(net: Net, layer: Layer, shapes: Mapping[str, tuple[Shape, ...]] | None) -> LayerRow:
    bottoms = None if shapes is None or layer.op.is_data else net.bottom_shapes(layer, shapes)
    wanted = layer.op.blob_shapes(bottoms) if bottoms is not None else ()
    parameters = sum(math.prod(shape) for shape in (wanted or tuple(blob.shape for blob in layer.blobs)))
    return LayerRow(
        name=layer.name,
        type=layer.type,
        bottoms=layer.bottoms,
        tops=layer.tops,
        shapes=None if shapes is None else shapes[layer.name][: len(layer.tops)],
        parameters=parameters if wanted or layer.blobs or shapes is not None else None,
        macs=None if shapes is None else 0 if bottoms is None else layer.op.macs(bottoms),
        quant=layer.quant,
    )


def _open(read: Model, layers: Sequence[Layer], phase: Phase) -> BatchSource:
    return open_sources(layers, phase=phase, search_path=(read.path.parent,))


def _score_blob(net: Net) -> str:
    """Give the first output blob in alphabetical order, as the original tool does, if it can be a score at all."""
    if not net.outputs:
        raise SearchError(f"net '{net.name}' has no output blob in the TEST phase", hint="add an Accuracy layer")
    blob = net.outputs[0]
    producer = net.producer(blob)
    assert producer is not None
    if not producer.op.higher_is_better:
        raise SearchError(
            f"the first output blob '{blob}' of net '{net.name}' is no score",
            hint="the score is the first output blob in alphabetical order: add an Accuracy layer, or rename its top",
        )
    return blob


def _measure(
    read: Model, whole: Net, preset: Preset, test_source: BatchSource, threads: int, watcher: Watcher
) -> CalibrationStats:
    """Measure ranges on training data, in the net of the phase that the preset wants."""
    test = whole.for_phase(Phase.TEST)
    state = NetState(Phase.TRAIN)
    if any(layer.op.is_data and layer.takes_part(state) for layer in whole):
        train = whole.for_phase(Phase.TRAIN)
        source = _open(read, train.data_layers, Phase.TRAIN)
        net = train if preset.calibration_phase is Phase.TRAIN else test
    else:
        watcher.note("the net has no TRAIN data: ranges are measured on TEST data")
        source, net = test_source, test
    with watcher.stage("measuring ranges", CALIBRATION_BATCHES) as advance:
        return calibrate(
            net,
            source.shapes,
            source.batches(CALIBRATION_BATCHES),
            source=", ".join(source.names),
            threads=threads,
            progress=advance,
        )
