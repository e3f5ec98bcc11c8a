"""Widths of layers, what they cost and how they were found: on a terminal, and as plain data."""

from __future__ import annotations

from typing import Any

from ristretto.search import SearchResult, Trial
from ristretto.search.layered import Layered
from ristretto.search.widths import Widths

GIGA = 1e9


def span(widths: Widths) -> str:
    """Give the narrowest and the widest width of weights, then of activations, as ``4-7/7-12``."""
    params = [own.params for own in widths.values()]
    activations = [width for own in widths.values() for width in (own.layer_in, own.layer_out)]
    return "/".join(_span([width for width in found if width is not None]) for found in (params, activations))


def columns(search: SearchResult) -> list[str]:
    """Give the columns that a table of trials has beside others: the cost, where one was minimized."""
    return [] if search.layered is None else [search.layered.cost.name]


def cells(search: SearchResult, trial: Trial) -> list[str]:
    """Give what a trial has in these columns."""
    return [] if search.layered is None else [figure(search.layered.price(trial.widths))]


def chosen(search: SearchResult) -> str:
    """Say which widths were chosen."""
    weights, outputs = span(search.widths).split("/")
    return f"{weights}-bit weights, {outputs}-bit layer outputs"


def closing(layered: Layered, widths: Widths) -> str:
    """Say what the widths cost, and what the search ran."""
    cost, price, in_float = layered.cost, layered.price(widths), layered.price({})
    lines = [
        f"{cost.title}: {figure(price)} {cost.unit}, {_percent(price, in_float)} of the float net's {figure(in_float)}"
    ]
    if layered.best_of_parts is not None:
        parts = layered.price(layered.best_of_parts)
        lines.append(
            f"one width for each part, at best: {figure(parts)} {cost.unit} ({span(layered.best_of_parts)}); "
            f"this is {100 * (1 - price / parts):.1f} % less"
        )
    effort = layered.effort
    ran, naive = (effort.full * count / GIGA for count in (effort.spent, effort.naive))
    lines.append(
        f"run: {figure(ran)} of {figure(naive)} billion multiply-accumulates, {100 * effort.share:.1f} % of a naive "
        f"search ({effort.naive} evaluations of the net: each site alone at each width)"
    )
    return "\n".join(lines)


def of_trial(search: SearchResult, trial: Trial) -> dict[str, Any]:
    """Give a trial's widths, bits, and cost as plain data; nothing where parts have one width."""
    if search.layered is None:
        return {}
    return {"layers": of_widths(trial.widths), "cost": search.layered.price(trial.widths)}


def of_widths(widths: Widths) -> dict[str, dict[str, int | None]]:
    """Give the widths of layers as plain data."""
    return {name: vars(own).copy() for name, own in widths.items()}


def of_search(search: SearchResult) -> dict[str, Any]:
    """Give how widths of layers were chosen as plain data; nothing where parts have one width.

    Returns
    -------
    dict
        Evaluations in multiply-accumulates; a distortion for each width of a site that was free.
    """
    layered = search.layered
    if layered is None:
        return {}
    effort = layered.effort
    return {
        "granularity": "layer",
        "cost": {
            "name": layered.cost.name,
            "unit": layered.cost.unit,
            "value": layered.price(search.widths),
            "float": layered.price({}),
            "one_width_for_each_part": None if layered.best_of_parts is None else layered.price(layered.best_of_parts),
        },
        "evaluations": {
            "full": effort.full,
            "sensitivities": effort.sensitivities,
            "trials": round(effort.full * effort.trials),
            "naive": effort.full * effort.naive,
            "share": effort.share,
        },
        "sites": [
            {
                "name": site.name,
                "part": site.part.value,
                "places": [list(place) for place in site.places],
                "distortions": {str(width): layered.distortions[site.places][width] for width in site.widths},
            }
            for site in layered.sites
        ],
    }


def figure(number: float) -> str:
    """Give a cost with its thousands set apart, to the unit where it is large."""
    return f"{number:,.0f}" if number >= 100 else f"{number:,.3g}"


def _span(widths: list[int]) -> str:
    if not widths:
        return "float"
    low, high = min(widths), max(widths)
    return str(low) if low == high else f"{low}-{high}"


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "nothing"
