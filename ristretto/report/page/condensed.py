"""From a result of `quantize` as JSON to what a page shows of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

from ristretto.errors import FormatError
from ristretto.formats import FORMATS, Format
from ristretto.report.page.entry import Entry
from ristretto.report.page.model import (
    Attempt,
    Bins,
    CondensedLayer,
    Cost,
    Interval,
    Memory,
    Node,
    Place,
    Result,
    Site,
)

MOST_BINS = 1024
"""Bins of a histogram that a page draws; ours have 64."""


def read_result(entry: Entry) -> Result:
    """Read a result of `quantize`.

    Raises
    ------
    ResultError
        When something of it is missing, or not what it should be.
    """
    layers = tuple(_layer(item) for item in entry["layers"].items())
    decided, cost = entry["decided"], entry["cost"]
    baseline = entry["baseline_score"].number_if_given()
    return Result(
        version=entry["ristretto_version"].text(),
        net=entry["net"].text(),
        trimming_mode=entry["trimming_mode"].text(),
        preset=entry["preset"].text(),
        score_blob=entry["score_blob"].text(),
        higher_is_better=entry["higher_is_better"].flag(),
        baseline=baseline,
        baseline_argmax=entry["baseline_score_argmax"].number_if_given(),
        decided_baseline=decided["baseline_score"].number_if_given() if decided.given else baseline,
        score=entry["score"].number_if_given(),
        argmax=entry["score_argmax"].number_if_given(),
        difference=_interval(entry["difference"]),
        error_margin=entry["error_margin"].number(),
        confidence=entry["confidence"].number_if_given(),
        within_margin=entry["within_margin"].flag(),
        bits=_bits(entry["bits"]),
        attempts=tuple(_attempt(item, layers) for item in entry["trials"].items()),
        layers=layers,
        nodes=tuple(_node(item) for item in entry["graph"].items()),
        sites=tuple(_site(item, layers) for item in entry["sites"].items()) if entry["sites"].given else (),
        macs=entry["macs"].count(),
        weights=_memory(entry["memory"]["params"]),
        activations=_memory(entry["memory"]["activations"]),
        cost=Cost(cost["name"].text(), cost["unit"].text()) if cost.given else None,
        source=entry["calibration"]["source"].text(),
        batches=entry["calibration"]["batches"].count(),
        notes=entry["notes"].texts(),
    )


def _layer(entry: Entry) -> CondensedLayer:
    formats, ranges, places = entry["formats"], entry["ranges"], entry["places"]

    def place(key: str) -> Place:
        fmt = _format(formats[key]) if formats.given else None
        ends = [end.number() for end in ranges[key].items()]
        if len(ends) != 2:
            raise ranges[key].wrong("no range")
        seen = places[key]
        lost = seen["saturated"].given
        return Place(
            key=key,
            fmt=fmt,
            low=ends[0],
            high=ends[1],
            bins=_bins(seen["histogram"]),
            sqnr=seen["sqnr"].number_if_given(),
            saturated=seen["saturated"].number() if lost else None,
            rectified=seen["rectified"].flag() if seen["rectified"].given else False,
        )

    numbers = entry["numbers"]
    return CondensedLayer(
        name=entry["name"].text(),
        type=entry["type"].text(),
        part=entry["part"].text(),
        places=(place("layer_in"), place("params"), place("layer_out")),
        macs=entry["macs"].count_if_given(),
        numbers={key: item.count() for key, item in numbers.pairs()} if numbers.given else {},
        param_bits=entry["param_bits"].count_if_given(),
    )


def _format(entry: Entry) -> Format | None:
    """Give a format from its name and its parameters."""
    if not entry.given:
        return None
    known = {kind.name: kind for kind in FORMATS}
    name = entry["name"].text()
    if name not in known:
        raise entry["name"].wrong("no number format that this version knows")
    wanted = [field.name for field in fields(known[name])]
    values = {}
    for key in wanted:
        number = entry[key].number()
        if number != int(number):
            raise entry[key].wrong("no whole number")
        values[key] = int(number)
    try:
        return known[name](**values)
    except FormatError as error:
        raise entry.wrong(f"no format: {error.message}") from error


def _bins(entry: Entry) -> Bins:
    counts = tuple(item.count() for item in entry["counts"].items())
    width = entry["width"].number()
    if not counts or len(counts) > MOST_BINS or width <= 0:
        raise entry.wrong("no histogram")
    return Bins(entry["start"].number(), width, counts)


def _node(entry: Entry) -> Node:
    shapes = entry["shapes"]
    return Node(
        name=entry["name"].text(),
        type=entry["type"].text(),
        bottoms=entry["bottoms"].texts(),
        tops=entry["tops"].texts(),
        shapes=tuple(tuple(size.count() for size in shape.items()) for shape in shapes.items()) if shapes.given else (),
        parameters=entry["parameters"].count_if_given(),
        macs=entry["macs"].count_if_given(),
    )


def _attempt(entry: Entry, layers: Sequence[CondensedLayer]) -> Attempt:
    bits = _bits(entry["bits"])
    by_layer = (
        {name: own["params"].count_if_given() for name, own in entry["layers"].pairs()}
        if (entry["layers"].given)
        else {layer.name: bits.get(layer.part) for layer in layers}
    )
    width = entry["bit_width"].count_if_given()
    return Attempt(
        part=entry["part"].text(),
        widths="/".join(str(own) for own in bits.values()) or _span(entry["layers"]),
        mean=width if width is not None else _mean(by_layer, layers),
        score=entry["score"].number_if_given(),
        argmax=entry["score_argmax"].number_if_given(),
        holds=entry["within_margin"].flag(),
        stopped=entry["stopped"].flag() if entry["stopped"].given else False,
        difference=_interval(entry["difference"]),
        cost=entry["cost"].number_if_given(),
    )


def _mean(widths: Mapping[str, int | None], layers: Sequence[CondensedLayer]) -> float | None:
    """Give the mean width of weights; None where some are in float, or unknown."""
    total = weighed = 0
    for layer in layers:
        width, numbers = widths.get(layer.name), layer.numbers.get("params")
        if width is None or numbers is None:
            return None
        total, weighed = total + numbers, weighed + numbers * width
    return weighed / total if total else None


def _span(entry: Entry) -> str:
    """Give the ranges of widths that layers have, of weights and of activations."""
    if not entry.given:
        return "float"
    own = [item for _, item in entry.pairs()]
    params = [item["params"].count_if_given() for item in own]
    activations = [item[key].count_if_given() for item in own for key in ("layer_in", "layer_out")]
    texts = []
    for found in (params, activations):
        widths = sorted({width for width in found if width is not None})
        texts.append(
            "float" if not widths else "\u2013".join(str(end) for end in dict.fromkeys((widths[0], widths[-1])))
        )
    return " / ".join(texts)


def _site(entry: Entry, layers: Sequence[CondensedLayer]) -> Site:
    formats = {(layer.name, place.key): place.fmt for layer in layers for place in layer.places}
    places = [item.texts() for item in entry["places"].items()]
    chosen = formats.get((places[0][0], places[0][1])) if places and len(places[0]) == 2 else None
    distortions: dict[int, float | None] = {}
    for key, value in entry["distortions"].pairs():
        if not (key.isascii() and key.isdigit() and 1 <= int(key) <= 32):
            raise entry["distortions"].wrong("no object with widths as keys")
        distortions[int(key)] = value.number_if_given()
    return Site(entry["name"].text(), entry["part"].text(), distortions, None if chosen is None else chosen.bits)


def _bits(entry: Entry) -> dict[str, int]:
    return {part: width.count() for part, width in entry.pairs() if width.given}


def _interval(entry: Entry) -> Interval | None:
    if not entry.given:
        return None
    return Interval(entry["low"].number(), entry["high"].number(), entry["level"].number())


def _memory(entry: Entry) -> Memory:
    return Memory(entry["float"].count(), entry["condensed"].count())
