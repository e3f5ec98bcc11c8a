"""A Pareto front as files: each net's prototxt, a list of them as JSON, a plot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ristretto.api import Quantized
from ristretto.report import plain, plot
from ristretto.report.front_nets import caffemodel, listed, prototxt

LIST = "front.json"
PLOTS = tuple(f"front.{kind}" for kind in plot.NO_MARKS)


def fixed_files(folder: str) -> list[Path]:
    """Give the files of a front that do not depend on how many nets it has."""
    return [Path(folder) / name for name in (LIST, *PLOTS)]


def files(folder: str, result: Quantized) -> Iterator[tuple[Path, bytes]]:
    """Give every file of a front, with its content.

    Nets are numbered from cheap to dear. One with weights of its own comes with a caffemodel; every other takes that of
    the result.
    """
    place = Path(folder)
    for number, net in enumerate(result.front, 1):
        yield place / prototxt(number), net.encoded()
        if net.has_own_weights:
            yield place / caffemodel(number), net.encoded_weights()
    yield place / LIST, plain.text(listed(result)).encode()
    for kind in plot.NO_MARKS:
        yield place / f"front.{kind}", _drawn(result, kind)


def _drawn(result: Quantized, kind: str) -> bytes:
    search = result.result
    assert search.layered is not None
    cost, percent = search.layered.cost, 100 if search.higher_is_better else 1
    nets = [net.net for net in result.front]
    return plot.plot_front(
        [net.cost for net in nets],
        [percent * net.trial.score.value for net in nets],
        ["chosen" if net.chosen else "" for net in nets],
        kind,
        cost_name=f"{cost.title}, {cost.unit}",
        score_name=f"{search.score_blob}, %" if search.higher_is_better else search.score_blob,
        title=f"{result.net.name or 'net'}: {search.score_blob} against {cost.name}",
        baseline=percent * search.decided.baseline.value,
    )
