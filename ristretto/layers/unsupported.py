"""Layer types that are known and left out on purpose, with the reason; a reader's error quotes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Unsupported:
    """Why a type is left out, and what to do about a net that has it.

    Parameters
    ----------
    reason : str
        Completes "TYPE layers are not supported: ...".
    hint : str
        What to do.
    """

    reason: str
    hint: str


RECURRENT = Unsupported(
    "a recurrent layer is a net of its own, unrolled over time, whose formats no prototxt can hold",
    "cut the net before the layer, and quantize the part that has no memory",
)
CODE = Unsupported(
    "what such a layer computes stands in a Python module and not in the prototxt",
    "put layers of Caffe's in its place, or cut the net before it",
)
TRAINING = Unsupported(
    "it serves training only",
    "take the net that was made for deployment, or a copy of this one without the layer",
)
REGIONS = Unsupported(
    "its output depends in size on what the net finds in a picture",
    "cut the net before the layer",
)
OUTPUT = Unsupported("it writes files and gives no blob", "remove the layer")

UNSUPPORTED: Mapping[str, Unsupported] = {
    "LSTM": RECURRENT,
    "RNN": RECURRENT,
    "Recurrent": RECURRENT,
    "LSTMUnit": RECURRENT,
    "Python": CODE,
    "ContrastiveLoss": TRAINING,
    "InfogainLoss": TRAINING,
    "MultinomialLogisticLoss": TRAINING,
    "MultiBoxLoss": TRAINING,
    "SmoothL1Loss": TRAINING,
    "AnnotatedData": TRAINING,
    "WindowData": TRAINING,
    "VideoData": TRAINING,
    "Filter": REGIONS,
    "Proposal": REGIONS,
    "ROIPooling": REGIONS,
    "PSROIPooling": REGIONS,
    "HDF5Output": OUTPUT,
}
"""By layer type."""
