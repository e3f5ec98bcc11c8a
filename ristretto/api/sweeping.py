"""The verb `sweep`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from ristretto.api.folding import hint_at_folding
from ristretto.api.judging import kept_formats, kept_marks, open_journal, telling_what_is_kept
from ristretto.api.loading import ModelSource, WeightsSource, chosen
from ristretto.api.opening import CACHE_BYTES, CALIBRATION_BATCHES, choose_preset, measure, open_float
from ristretto.api.watch import Silent, Watcher
from ristretto.calibrate import CalibrationStats
from ristretto.data import AS_WRITTEN, Feed, Preparation
from ristretto.execute import IntegerExecutor, default_threads
from ristretto.formats import EXACT, Arithmetic
from ristretto.net import Net
from ristretto.search import MODES, Stretch, TrialScorer
from ristretto.search.condense import Condensed
from ristretto.search.criteria import AUTO
from ristretto.search.sweep import SWEPT_PARTS, Sweep, check_widths, choose_parts, plan_sweep

SWEPT_WIDTHS = tuple(range(16, 1, -1))
"""Bits; the paper's Table 1 has four of them."""
SWEPT_MODES = ("fixed_point", "dynamic_fixed_point")
"""What the paper's Figure 4 compares."""


@dataclass(frozen=True, eq=False)
class Swept:
    """What `sweep` gives.

    Parameters
    ----------
    net : Net
        The float net of the TEST phase.
    stats : CalibrationStats
    iterations : int
        TEST batches for each score.
    result : Sweep
    formats_by : str or None
        What chose the formats: one of ``ristretto.search.criteria.FORMATS_BY``; None where that is the preset's own.
    """

    net: Net
    stats: CalibrationStats
    iterations: int
    result: Sweep
    formats_by: str | None = None


def sweep(
    model: ModelSource,
    weights: WeightsSource,
    *,
    bits: Sequence[int] = SWEPT_WIDTHS,
    modes: Sequence[str] = SWEPT_MODES,
    parts: Sequence[str] | None = None,
    data: Feed | None = None,
    calibration_data: Feed | None = None,
    preparation: Preparation = AS_WRITTEN,
    iterations: int = 50,
    preset: str = "accurate",
    formats_by: str = AUTO,
    score_blob: str | None = None,
    cached: bool = True,
    arithmetic: Arithmetic = EXACT,
    threads: int | None = None,
    watcher: Watcher | None = None,
) -> Swept:
    """Score a net at every width, each part of it alone and all together: Table 1 and Figure 4 of the paper.

    Parameters
    ----------
    model, weights : path, or Model and Net
        Prototxt and caffemodel: files, or what `load` gives.
    bits : sequence of int
        The widths, 1 to 32 bits, in any order.
    modes : sequence of str
        Of ``ristretto.search.MODES``.
    parts : sequence of str or None
        What is condensed while the rest stays in float: values of `Part`, and "all". By default whatever the net has.
    data : path, arrays or None
        What feeds the net in place of the TEST data that its prototxt names; `ristretto.data.feed` says what it may
        be.
    calibration_data : path, arrays or None
        What ranges are measured on in place of the TRAIN data; where there are neither, that is the TEST data.
    preparation : Preparation
        What is done to the pictures of `data` and `calibration_data` instead of what the prototxt says.
    iterations : int
        TEST batches for each score.
    preset : str
        How formats are chosen: one of ``ristretto.search.PRESETS``.
    formats_by : str
        What chooses among formats of one width: one of ``ristretto.search.criteria.FORMATS_BY``. "auto" is the
        preset's own way; the original one has no other.
    score_blob : str or None
        The output blob whose mean is the score; by default the first accuracy in alphabetical order, else the first
        loss.
    cached : bool
        Whether finished trials are taken from the journal and kept there; the result does not depend on it.
    arithmetic : Arithmetic
        How numbers are trimmed; one of ``ristretto.formats.EMULATIONS`` repeats the original's.
    threads : int or None
        By default one for each core; the result does not depend on it.
    watcher : Watcher or None
        Told of progress.

    Raises
    ------
    RistrettoError
        Whatever is wrong with the files, the data or the options; a width that a mode lacks is found before any work.
    """
    watcher, threads = watcher or Silent(), threads or default_threads()
    wanted = [chosen("trimming mode", mode, MODES) for mode in dict.fromkeys(modes)]
    rule = choose_preset(preset, formats_by, wanted)
    known = dict.fromkeys(SWEPT_PARTS)
    for part in parts or ():
        chosen("part of a net", part, known)
    check_widths(wanted, SWEPT_PARTS if parts is None else parts, bits)
    opened = open_float(
        model,
        weights,
        partial(hint_at_folding, how="ristretto fold"),
        rule.calibration_phase,
        watcher,
        data=data,
        calibration_data=calibration_data,
        preparation=preparation,
        score_blob=score_blob,
        error_margin=0,
    )
    test, calibrated, goal, training = opened.test, opened.calibrated, opened.goal, opened.training
    journal = open_journal(watcher) if cached else None
    stats = rule.covered(measure(calibrated, training, threads, watcher, journal))
    swept = choose_parts(stats, parts)
    formats = kept_formats(calibrated, training, journal, CALIBRATION_BATCHES)
    with watcher.stage("choosing formats", len(wanted) * len(swept) * len(set(bits))) as advance:
        plan = plan_sweep(stats, rule, wanted, swept, bits, kept=formats, progress=advance)
    trials = TrialScorer(IntegerExecutor, opened.source, iterations, arithmetic, threads, CACHE_BYTES, base=test)
    marker = kept_marks(trials, journal)
    nets = len(plan) + 1
    with telling_what_is_kept(marker), watcher.stage(f"scoring {nets} nets", nets * iterations) as advance:
        score = Stretch(marker, goal.blob, range(iterations), lambda batches: nullcontext(advance))
        baseline = score(test)
        scores = {point: score(Condensed(spec).apply(test)) for point, spec in plan.items()}
    notes = tuple(rule.notes(stats))
    for note in notes:
        watcher.note(note)
    result = Sweep(rule.name, goal.blob, goal.higher_is_better, baseline, scores, notes)
    return Swept(test, stats, iterations, result, rule.formats_by)
