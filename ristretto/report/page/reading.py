"""From files of JSON to what a page shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ristretto.errors import ResultError
from ristretto.report import kinds
from ristretto.report.page.condensed import read_result
from ristretto.report.page.entry import Entry, shown
from ristretto.report.page.model import Findings, Front, FrontNet, Sweep, SweptPoint

COMMAND = "ristretto quantize --json FILE"


def read(paths: Iterable[str | Path]) -> Findings:
    """Read files of results: one of `quantize`, and what goes with it.

    Parameters
    ----------
    paths : iterable of paths
        A quantization, and, in any order, a sweep and a front of the same net.

    Raises
    ------
    ResultError
        When a file is missing, damaged, of another kind or of a newer version, when there are two of one kind or no
        quantization, or when they are of different nets.
    """
    return _together([_load(str(path)) for path in paths])


def read_text(text: str | bytes, name: str = "result") -> Findings:
    """Read a result of `quantize` that is no file, or not yet one; see `read`."""
    return _together([_parsed(text, name)])


def _together(entries: Iterable[Entry]) -> Findings:
    found: dict[str, Entry] = {}
    for entry in entries:
        kind = _kind(entry)
        if kind in found:
            raise ResultError(
                f"{found[kind].file} and {entry.file} are both of the kind '{kind}'", hint="name one file of each kind"
            )
        found[kind] = entry
    if kinds.QUANTIZATION not in found:
        files = ", ".join(entry.file for entry in found.values())
        raise ResultError(f"no result of a quantization: {files}", hint=f"one is written by: {COMMAND}")
    main = found[kinds.QUANTIZATION]
    result = read_result(main)
    sweep = _sweep(found[kinds.SWEEP]) if kinds.SWEEP in found else None
    front = _front(found.get(kinds.FRONT, main["front"])) if kinds.FRONT in found or main["front"].given else None
    for kind, other in ((kinds.SWEEP, sweep), (kinds.FRONT, front)):
        if other is not None and other.net != result.net:
            file = found.get(kind, main).file
            raise ResultError(
                f"{file} is of the net '{other.net}', {main.file} of '{result.net}'", hint="a page is about one net"
            )
    return Findings(result, sweep, front)


def _load(path: str) -> Entry:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ResultError(f"cannot read {path}: {error.strerror}", hint=f"one is written by: {COMMAND}") from error
    return _parsed(data, path)


def _parsed(text: str | bytes, name: str) -> Entry:
    try:
        return Entry(json.loads(text), name)
    except (ValueError, RecursionError) as error:
        what = "it nests too deeply" if isinstance(error, RecursionError) else str(error)
        raise ResultError(f"{name} is no JSON: {shown(what)}", hint=f"one is written by: {COMMAND}") from error


def _kind(entry: Entry) -> str:
    """Give the kind of a file, once it is sure that this version can read it."""
    kind = entry.value.get("kind") if isinstance(entry.value, dict) else None
    if not isinstance(kind, str) or kind not in KINDS or not entry["schema"].given:
        raise ResultError(
            f"{entry.file} is no result that a report can show",
            hint=f"one is written by: {COMMAND}; those of ristretto sweep and of --pareto may stand beside it",
        )
    schema = entry["schema"].count()
    if schema > kinds.SCHEMA:
        raise ResultError(
            f"{entry.file} is of schema {schema}, and this version of ristretto reads {kinds.SCHEMA}",
            hint="update ristretto-cnn, or write the file anew with this version",
        )
    return kind


def _sweep(entry: Entry) -> Sweep:
    return Sweep(
        net=entry["net"].text(),
        score_blob=entry["score_blob"].text(),
        higher_is_better=entry["higher_is_better"].flag(),
        baseline=entry["baseline_score"].number_if_given(),
        points=tuple(
            SweptPoint(
                item["trimming_mode"].text(),
                item["part"].text(),
                _width(item["bit_width"]),
                item["score"].number_if_given(),
            )
            for item in entry["trials"].items()
        ),
    )


def _width(entry: Entry) -> int:
    width = entry.count()
    if not 1 <= width <= 32:
        raise entry.wrong("no width between 1 and 32 bits")
    return width


def _front(entry: Entry) -> Front:
    cost = entry["cost"]
    nets = [
        FrontNet(
            prototxt=item["prototxt"].text(),
            cost=item["cost"].number(),
            score=item["score"].number_if_given(),
            argmax=item["score_argmax"].number_if_given(),
            holds=item["within_margin"].flag(),
            chosen=item["chosen"].flag(),
        )
        for item in entry["nets"].items()
    ]
    return Front(
        net=entry["net"].text(),
        cost=cost["name"].text(),
        unit=cost["unit"].text(),
        in_float=cost["float"].number(),
        nets=tuple(sorted(nets, key=lambda net: net.cost)),
    )


KINDS: Mapping[str, Callable[[Entry], object]] = {
    kinds.QUANTIZATION: read_result,
    kinds.SWEEP: _sweep,
    kinds.FRONT: _front,
}
"""What a page can show, by kind."""
