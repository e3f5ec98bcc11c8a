"""From what was read to the page: charts drawn, numbers written out, all set into the template."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from ristretto.formats.base import FLOAT_BITS
from ristretto.net.quant import bits_of
from ristretto.report.page import accuracy, drawing, figures, front_chart, histogram, sensitivity, wiring
from ristretto.report.page.model import CondensedLayer, Findings, Interval, Memory, Result
from ristretto.report.sweep import SWEPT_PART_NAMES, mode_name

PLACE_NAMES = {"layer_in": "input", "params": "weights", "layer_out": "output"}
"""What the page calls a layer's places."""


def render(findings: Findings) -> bytes:
    """Give the page: one file, the same for the same findings, that asks nothing of a network.

    Parameters
    ----------
    findings : Findings
        As `ristretto.report.page.read` gives them.
    """
    result, sweep, front = findings.result, findings.sweep, findings.front
    style, script = _resource("page.css"), _resource("page.js")
    text = (
        _environment()
        .get_template("page.html.jinja")
        .render(
            result=result,
            sweep=sweep,
            front=front,
            style=Markup(style),
            script=Markup(script),
            # Nothing else can run or be fetched, whatever a file may say.
            policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; "
            "base-uri 'none'; form-action 'none'",
            lead=_lead(result),
            margin_unit=_unit(result, result.error_margin),
            widths=_widths(result),
            trials=accuracy.of_trials(result),
            swept=[] if sweep is None else accuracy.of_sweep(sweep),
            modes=[] if sweep is None else [mode_name(mode) for mode in accuracy.modes_of(sweep)],
            place_names=PLACE_NAMES,
            part_names=SWEPT_PART_NAMES,
            histograms=[_histograms(layer) for layer in result.layers],
            sensitivity_widths=sensitivity.widths_of(result.sites),
            sensitivities=sensitivity.rows(result.sites, SWEPT_PART_NAMES),
            shades=range(sensitivity.SHADES + 1),
            front_chart=None if front is None else front_chart.drawn(front, result),
            drawing=drawing.drawn(result.nodes, result.layers),
            boxes=wiring.connect(result.nodes, result.layers)[0],
        )
    )
    return text.encode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "count": figures.count,
        "size": figures.size,
        "real": figures.real,
        "share": figures.share,
        "decibels": figures.decibels,
        "hundredths": figures.hundredths,
        "interval": _interval,
        "key": _key,
        "percent_of": _percent_of,
        "mode": mode_name,
        "fl": _fl,
        "stored": _stored,
    }
    environment.globals |= {"score": _score, "FLOAT_BITS": FLOAT_BITS}
    return environment


@cache
def _resource(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")


def _hash(text: str) -> str:
    """Give the word by which a page's policy lets one style or one script pass."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _score(result: Result, value: float | None) -> str:
    return figures.score(value, higher_is_better=result.higher_is_better)


def _unit(result: Result, number: float) -> str:
    """Give what a margin is told in: percentage points of an accuracy, hundredths of a loss."""
    unit = "point" if result.higher_is_better else "hundredth"
    return unit if number == 1 else f"{unit}s"


def _lead(result: Result) -> str:
    """Say in a sentence what came out."""
    mode = mode_name(result.trimming_mode)
    scores = f"{result.score_blob} {_score(result, result.score)}, where the float net has"
    change = ""
    if result.score is not None and result.baseline is not None:
        moved = result.score - result.baseline
        change = f" ({figures.hundredths(moved)} {_unit(result, abs(round(100 * moved, 2)))})"
    return f"{mode[:1].upper()}{mode[1:]}: {scores} {_score(result, result.baseline)}{change}."


def _widths(result: Result) -> list[tuple[str, str]]:
    """Give the widths chosen: of the parts, or the ranges of those that layers have."""
    if result.bits:
        return [(SWEPT_PART_NAMES.get(part, part), str(width)) for part, width in result.bits.items()]
    found: dict[str, set[int]] = {"weights": set(), "layer inputs and outputs": set()}
    for layer in result.layers:
        for place in layer.places:
            if place.fmt is not None:
                found["weights" if place.key == "params" else "layer inputs and outputs"].add(place.fmt.bits)
    return [(name, "\u2013".join(dict.fromkeys((str(min(own)), str(max(own)))))) for name, own in found.items() if own]


def _histograms(layer: CondensedLayer) -> list[histogram.Drawn]:
    return [histogram.drawn(place, f"{layer.name}, {PLACE_NAMES[place.key]}") for place in layer.places]


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f"{figures.hundredths(interval.low)} \u2026 {figures.hundredths(interval.high)}"


def _key(value: float | None) -> str:
    """Give what a column is sorted by; nothing for what has no number, which then stands last."""
    return "" if value is None else repr(float(value))


def _percent_of(memory: Memory) -> str:
    return figures.share(memory.condensed / memory.in_float) if memory.in_float else figures.NONE


def _fl(fmt: Any) -> str:
    """Give a fractional length; of formats that have none, what they have instead."""
    return figures.signed(fmt.fl) if hasattr(fmt, "fl") else fmt.describe()


def _stored(layer: CondensedLayer, key: str) -> int | None:
    """Give the bits that a layer's input or output takes, for one picture."""
    fmt = next(place.fmt for place in layer.places if place.key == key)
    numbers = layer.numbers.get(key)
    return None if numbers is None else numbers * bits_of(fmt)
