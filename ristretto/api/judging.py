"""How a search judges nets: on which batches it decides and reports, and what of earlier runs it knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ristretto.api.opening import calibration_key
from ristretto.api.watch import Watcher
from ristretto.cluster import ClusterMarker
from ristretto.data import BatchSource
from ristretto.errors import SearchError
from ristretto.net import Net
from ristretto.search import Journal, KeptFormats, KeptMarks, Marker, Preset, TrialScorer, default_folder

REPORT_SPLIT = 0.5
"""The share of the TEST batches that no choice looks at."""


def check_evidence(preset: Preset, share: float | None, confidence: float | None) -> None:
    """Make sure that a preset can do what is asked of it.

    Raises
    ------
    SearchError
        When a share or a confidence makes no sense, or the preset weighs no evidence.
    """
    if share is not None and not 0 <= share < 1:
        raise SearchError(f"a report_split of {share:g}", hint="give a share from 0 to below 1")
    if confidence is not None and not 0.5 <= confidence < 1:
        raise SearchError(f"a confidence of {confidence:g}", hint="give a share from 0.5 to below 1, 0.95 for instance")
    if not preset.weighs_evidence and (share or confidence):
        asked = "--report_split" if share else "--confidence"
        raise SearchError(f"the {preset.name} preset decides by all scores as they are", hint=f"leave {asked} out")


def split_batches(
    everything: range, share: float | None, preset: Preset, watcher: Watcher, *, one_set: bool, searched: bool = True
) -> tuple[range, range | None]:
    """Divide the TEST batches, in order: those that decide, then those that report; `check_evidence` comes before.

    Parameters
    ----------
    everything : range
        TEST batches.
    share : float or None
        Of those that report; by default `REPORT_SPLIT` where it makes the score an honest one: where the preset weighs
        evidence, widths are searched, and ranges are measured on other data.
    preset : Preset
    watcher : Watcher
        Told when the score is one of batches that decide, though the user might not expect it.
    one_set : bool
        Whether ranges are measured on the data that scores come from.
    searched : bool
        Whether widths are searched at all.

    Returns
    -------
    range, range or None
        None where all batches decide and report.
    """
    iterations = len(everything)
    if not preset.weighs_evidence:
        return everything, None
    if share is None and one_set and searched:
        watcher.note(
            "ranges, choices and the score come from the same data, so the score may flatter the net: name other data "
            "with --calibration_data"
        )
    if share == 0 or (share is None and (one_set or not searched)):
        return everything, None
    if iterations < 2:
        watcher.note("one batch cannot be divided: the score is that of the batch that decides")
        return everything, None
    share = REPORT_SPLIT if share is None else share
    held_back = min(max(int(iterations * share + 0.5), 1), iterations - 1)
    return everything[:-held_back], everything[-held_back:]


def is_one_set(training: BatchSource, test: BatchSource) -> bool:
    """Whether ranges are measured on the data that scores come from, be it opened twice."""
    return training is test or bool(set(training.names) & set(test.names))


def open_journal(watcher: Watcher) -> Journal | None:
    """Give the journal; None where the environment has no folder for it.

    The watcher is told when results are damaged or cannot be kept.
    """
    folder = default_folder()
    return None if folder is None else Journal(folder, watcher.note)


def spread_over(trials: TrialScorer, scheduler: str | None) -> ClusterMarker | None:
    """Give what scores the same nets on the workers of a scheduler; None where no scheduler is named."""
    if scheduler is None:
        return None
    return ClusterMarker(scheduler, trials.kind, trials.source, trials.arithmetic, trials.max_bytes)


def kept_marks(trials: TrialScorer, journal: Journal | None, elsewhere: Marker | None = None) -> Marker:
    """Give what scores nets and looks into the journal first; where the data do not tell what they are it does not.

    Parameters
    ----------
    trials : TrialScorer
    journal : Journal or None
    elsewhere : Marker or None
        What runs the nets in place of `trials`, and gives the very same marks.
    """
    fingerprint = trials.source.fingerprint(trials.iterations, journal.hash_files) if journal else None
    if journal is None or fingerprint is None:
        return elsewhere or trials
    return KeptMarks(elsewhere or trials, journal, trials.conditions(fingerprint))


def kept_formats(net: Net, source: BatchSource, journal: Journal | None, count: int) -> KeptFormats | None:
    """Give what knows the formats that were chosen from the ranges of a net on so many batches of a source."""
    key = calibration_key(net, source, journal, count)
    return None if journal is None or key is None else KeptFormats(journal, key)


@contextmanager
def telling_what_is_kept(marker: Marker) -> Iterator[None]:
    """Have an interruption say that finished trials are kept, if any are."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if isinstance(marker, KeptMarks) and marker.finished:
            raise KeyboardInterrupt("finished trials are kept: the same command goes on from there") from stop
        raise
