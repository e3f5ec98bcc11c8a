"""The verb `quantize`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace

from ristretto.api.equalizing import OFF, Equalizing, check_equalize
from ristretto.api.folding import fold_net, hint_at_folding
from ristretto.api.front_file import FrontFile
from ristretto.api.hardware_wish import HardwareWish
from ristretto.api.inspecting import LayerRow, layer_rows
from ristretto.api.judging import (
    check_evidence,
    is_one_set,
    kept_formats,
    kept_marks,
    open_journal,
    split_batches,
    spread_over,
    telling_what_is_kept,
)
from ristretto.api.layering import LayerWish, Sensitivities, every_layer
from ristretto.api.loading import ModelSource, WeightsSource, chosen
from ristretto.api.opening import CACHE_BYTES, CALIBRATION_BATCHES, choose_preset, measure, open_float
from ristretto.api.refining import refiner
from ristretto.api.watch import Silent, Watcher
from ristretto.caffe.caffemodel import encode_weights
from ristretto.caffe.prototxt import encode
from ristretto.caffe.writer import rewritten_text
from ristretto.calibrate import CalibrationStats
from ristretto.cluster import check_scheduler
from ristretto.data import AS_WRITTEN, Feed, Preparation
from ristretto.execute import IntegerExecutor, default_threads
from ristretto.formats import EXACT, Arithmetic
from ristretto.identity import digest
from ristretto.net import Net
from ristretto.passes import SetWeights, TrimWeights
from ristretto.search import MODES, Bits, SearchResult, Stretch, TrialScorer, run_search
from ristretto.search.condense import Condensed
from ristretto.search.criteria import AUTO
from ristretto.search.front import pareto_front
from ristretto.search.refine import Techniques
from ristretto.search.sensitivity import View
from ristretto.search.sites import Kept
from ristretto.search.workload import Workload


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
    plain : Net
        The float net that it was condensed from: as read, or folded, or equalized.
    rows : tuple of LayerRow
        The layers of the TEST net, all of them.
    workload : Workload
        What those that can be quantized hold and do for one picture.
    front : tuple of FrontFile
        The nets of the front of cost against score, from cheap to dear, where it was asked for.
    formats_by : str or None
        What chose the formats: one of ``ristretto.search.criteria.FORMATS_BY``; None where that is the preset's own.
    """

    text: str
    net: Net
    stats: CalibrationStats
    result: SearchResult
    plain: Net
    rows: tuple[LayerRow, ...]
    workload: Workload
    front: tuple[FrontFile, ...] = ()
    formats_by: str | None = None

    def encoded(self) -> bytes:
        """Give the bytes of the quantized prototxt: those of the source, but for the layer types and formats."""
        return encode(self.text)

    def encoded_weights(self) -> bytes:
        """Give the bytes of a caffemodel with weights that the formats hold: trimming them again changes nothing."""
        return encode_weights(TrimWeights()(self.net))

    def encoded_plain_weights(self) -> bytes:
        """Give the bytes of a caffemodel with the float weights; a folded net has others than it was read with."""
        return encode_weights(self.plain)


