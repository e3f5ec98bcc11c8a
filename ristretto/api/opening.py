"""What every verb that condenses nets begins with: the score that it looks at, and the ranges."""

from __future__ import annotations

from ristretto.api.watch import Watcher
from ristretto.calibrate import CalibrationStats, calibrate, from_arrays, to_arrays
from ristretto.data import BatchSource
from ristretto.errors import SearchError
from ristretto.identity import digest
from ristretto.net import Net, QuantSpec
from ristretto.search import Goal, Journal, identity

CALIBRATION_BATCHES = 10
"""Batches of training data that ranges are measured on, as in the original tool."""
CACHE_BYTES = 1 << 30
"""Decoded batches of up to this size are kept between trials, and so much of what trials have in common."""
FLOAT = QuantSpec("float", {})
"""No layer quantized: what trials start from, even when the prototxt is quantized already."""


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
