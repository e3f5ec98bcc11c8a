"""Results as plain data: what ``--json`` writes."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from ristretto.api import Info, Inspection, Quantized, UpgradedFile
from ristretto.api.inspecting import LayerRow
from ristretto.calibrate import LayerStats, Range
from ristretto.execute import Scores
from ristretto.formats import Format
from ristretto.net import LayerQuant, Part
from ristretto.report import evidence, front_nets, kinds, layers, places
from ristretto.search import Bits, Trial

_NUMBERS = re.compile(r"\[\n\s+[-+.\deE]+(?:,\n\s+[-+.\deE]+)*\n\s+\]")


def quantized(result: Quantized) -> dict[str, Any]:
    """Give a search's result.

    Returns
    -------
    dict
        Scores as fractions, `error_margin` in percentage points, widths and memory in bits, ranges in real units.
    """
    search = result.result
    weighed = evidence.is_weighed(search)
    spread = places.of_layers(result)
    return {
        **kinds.head(kinds.QUANTIZATION),
        "net": result.net.name,
        "trimming_mode": search.spec.trimming_mode,
        "preset": search.preset,
        "formats_by": result.formats_by,
        "score_blob": search.score_blob,
        "higher_is_better": search.higher_is_better,
        "baseline_score": search.baseline.value,
        "baseline_score_argmax": search.baseline.argmax,
        "score": search.score.value,
        "score_argmax": search.score.argmax,
        "error_margin": search.error_margin,
        "within_margin": search.within_margin,
        **(evidence.of_search(search) if weighed else {}),
        **layers.of_search(search),
        "bits": _bits(search.bits),
        "trials": [
            _trial(trial) | (evidence.of_trial(trial) if weighed else {}) | layers.of_trial(search, trial)
            for trial in search.trials
        ],
        "layers": [
            {
                "name": name,
                "type": stats.layer.op.type,
                "part": stats.layer.op.part.value if stats.layer.op.part else None,
                **_quant(search.spec.layers.get(name)),
                **_ranges(stats),
                **places.of_work(result, name),
                "places": spread[name],
            }
            for name, stats in result.stats.layers.items()
        ],
        "macs": result.workload.macs,
        "memory": places.memory(result),
        "graph": [_row(row) for row in result.rows],
        **({"front": front_nets.listed(result)} if result.front else {}),
        "calibration": {"source": result.stats.source, "batches": result.stats.batches},
        "notes": list(search.notes),
    }


def scores(result: Scores) -> dict[str, Any]:
    """Give the mean of every output blob, and the figures beside them."""
    outputs = {blob: value.tolist() for blob, value in result.outputs.items()}
    return {**outputs, **result.companions, "iterations": result.iterations}


def inspection(result: Inspection) -> dict[str, Any]:
    """Give the layers of a net."""
    return {
        "name": result.name,
        "phase": result.phase.value,
        "layers": [_row(row) | _quant(row.quant) for row in result.layers],
        "notes": list(result.notes),
    }


def upgraded(result: UpgradedFile) -> dict[str, Any]:
    """Give what was upgraded in a file, and in which layers."""
    return {
        "kind": result.kind,
        "version": result.version,
        "changes": [{"what": change.what, "layers": list(change.layers)} for change in result.changes],
        "notes": list(result.notes),
    }


def info(result: Info) -> dict[str, Any]:
    """Give versions, tiers, threads, and the state of the cache: sizes in bytes, widths in bits."""
    cache = result.cache
    return {
        "versions": dict(result.versions),
        "tier": result.tier,
        "tier_forced": result.forced,
        "tiers": [
            {"name": row.name, "vector_bits": row.bits, "needs": list(row.needs), "lacks": list(row.lacks)}
            for row in result.tiers
        ],
        "threads": result.threads,
        "cache": {
            "folder": None if cache.folder is None else str(cache.folder),
            "kernels": cache.wanted,
            "compiled": cache.compiled,
            "complete": cache.complete,
            "files": cache.files,
            "bytes": cache.size,
        },
    }


def text(data: dict[str, Any]) -> str:
    """Give JSON text, the same for the same data; numbers that JSON lacks become null, a list of numbers one line."""
    spread = json.dumps(finite(data), indent=2, ensure_ascii=False, allow_nan=False)
    # No text holds a line break as it is, so none of these is one of a text.
    return _NUMBERS.sub(lambda found: " ".join(found[0].split()).replace("[ ", "[").replace(" ]", "]"), spread) + "\n"


def finite(value: Any) -> Any:
    """Give plain data with None for every number that JSON lacks."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _bits(bits: Bits) -> dict[str, int | None]:
    return {part.value: bits.get(part) for part in Part}


def _trial(trial: Trial) -> dict[str, Any]:
    widths = set(trial.bits.values())
    return {
        "part": trial.part,
        "bit_width": widths.pop() if len(widths) == 1 else None,
        "bits": _bits(trial.bits),
        "score": trial.score.value,
        "score_argmax": trial.score.argmax,
        "within_margin": trial.holds,
    }


def _row(row: LayerRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "type": row.type,
        "bottoms": list(row.bottoms),
        "tops": list(row.tops),
        "shapes": None if row.shapes is None else [list(shape) for shape in row.shapes],
        "parameters": row.parameters,
        "macs": row.macs,
    }


def _quant(quant: LayerQuant | None) -> dict[str, Any]:
    if quant is None:
        return {"formats": None}
    places = {"layer_in": quant.layer_in, "layer_out": quant.layer_out, "params": quant.params}
    return {"formats": {place: of_format(fmt) for place, fmt in places.items()}}


def of_format(fmt: Format | None) -> dict[str, Any] | None:
    """Give a format: its name, the bits of a number, and its own settings."""
    return None if fmt is None else {"name": fmt.name, "bits": fmt.bits, **vars(fmt)}


def _ranges(stats: LayerStats) -> dict[str, Any]:
    return {
        "ranges": {
            "layer_in": _range(stats.layer_in.range),
            "layer_out": _range(stats.layer_out.range),
            "weights": _range(stats.weights),
            "params": _range(stats.params),
        }
    }


def _range(values: Range) -> list[float]:
    return [values.min, values.max]