def quantize(
    model: ModelSource,
    weights: WeightsSource,
    *,
    data: Feed | None = None,
    calibration_data: Feed | None = None,
    preparation: Preparation = AS_WRITTEN,
    trimming_mode: str = "dynamic_fixed_point",
    error_margin: float = 2.0,
    iterations: int = 50,
    preset: str = "accurate",
    formats_by: str = AUTO,
    bits: Bits | None = None,
    score_blob: str | None = None,
    fold: bool = False,
    granularity: str = "part",
    minimize: str | None = None,
    min_bits: int | None = None,
    max_bits: int | None = None,
    keep: Mapping[str, Kept] | None = None,
    front: bool = False,
    refine: Techniques | None = None,
    equalize: str = OFF,
    calibration_batches: int = CALIBRATION_BATCHES,
    skip: int = 0,
    report_split: float | None = None,
    confidence: float | None = None,
    hardware: bool = False,
    strict_hardware: bool = False,
    cached: bool = True,
    arithmetic: Arithmetic = EXACT,
    threads: int | None = None,
    scheduler: str | None = None,
    watcher: Watcher | None = None,
) -> Quantized:
    """Condense a net: measure ranges, search widths, choose formats.

    Parameters
    ----------
    model, weights : path, or Model and Net
        Prototxt and caffemodel: files, or what `load` gives.
    data : path, arrays or None
        What feeds the net in place of the TEST data that its prototxt names; `ristretto.data.feed` says what it may
        be.
    calibration_data : path, arrays or None
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
    formats_by : str
        What chooses among formats of one width: one of ``ristretto.search.criteria.FORMATS_BY``. "auto" is the
        preset's own way; the original one has no other.
    bits : mapping of Part to int, or None
        The width of each part, bits, taken without a search; parts that the net lacks do not count. Without a width,
        a part gets words of 32 bits, which the fork has for float.
    score_blob : str or None
        The output blob whose mean is the score; by default the first accuracy in alphabetical order, else the first
        loss.
    fold : bool
        Whether BatchNorm, Scale and Bias layers are first folded into the weights before them; the net then needs the
        caffemodel that `Quantized.encoded_plain_weights` gives.
    granularity : str
        "part" for a width for each part, "layer" for every layer's own.
    minimize : str or None
        What widths of layers are to save: one of ``ristretto.search.COSTS``, by default the first.
    min_bits, max_bits : int or None
        The narrowest and the widest word that may be chosen, 1 to 16 bits.
    keep : mapping of str to Kept, or None
        Widths of layers that are given.
    front : bool
        Whether nets along the front of cost against score are scored, too.
    refine : Techniques or None
        What may be done to the weights; the net then needs the caffemodel that `Quantized.encoded_weights` gives. None
        leaves them as they are.
    equalize : str
        Whether channels are first brought to like ranges by powers of two, which changes nothing that the float net
        computes: "on", "off", or "auto" for where it helps on calibration pictures that were held back. The net then
        needs the caffemodel that `Quantized.encoded_weights` gives.
    calibration_batches : int
        Batches that ranges are measured on, and weights refined.
    skip : int
        TEST batches at the beginning that no score looks at.
    report_split : float or None
        The share of the TEST batches, 0 to 1, that no choice looks at and that the reported score is of;
        `split_batches` has the default.
    confidence : float or None
        At least 0.5, and less than 1: a trial holds only if the upper bound of its loss, at this confidence, lies
        within the margin.
    hardware : bool
        Whether radix points are moved so that nothing is rounded but accumulators (`SharedGrids`): activations that
        meet share one, and outputs are no finer than accumulators. Dynamic fixed point only.
    strict_hardware : bool
        Whether it is an error when anything in the net needs more than integers and shifts.
    cached : bool
        Whether finished trials are taken from the journal and kept there; the result does not depend on it.
    arithmetic : Arithmetic
        How numbers are trimmed in the trials; one of ``ristretto.formats.EMULATIONS`` repeats the original's.
    threads : int or None
        By default one for each core; the result does not depend on it.
    scheduler : str or None
        Of the Dask workers that nets are scored on: ``tcp://host:port``, or ``local:N`` for N processes here, which a
        script needs ``if __name__ == "__main__"`` for; the result does not depend on it.
    watcher : Watcher or None
        Told of progress.

    Raises
    ------
    HardwareError
        When `strict_hardware`, and shifts do not do.
    RistrettoError
        Whatever is wrong with the files, the data or the options.
    """
    watcher, threads = watcher or Silent(), threads or default_threads()
    mode = chosen("trimming mode", trimming_mode, MODES)
    rule = choose_preset(preset, formats_by, [mode])
    check_evidence(rule, report_split, confidence)
    check_equalize(equalize, rule)
    if scheduler is not None:
        check_scheduler(scheduler)
    wish = LayerWish(granularity, minimize, min_bits, max_bits, keep or {}, front)
    wish.check(rule, mode, bits)
    machine = HardwareWish(hardware, strict_hardware)
    machine.check(rule, mode)
    opened = open_float(
        model,
        weights,
        fold_net if fold else hint_at_folding,
        rule.calibration_phase,
        watcher,
        data=data,
        calibration_data=calibration_data,
        preparation=preparation,
        score_blob=score_blob,
        error_margin=error_margin,
    )
    read, whole, test, calibrated = opened.read, opened.whole, opened.test, opened.calibrated
    source, training = opened.source, opened.training
    machine.check_layers(test, source.shapes, arithmetic)
    goal = replace(opened.goal, confidence=confidence)
    sites = wish.sites(test) if wish.by_layer else ()
    deciding, reporting = split_batches(
        range(skip, skip + iterations),
        report_split,
        rule,
        watcher,
        one_set=is_one_set(training, source) and skip < calibration_batches,
        searched=bits is None,
    )
    journal = open_journal(watcher) if cached else None
    stats = measure(calibrated, training, threads, watcher, journal, calibration_batches)
    view = View.of(test, goal.blob)
    weights_alike = Equalizing(
        whole, calibrated, source.shapes, training, calibration_batches, view, threads, watcher, journal
    ).chosen(equalize, stats, rule, mode, bits, refine)
    if weights_alike:
        whole, test, calibrated = (SetWeights(weights_alike)(net) for net in (whole, test, calibrated))
        stats = measure(calibrated, training, threads, watcher, journal, calibration_batches)
    trials = TrialScorer(IntegerExecutor, source, skip + iterations, arithmetic, threads, CACHE_BYTES, base=test)
    elsewhere = spread_over(trials, scheduler)
    marker = kept_marks(trials, journal, elsewhere)

    def scorer(batches: range) -> Stretch:
        return Stretch(marker, goal.blob, batches, lambda count: watcher.stage("scoring", count))

    decider, reporter = scorer(deciding), None if reporting is None else scorer(reporting)
    formats = kept_formats(calibrated, training, journal, calibration_batches)
    about = digest(rule.name, rule.formats_by, mode.name, *machine.about)
    sensitivities = Sensitivities(
        calibrated, training, view, about, arithmetic, threads, watcher, journal, calibration_batches
    )
    with telling_what_is_kept(marker), elsewhere or nullcontext():
        result = run_search(
            test,
            stats,
            rule,
            mode,
            decider,
            goal,
            bits=bits,
            bounds=wish.bounds(),
            by_layer=every_layer(wish, sites, source, len(deciding), sensitivities) if wish.by_layer else None,
            reporter=reporter,
            refine=Condensed
            if refine is None
            else refiner(calibrated, rule.covered(stats), training, view, refine, threads, journal),
            constrain=machine.constraint(test, rule.covered(stats)),
            kept=formats,
            report=watcher.trial,
        )
    for note in result.notes:
        watcher.note(note)
    machine.check_net(result.condensed.apply(test), source.shapes, arithmetic)
    net = result.condensed.apply(whole)
    nets = pareto_front(result) if front else []
    files = tuple(FrontFile.of(each, read.prototxt, read.net, whole) for each in nets)
    text = rewritten_text(read.prototxt, read.net, net)
    rows = layer_rows(test, test.shapes(source.shapes))
    workload = Workload.of(test, source.shapes, stats.layers)
    return Quantized(text, net, stats, result, whole, rows, workload, files, rule.formats_by)
