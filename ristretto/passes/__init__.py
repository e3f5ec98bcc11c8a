"""Passes: net in, net out. A pass is a frozen dataclass whose fields are its options; it lives in a file of its own."""

from ristretto.passes.add_accuracy import AddAccuracy
from ristretto.passes.equalize import Equalize
from ristretto.passes.fold_batch_norm import FoldBatchNorm
from ristretto.passes.init_weights import InitWeights
from ristretto.passes.only_fed import OnlyFed
from ristretto.passes.quantize_layers import QuantizeLayers
from ristretto.passes.set_weights import SetWeights
from ristretto.passes.spell_out_sharing import SpellOutSharing
from ristretto.passes.trim_weights import TrimWeights

__all__ = [
    "AddAccuracy",
    "Equalize",
    "FoldBatchNorm",
    "InitWeights",
    "OnlyFed",
    "QuantizeLayers",
    "SetWeights",
    "SpellOutSharing",
    "TrimWeights",
]
