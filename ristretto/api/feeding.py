"""What feeds a net: the data that its prototxt names, or a path that the user gives."""

from __future__ import annotations

from ristretto.api.loading import open_data
from ristretto.api.watch import Watcher
from ristretto.caffe.reader import Model
from ristretto.data import AS_WRITTEN, KINDS, BatchSource, Feed, Preparation, feed
from ristretto.errors import DataError
from ristretto.net import Net, NetState, Phase
from ristretto.passes import AddAccuracy

LABELS = "label"
"""The blob for labels that a deploy net gets along with its score."""


def open_test(
    read: Model,
    whole: Net,
    watcher: Watcher,
    *,
    data: Feed | None = None,
    preparation: Preparation = AS_WRITTEN,
    with_score: bool = True,
) -> tuple[Net, BatchSource]:
    """Give the net of the TEST phase, and what feeds it.

    A net without a score gets an accuracy where there are labels.

    Parameters
    ----------
    read, whole : Model, Net
        The prototxt, and the net with all phases.
    watcher : Watcher
        Told when an accuracy is added.
    data : path, arrays or None
        What feeds the net in place of the data that the prototxt names.
    preparation : Preparation
        What is done to the pictures of `data` instead of what the prototxt says.
    with_score : bool
        Whether a score is wanted at all.

    Raises
    ------
    DataError
        When the data are missing, damaged or do not fit; when there is a preparation but no `data`.
    """
    net = whole.for_phase(Phase.TEST)
    if data is None:
        refuse_alone(preparation)
        return net, open_data(read, net.data_layers, Phase.TEST)
    blobs = {top for layer in net for top in layer.tops}
    source = feed(
        data,
        net.data_layers,
        phase=Phase.TEST,
        search_path=(read.path.parent,),
        preparation=preparation,
        spare_labels=None if LABELS in blobs or not with_score else LABELS,
    )
    if LABELS in source.shapes and LABELS not in blobs:
        named = source.names[0]
        scored = AddAccuracy(LABELS, source.shapes)(net)
        if scored is net:
            watcher.note(f"the labels of {named} are not used: the net has a score, or not one output of class scores")
        else:
            read_by = scored.layers[-1].bottoms[0]
            watcher.note(f"the net has no score: the accuracy of '{read_by}' by the labels of {named} is added")
        return scored, source
    return net, source


def open_calibration(
    read: Model,
    whole: Net,
    test_source: BatchSource,
    phase: Phase,
    watcher: Watcher,
    *,
    data: Feed | None = None,
    preparation: Preparation = AS_WRITTEN,
) -> tuple[Net, BatchSource]:
    """Give the net that ranges are measured in, and what feeds it.

    Parameters
    ----------
    read, whole : Model, Net
        The prototxt, and the net with all phases.
    test_source : BatchSource
        What feeds the TEST net; it serves here too, with a note, where the net has no TRAIN data.
    phase : Phase
        Whose net is wanted; without TRAIN data it is that of the TEST phase.
    watcher : Watcher
        Told when TEST data serve.
    data : path, arrays or None
        What ranges are measured on in place of the TRAIN data.
    preparation : Preparation
        What is done to the pictures of `data`.

    Raises
    ------
    DataError
        When the data are missing, damaged or do not fit.
    """
    test = whole.for_phase(Phase.TEST)
    state = NetState(Phase.TRAIN)
    kinds = [type(layer.op) for layer in whole if layer.op.is_data and layer.takes_part(state)]
    if not kinds or any(kind not in KINDS for kind in kinds):
        if data is None:
            watcher.note("the net has no TRAIN data: ranges are measured on TEST data")
            return test, test_source
        return test, _fed(read, test, data, Phase.TEST, preparation)
    train = whole.for_phase(Phase.TRAIN)
    net = train if phase is Phase.TRAIN else test
    if data is not None:
        return net, _fed(read, train, data, Phase.TRAIN, preparation)
    try:
        return net, open_data(read, train.data_layers, Phase.TRAIN)
    except DataError as error:
        hint = f"{error.hint}; or name other data with --calibration_data" if error.hint else ""
        raise DataError(f"TRAIN data: {error.message}", hint=hint) from error


def _fed(read: Model, net: Net, data: Feed, phase: Phase, preparation: Preparation) -> BatchSource:
    return feed(data, net.data_layers, phase=phase, search_path=(read.path.parent,), preparation=preparation)


def prepared_for_scores(preparation: Preparation, data: Feed | None, calibration_data: Feed | None) -> Preparation:
    """Give what is done to the pictures that scores are taken on: they may be prepared for the measurement alone."""
    return preparation if data is not None or calibration_data is None else AS_WRITTEN


def refuse_alone(preparation: Preparation) -> None:
    """Raise a DataError where it is said how pictures are prepared, and there are none to prepare."""
    if preparation != AS_WRITTEN:
        raise DataError(
            "how pictures are prepared is said, but not which ones",
            hint="name them with --data, or change transform_param in the prototxt",
        )
