"""A result as `ristretto quantize --json` writes one, small and made by hand, for tests to change."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from ristretto.report.page import read_text
from ristretto.report.page.model import Findings

Plain = dict[str, Any]


def fixed(bw: int, fl: int) -> Plain:
    return {"name": "dynamic_fixed_point", "bw": bw, "fl": fl}


def place(counts: list[int], start: float, width: float, **more: Any) -> Plain:
    return {
        "histogram": {"start": start, "width": width, "counts": counts},
        "sqnr": 20.5,
        "mean_square": 1.0,
        "squared_error": 0.01,
        "saturated": 0.25,
        **more,
    }


def layer(name: str, *, bw: int = 4, macs: int = 1000) -> Plain:
    return {
        "name": name,
        "type": "Convolution",
        "part": "conv_params",
        "formats": {"layer_in": fixed(bw, 2), "layer_out": fixed(bw, 1), "params": fixed(bw, 4)},
        "ranges": {"layer_in": [0.0, 1.0], "layer_out": [-3.0, 2.5], "weights": [-0.5, 0.5], "params": [-0.5, 0.6]},
        "macs": macs,
        "numbers": {"layer_in": 16, "layer_out": 8, "params": 40},
        "param_bits": 40 * bw,
        "places": {
            "layer_in": place([5, 0, 3], -0.1, 0.5, rectified=False, sqnr=None, squared_error=0.0, saturated=0.0),
            "layer_out": place([1, 4, 2], -3.0, 2.0, rectified=True),
            "params": place([1, 1], -0.6, 0.6),
        },
    }


def node(name: str, kind: str, bottoms: list[str], tops: list[str], macs: int = 0) -> Plain:
    return {
        "name": name,
        "type": kind,
        "bottoms": bottoms,
        "tops": tops,
        "shapes": [[2, 4, 2, 2] for _ in tops],
        "parameters": 40 if macs else 0,
        "macs": macs,
    }


def trial(part: str, width: int | None, score: float | None, *, holds: bool = True, **more: Any) -> Plain:
    bits = {name: width if part in (name, "all") else None for name in ("conv_params", "fc_params", "activations")}
    return {
        "part": part,
        "bit_width": width,
        "bits": bits,
        "score": score,
        "score_argmax": score,
        "within_margin": holds,
        **more,
    }


def result(*names: str) -> Plain:
    """Give a result of a net of these convolutions, one after the other, each with a ReLU in place."""
    names = names or ("first", "second", "third")
    graph = [node("digits", "Data", [], ["data", "label"])]
    below = "data"
    for name in names:
        graph += [node(name, "Convolution", [below], [name], 1000), node(f"{name}_relu", "ReLU", [name], [name])]
        below = name
    graph.append(node("accuracy", "Accuracy", [below, "label"], ["accuracy"]))
    widths = {name: {"layer_in": 4, "layer_out": 4, "params": 4} for name in names}
    return {
        "kind": "quantization",
        "schema": 1,
        "ristretto_version": "0.1.0",
        "net": "Small",
        "trimming_mode": "dynamic_fixed_point",
        "preset": "accurate",
        "formats_by": "auto",
        "score_blob": "accuracy",
        "higher_is_better": True,
        "baseline_score": 0.995,
        "baseline_score_argmax": 0.995,
        "score": 0.98,
        "score_argmax": 0.985,
        "error_margin": 2.0,
        "within_margin": True,
        "difference": {"low": -0.034, "high": 0.0045, "level": 0.95},
        "confidence": None,
        "bits": {"conv_params": 4, "fc_params": None, "activations": 4},
        "trials": [
            trial("conv_params", 8, 0.99, difference={"low": -0.01, "high": 0.01, "level": 0.95}, stopped=False),
            trial("conv_params", 4, 0.985, cost=640.0),
            trial("conv_params", 1, 0.1, holds=False, stopped=True),
            trial("layers", None, 0.98, layers=widths, cost=480.0),
            trial("all", 4, None, holds=False),
        ],
        # Their multiply-accumulates fall, so that an order by them is not the net's.
        "layers": [layer(name, macs=1000 * (len(names) - place)) for place, name in enumerate(names)],
        "macs": 6000,
        "memory": {
            "params": {"float": 3840, "condensed": 480},
            "activations": {"float": 1024, "condensed": 128},
        },
        "graph": graph,
        "sites": [
            {
                "name": names[0],
                "part": "conv_params",
                "places": [[names[0], "params"]],
                "distortions": {"2": 1.5, "4": 0.001, "8": 0.0},
            }
        ],
        "cost": {"name": "weight_bits", "unit": "bits", "value": 480.0, "float": 3840.0},
        "front": front(),
        "calibration": {"source": "digits", "batches": 10},
        "notes": ["a note"],
    }


def front(net: str = "Small") -> Plain:
    nets = [
        {
            "prototxt": f"net_{number:02d}.prototxt",
            "caffemodel": None,
            "cost": cost,
            "score": score,
            "score_argmax": score,
            "within_margin": score > 0.97,
            "chosen": number == 2,
            "layers": {},
        }
        for number, (cost, score) in enumerate([(240.0, 0.9), (480.0, 0.98), (960.0, 0.99)], 1)
    ]
    return {
        "kind": "front",
        "schema": 1,
        "ristretto_version": "0.1.0",
        "net": net,
        "cost": {"name": "weight_bits", "unit": "bits", "float": 3840.0},
        "score_blob": "accuracy",
        "higher_is_better": True,
        "baseline_score": 0.995,
        "error_margin": 2.0,
        "nets": nets,
    }


def sweep(net: str = "Small") -> Plain:
    points = [
        {"trimming_mode": mode, "part": part, "bit_width": width, "score": score, "score_argmax": score}
        for mode, gain in (("fixed_point", 0.0), ("dynamic_fixed_point", 0.05))
        for part in ("conv_params", "all")
        for width, score in ((8, 0.9 + gain), (4, 0.5 + gain))
    ]
    return {
        "kind": "sweep",
        "schema": 1,
        "ristretto_version": "0.1.0",
        "net": net,
        "preset": "accurate",
        "formats_by": "auto",
        "score_blob": "accuracy",
        "higher_is_better": True,
        "iterations": 4,
        "baseline_score": 0.995,
        "baseline_score_argmax": 0.995,
        "trials": points,
        "calibration": {"source": "digits", "batches": 10},
        "notes": [],
    }


def changed(data: Plain, way: str, value: Any) -> Plain:
    """Give a copy with another value at the end of a way such as ``layers.0.macs``; None takes it away."""
    copy = deepcopy(data)
    *steps, last = [int(step) if step.isdigit() else step for step in way.split(".")]
    inner: Any = copy
    for step in steps:
        inner = inner[step]
    inner[last] = value
    return copy


def findings(data: Plain) -> Findings:
    return read_text(json.dumps(data), "R.json")
