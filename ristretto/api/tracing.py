"""What a net is fed with, as digests: whether data have changed since."""

from __future__ import annotations

from dataclasses import dataclass

from ristretto.api.feeding import open_calibration, open_test, prepared_for_scores
from ristretto.api.judging import open_journal
from ristretto.api.loading import ModelSource, prototxt_of
from ristretto.api.watch import Silent, Watcher
from ristretto.data import AS_WRITTEN, Feed, Preparation
from ristretto.identity import hash_files
from ristretto.net import Phase


@dataclass(frozen=True)
class DataDigests:
    """What the batches are that a net is condensed with.

    Parameters
    ----------
    scoring : str or None
        Of those that scores are taken on; None where the data cannot tell what they are.
    calibration : str or None
        Of those that ranges are measured on; likewise.
    """

    scoring: str | None
    calibration: str | None


def data_digests(
    model: ModelSource,
    *,
    data: Feed | None = None,
    calibration_data: Feed | None = None,
    preparation: Preparation = AS_WRITTEN,
    iterations: int,
    skip: int,
    calibration_batches: int,
    pictures: int = 0,
    cached: bool = True,
    watcher: Watcher | None = None,
) -> DataDigests:
    """Say what `quantize` would read of its data, without running the net.

    Only what is read counts: pictures of a database behind the last batch do not, nor do names of files.

    Parameters
    ----------
    model : path or Model
        Prototxt.
    data, calibration_data, preparation, iterations, skip, calibration_batches, cached
        As for `quantize`.
    pictures : int
        Of how many pictures an export has golden vectors, the first ones.
    watcher : Watcher or None
        Told when the journal, which remembers digests of files, is damaged.

    Raises
    ------
    RistrettoError
        When the prototxt cannot be read, or data are missing or damaged.
    """
    watcher = watcher or Silent()
    read = prototxt_of(model)
    for_test = prepared_for_scores(preparation, data, calibration_data)
    _, source = open_test(read, read.net, Silent(), data=data, preparation=for_test)
    _, training = open_calibration(
        read, read.net, source, Phase.TEST, Silent(), data=calibration_data, preparation=preparation
    )
    journal = open_journal(watcher) if cached else None
    hashed = hash_files if journal is None else journal.hash_files
    size = max((shape[0] for shape in source.shapes.values() if shape), default=1)
    scored = max(skip + iterations, -(-pictures // size))
    return DataDigests(source.fingerprint(scored, hashed), training.fingerprint(calibration_batches, hashed))
