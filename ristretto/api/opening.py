"""What every verb that condenses nets begins with: the net, its data, the score that it looks at, and the ranges."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ristretto.api.feeding import open_calibration, open_test, prepared_for_scores
from ristretto.api.loading import ModelSource, WeightsSource, chosen, load, pass_on
from ristretto.api.watch import Watcher
from ristretto.caffe.reader import Model
from ristretto.calibrate import CalibrationStats, calibrate, from_arrays, to_arrays
from ristretto.data import BatchSource, CachedSource, Feed, Preparation
from ristretto.errors import SearchError
from ristretto.identity import digest
from ristretto.net import Net, Phase, QuantSpec
from ristretto.passes import QuantizeLayers
from ristretto.search import PRESETS, Goal, Journal, Preset, TrimmingMode, identity
from ristretto.search.criteria import CRITERIA, FORMATS_BY

CALIBRATION_BATCHES = 10
"""Batches of training data that ranges are measured on, as in the original tool."""
CACHE_BYTES = 1 << 30
"""Decoded batches of up to this size are kept between trials, and so much of what trials have in common."""
FLOAT = QuantSpec("float", {})
"""No layer quantized: what trials start from, even when the prototxt is quantized already."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A float net that is to be condensed, and what feeds it.

    Parameters
    ----------
    read : Model
        The prototxt.
    whole, test, calibrated : Net
        All phases; the TEST phase, with a score; and as ranges are measured in it.
    goal : Goal
    source : CachedSource
        What feeds the TEST net.
    training : BatchSource
        What ranges are measured on.
    """

    read: Model
    whole: Net
    test: Net
    calibrated: Net
    goal: Goal
    source: CachedSource
    training: BatchSource


def choose_preset(name: str, formats_by: str, modes: Iterable[TrimmingMode]) -> Preset:
    """Give a preset that chooses formats by what is asked for.

    Raises
    ------
    RistrettoError
        When one of the names stands for nothing.
    SearchError
        When the preset chooses formats in its own way only, or what is asked for means nothing for a mode's formats.
    """
    chosen("choice of formats", formats_by, dict.fromkeys(FORMATS_BY))
    preset = chosen("preset", name, PRESETS).choosing_by(formats_by)
    if formats_by in CRITERIA:
        for mode in modes:
            mode.check_criterion(CRITERIA[formats_by])
    return preset


def open_float(
    model: ModelSource,
    weights: WeightsSource,
    prepare: Callable[[Net, Watcher], Net],
    phase: Phase,
    watcher: Watcher,
    *,
    data: Feed | None,
    calibration_data: Feed | None,
    preparation: Preparation,
    score_blob: str | None,
    error_margin: float,
) -> Opened:
    """Read a net, take its formats away, and open its data.

    Parameters
    ----------
    model, weights : path, or Model and Net
        Prototxt and caffemodel: files, or what `load` gives.
    prepare : callable
        Gives the net to go on with: folded, say.
    phase : Phase
        Whose net ranges are measured in.
    watcher : Watcher
    data, calibration_data : path, arrays or None
        What feeds the net, and what ranges are measured on, in place of what the prototxt names.
    preparation : Preparation
        What is done to the pictures of both.
    score_blob, error_margin
        See `choose_goal`.

    Raises
    ------
    RistrettoError
        Whatever is wrong with the files or the data.
    """
    read, whole = load(model, weights)
    pass_on(read, watcher)
    whole = prepare(QuantizeLayers(FLOAT)(whole), watcher)
    for_test = prepared_for_scores(preparation, data, calibration_data)
    test, opened = open_test(read, whole, watcher, data=data, preparation=for_test)
    goal = choose_goal(test, score_blob, error_margin)
    source = CachedSource(opened, CACHE_BYTES)
    calibrated, training = open_calibration(
        read, whole, source, phase, watcher, data=calibration_data, preparation=preparation
    )
    return Opened(read, whole, test, calibrated, goal, source, training)


def choose_goal(net: Net, wanted: str | None, error_margin: float) -> Goal:
    """Choose the output blob that is the score: the one asked for, else the first accuracy, else the first loss.

    Raises
    ------
    SearchError
        When there is none.
    """
    kinds: dict[str, bool | None] = {}
    bounds: dict[str, tuple[float, float]] = {}
    for blob in net.outputs:
        producer = net.producer(blob)
        assert producer is not None
        kinds[blob], bounds[blob] = producer.op.higher_is_better, producer.op.score_bounds
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
    return Goal(names[0], error_margin, kinds[names[0]] is not False, bounds[names[0]])


def measure(
    net: Net,
    source: BatchSource,
    threads: int,
    watcher: Watcher,
    journal: Journal | None = None,
    count: int = CALIBRATION_BATCHES,
) -> CalibrationStats:
    """Measure the ranges of a net's blobs on so many batches, or take them from a journal."""
    names = ", ".join(source.names)

    def seen() -> CalibrationStats:
        with watcher.stage("measuring ranges", count) as advance:
            batches = source.batches(count)
            return calibrate(net, source.shapes, batches, source=names, threads=threads, progress=advance)

    key = calibration_key(net, source, journal, count)
    if journal is None or key is None:
        return seen()
    return from_arrays(journal.fetch(key, lambda: to_arrays(seen())), net, names)


def calibration_key(net: Net, source: BatchSource, journal: Journal | None, count: int) -> str | None:
    """Give a digest of all that decides on a net's ranges; None where that is not known, or there is no journal."""
    fingerprint = source.fingerprint(count, journal.hash_files) if journal else None
    return None if fingerprint is None else digest("calibration", identity(net), fingerprint, count)
