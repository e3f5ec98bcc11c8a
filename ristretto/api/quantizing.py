"""The verb `quantize`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ristretto.api.feeding import open_calibration, open_test
from ristretto.api.folding import fold_net, hint_at_folding
from ristretto.api.loading import chosen, load, pass_on
from ristretto.api.watch import Silent, Watcher
from ristretto.caffe.caffemodel import encode_weights
from ristretto.caffe.prototxt import encode
from ristretto.caffe.writer import rewritten_text
from ristretto.calibrate import CalibrationStats, calibrate
from ristretto.data import AS_WRITTEN, BatchSource, CachedSource, Preparation
from ristretto.errors import SearchError
from ristretto.execute import IntegerExecutor, default_threads
from ristretto.formats import EXACT, Arithmetic
from ristretto.net import Net, QuantSpec
from ristretto.passes import QuantizeLayers
from ristretto.search import MODES, PRESETS, Bits, Goal, Score, SearchResult, TrialScorer, run_search

CALIBRATION_BATCHES = 10
"""Batches of training data that ranges are measured on, as in the original tool."""
CACHE_BYTES = 1 << 30
"""Decoded batches of up to this size are kept between trials, and so much of what trials have in common."""
FLOAT = QuantSpec("float", {})
"""No layer quantized: what a search starts from, even when the prototxt is quantized already."""


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

    def encoded(self) -> bytes:
        """Give the bytes of the quantized prototxt: those of the source, but for the layer types and formats."""
        return encode(self.text)

    def encoded_weights(self) -> bytes:
        """Give the bytes of a caffemodel with its weights; a folded net has others than it was read with."""
        return encode_weights(self.net)


def quantize(
    model: str | Path,
    weights: str | Path,
    *,
    data: str | Path | None = None,
    calibration_data: str | Path | None = None,
    preparation: Preparation = AS_WRITTEN,
    trimming_mode: str = "dynamic_fixed_point",
    error_margin: float = 2.0,
    iterations: int = 50,
    preset: str = "accurate",
    bits: Bits | None = None,
    score_blob: str | None = None,
    fold: bool = False,
    arithmetic: Arithmetic = EXACT,
    threads: int | None = None,
    watcher: Watcher | None = None,
) -> Quantized:
    """Condense a net: measure ranges, search widths, choose formats.

    Parameters
    ----------
    model, weights : path
        Prototxt and caffemodel.
    data : path or None
        What feeds the net in place of the TEST data that its prototxt names; `ristretto.data.feed` says what it may
        be.
    calibration_data : path or None
        What ranges are measured on in place of the TRAIN data; where there are neither, that is the TEST data.
    preparation : Preparation
        What is done to the pictures of `data` and `calibration_data` instead of what the prototxt says.
    trimming_mode : str
        One of ``ristretto.search.MODES``.
    error_margin : float
        How much worse than the float net's the score may be: percentage points of an accuracy, hundredths of a loss.
    iterations : int
        TEST batches for each score.
    preset : str
        One of ``ristretto.search.PRESETS``.
    bits : mapping of Part to int, or None
        The width of each part, bits, taken without a search; parts that the net lacks do not count.
    score_blob : str or None
        The output blob whose mean is the score; by default the first accuracy in alphabetical order, else the first
        loss.
    fold : bool
        Whether BatchNorm, Scale and Bias layers are first folded into the weights before them; the net then needs the
        caffemodel that `Quantized.encoded_weights` gives.
    arithmetic : Arithmetic
        How numbers are trimmed in the trials; one of ``ristretto.formats.EMULATIONS`` repeats the original's.
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
    rule, mode = chosen("preset", preset, PRESETS), chosen("trimming mode", trimming_mode, MODES)
    read, whole = load(model, weights)
    pass_on(read, watcher)
    whole = QuantizeLayers(FLOAT)(whole)
    if fold:
        whole = fold_net(whole, watcher)
    else:
        hint_at_folding(whole, watcher)
    # Pictures may be prepared for the measurement alone.
    for_test = preparation if data is not None or calibration_data is None else AS_WRITTEN
    test, opened = open_test(read, whole, watcher, data=data, preparation=for_test)
    goal = _goal(test, score_blob, error_margin)
    source = CachedSource(opened, CACHE_BYTES)
    calibrated, training = open_calibration(
        read, whole, source, rule.calibration_phase, watcher, data=calibration_data, preparation=preparation
    )
    stats = _measure(calibrated, training, threads, watcher)
    trials = TrialScorer(IntegerExecutor, source, iterations, arithmetic, threads, CACHE_BYTES)

    def scorer(net: Net) -> Score:
        with watcher.stage("scoring", iterations) as advance:
            scores = trials.score(net, advance)
        mean, argmax = scores.outputs[goal.blob], scores.companions.get(f"{goal.blob}_argmax")
        return Score(float(mean.reshape(-1)[0]), argmax)

    result = run_search(test, stats, rule, mode, scorer, goal, bits=bits, report=watcher.trial)
    for note in result.notes:
        watcher.note(note)
    net = result.condensed.apply(whole)
    return Quantized(rewritten_text(read.prototxt, read.net, net), net, stats, result)


def _goal(net: Net, wanted: str | None, error_margin: float) -> Goal:
    """Choose the output blob that is the score: the one asked for, else the first accuracy, else the first loss."""
    kinds: dict[str, bool | None] = {}
    for blob in net.outputs:
        producer = net.producer(blob)
        assert producer is not None
        kinds[blob] = producer.op.higher_is_better
    if wanted is not None and wanted not in kinds:
        known = ", ".join(kinds) or "none"
        raise SearchError(f"net '{net.name}' has no output blob '{wanted}'", hint=f"its output blobs in TEST: {known}")
    accuracies, losses = ([blob for blob, kind in kinds.items() if kind is wish] for wish in (True, False))
    names = [wanted] if wanted is not None else accuracies[:1] or losses[:1]
    if not names:
        raise SearchError(
            f"net '{net.name}' has no score in the TEST phase",
            hint="add an Accuracy layer, or name an output blob with --score",
        )
    return Goal(names[0], error_margin, higher_is_better=kinds[names[0]] is not False)


def _measure(net: Net, source: BatchSource, threads: int, watcher: Watcher) -> CalibrationStats:
    """Measure the ranges of a net's blobs."""
    with watcher.stage("measuring ranges", CALIBRATION_BATCHES) as advance:
        return calibrate(
            net,
            source.shapes,
            source.batches(CALIBRATION_BATCHES),
            source=", ".join(source.names),
            threads=threads,
            progress=advance,
        )
