"""The public verbs: what each sub-command of the command line does, as a function in a file of its own."""

from ristretto.api.comparing import Change, Difference, diff
from ristretto.api.equalizing import EQUALIZE
from ristretto.api.exporting import export
from ristretto.api.finetuning import Finetuned, Options, finetune, require_torch
from ristretto.api.folding import Folded, fold
from ristretto.api.front_file import FrontFile
from ristretto.api.hardware_report import hardware
from ristretto.api.informing import Info, TierRow, info
from ristretto.api.initialising import NewWeights, init_weights
from ristretto.api.inspecting import Inspection, LayerRow, inspect
from ristretto.api.layering import GRANULARITIES
from ristretto.api.loading import load
from ristretto.api.quantizing import Quantized, quantize
from ristretto.api.running import run
from ristretto.api.sweeping import Swept, sweep
from ristretto.api.testing import test
from ristretto.api.tracing import DataDigests, data_digests
from ristretto.api.upgrading import UpgradedFile, upgrade
from ristretto.api.watch import Silent, Watcher
from ristretto.kernels.loading import announced_compilation

__all__ = [
    "EQUALIZE",
    "GRANULARITIES",
    "Change",
    "DataDigests",
    "Difference",
    "Finetuned",
    "Folded",
    "FrontFile",
    "Info",
    "Inspection",
    "LayerRow",
    "NewWeights",
    "Options",
    "Quantized",
    "Silent",
    "Swept",
    "TierRow",
    "UpgradedFile",
    "Watcher",
    "announced_compilation",
    "data_digests",
    "diff",
    "export",
    "finetune",
    "fold",
    "hardware",
    "info",
    "init_weights",
    "inspect",
    "load",
    "quantize",
    "require_torch",
    "run",
    "sweep",
    "test",
    "upgrade",
]
