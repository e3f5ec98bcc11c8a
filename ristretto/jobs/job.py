"""Job: one net that is to be condensed, with all that decides on the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ristretto.export import EXPORTERS

MODEL_QUANTIZED, WEIGHTS_QUANTIZED, FOLD, JSON, REPORT = OUTPUT_FILES = (
    "model_quantized",
    "weights_quantized",
    "fold",
    "json",
    "report",
)
"""What a job may write, a file each, by the key that names it: the flag of `quantize`."""
PARETO = "pareto"
"""The key of the folder for a front."""
INPUTS = ("model", "weights", "data", "calibration_data")
"""What a job reads, by the key that names it."""
PERFORMANCE = ("threads", "scheduler", "no_cache", "gpu")
"""Options of `quantize` that change no result, and so make none stale."""


@dataclass(frozen=True)
class Export:
    """One export of a condensed net.

    Parameters
    ----------
    kind : str
        One of ``ristretto.export.EXPORTERS``.
    out : str
        The file or, where there are several, the folder.
    options : mapping of str to value
        As they are written in the job file.
    keywords : mapping of str to object
        What they are to `api.export`.
    """

    kind: str
    out: str
    options: Mapping[str, Any] = field(default_factory=dict)
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_folder(self) -> bool:
        """Whether the output is a folder."""
        return not EXPORTERS[self.kind].single_file


@dataclass(frozen=True)
class Job:
    """One net that is to be condensed. Paths are relative to the job file's folder.

    Parameters
    ----------
    name : str
    inputs : mapping of str to str
        What it reads, by a key of `INPUTS`; model and weights are always there.
    outputs : mapping of str to str
        What it writes, by a key of `OUTPUT_FILES`; the quantized prototxt is always there.
    pareto : str or None
        The folder for the front of cost against score.
    exports : tuple of Export
    options : mapping of str to value
        Those of ``ristretto quantize``, as they are written in the job file.
    keywords : mapping of str to object
        What they, and the data, are to `api.quantize`.
    minimum_accuracy : float or None
        What the condensed net's accuracy must reach, a fraction.
    max_loss : float or None
        What its score, where that is a loss, must not exceed.
    """

    name: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    pareto: str | None = None
    exports: tuple[Export, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    keywords: Mapping[str, Any] = field(default_factory=dict)
    minimum_accuracy: float | None = None
    max_loss: float | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """All paths that it reads, as far as the job file names them."""
        mean = self.keywords["preparation"].mean_file if "preparation" in self.keywords else ""
        return (*self.inputs.values(), *([mean] if mean else []))

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it writes and whose names are known beforehand."""
        return (*self.outputs.values(), *(export.out for export in self.exports if not export.is_folder))

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders that it fills with files."""
        return (
            *([self.pareto] if self.pareto else []),
            *(export.out for export in self.exports if export.is_folder),
        )

    @property
    def decisive_options(self) -> dict[str, Any]:
        """The options that a result may depend on."""
        return {name: value for name, value in self.options.items() if name not in PERFORMANCE}
