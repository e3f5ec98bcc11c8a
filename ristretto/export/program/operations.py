"""A net's operations in order, as plain data: what a manifest lists, and what a program is made from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from ristretto.errors import in_layer
from ristretto.export.base import Subject
from ristretto.export.program.build import build
from ristretto.export.program.graph import Copy, Function, Graph, Load, Multiply, Node, Pick, Value
from ristretto.export.program.made import Results, divided
from ristretto.export.program.numbers import Finish, Numbers, finished, in_order, word_of
from ristretto.export.program.results import results_of
from ristretto.export.stems import stems
from ristretto.formats import Arithmetic
from ristretto.hardware.grid import Grid
from ristretto.net.form import Join, Response, Window
from ristretto.net.op import Array

KINDS: dict[type, str] = {
    Load: "input",
    Copy: "copy",
    Pick: "pick",
    Multiply: "multiply",
    Function: "table",
    Window: "window",
    Join: "join",
    Response: "response",
}
"""What a manifest calls an operation."""

Plain = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Operations:
    """What a net does to one picture.

    Parameters
    ----------
    listed : list of dict
        Operations in an order in which they can run, as JSON has them; ``docs/hardware.md`` says what they hold.
    arrays : mapping of str to array
        Their constants, by the names that they have in the list.
    """

    listed: list[Plain]
    arrays: Mapping[str, Array]


def operations(subject: Subject) -> Operations:
    """Give the operations of a net.

    Raises
    ------
    ModelError
        When a layer that others depend on cannot be done in integers.
    """
    graph = build(subject)
    names = _names(graph)
    stem = stems(dict.fromkeys(_main(node) for node in graph.nodes))
    writer = _Writer(graph, names, subject.arithmetic)
    listed: list[Plain] = []
    arrays: dict[str, Array] = {}
    taken: set[str] = set()
    for node in graph.nodes:
        name = _free(stem[_main(node)], taken, stem.values())
        taken.add(name)
        with in_layer(_main(node)):
            entry, constants = writer.entry(node)
        entry["arrays"] = {key: f"{name}.{key}" for key in constants}
        arrays |= {f"{name}.{key}": array for key, array in constants.items()}
        listed.append({"name": name, **entry})
    for output in graph.outputs:
        listed.append(
            {
                "name": f"{names[output.value]}_out",
                "kind": "output",
                "blob": output.blob,
                "input": names[output.value],
                "readers": list(output.readers),
            }
        )
    return Operations(listed, arrays)


def _main(node: Node) -> str:
    """Give the layer whose own work a node does."""
    return node.work.layers[-1].name if isinstance(node.work, Function) else node.layers[0]


def _free(layer: str, taken: Collection[str], layers: Collection[str]) -> str:
    """Give an operation a name: its layer's, from the second one on with a number behind it; no other layer's."""
    if layer not in taken:
        return layer
    numbered = (f"{layer}_op{number}" for number in count(2))
    return next(name for name in numbered if name not in taken and name not in layers)


def _names(graph: Graph) -> dict[Value, str]:
    """Give every value a name: its blob's, numbered from the second version on."""
    counts: dict[str, int] = {}
    spoken: dict[Value, str] = {}
    for node in graph.nodes:
        blob = node.output.blob
        counts[blob] = counts.get(blob, 0) + 1
        spoken[node.output] = blob if counts[blob] == 1 else f"{blob} v{counts[blob]}"
    unique: dict[str, Value] = {}
    for value, name in spoken.items():
        while name in unique:
            name += "'"
        unique[name] = value
    return {unique[name]: stem for name, stem in stems(unique).items()}


@dataclass(frozen=True, eq=False)
class _Writer:
    graph: Graph
    names: Mapping[Value, str]
    arithmetic: Arithmetic

    def entry(self, node: Node) -> tuple[Plain, Mapping[str, Array]]:
        """Give an operation, and its constants by kind."""
        results, finish = self._finished(node)
        # What readers were made for; a sum with a divisor has none.
        numbers = node.output.numbers if isinstance(node.output.numbers, Grid) else finish.numbers
        is_integer = results.are_integers and not finish.bound
        if isinstance(node.work, Load):
            is_integer = isinstance(numbers, Grid)
        entry = {
            "kind": KINDS[type(node.work)],
            "layers": node.layers,
            "integer": is_integer,
            "inputs": [self.names[value] for value in node.inputs],
            "output": {
                "name": self.names[node.output],
                "blob": node.output.blob,
                "shape": list(node.output.shape),
                "numbers": _numbers(numbers, results.divisor if not node.steps else 1),
            },
            **results.settings,
            "finish": _finish(finish),
        }
        if isinstance(node.work, Window):
            entry["takes"] = "mean" if node.work.mean else "largest"
            entry["divides"] = node.work.mean and results.divisor != 1 and bool(node.steps)
        return entry, results.arrays

    def _finished(self, node: Node) -> tuple[Results, Finish]:
        trims, _ = in_order(node.steps, self.arithmetic)
        trim = trims[0] if trims else None
        results = results_of(node.work, node.inputs, trim, self.arithmetic)
        if trim is None and (node.steps or not results.divisor or self._is_read_inside(node.output)):
            results = divided(results, node.inputs)
        if isinstance(node.work, Load):
            return results, Finish(node.output.numbers)
        return results, finished(results.numbers, node.steps, self.arithmetic, divides=results.divisor != 1)

    def _is_read_inside(self, value: Value) -> bool:
        return any(read is value for node in self.graph.nodes for read in node.inputs)


def _numbers(numbers: Numbers, divisor: int) -> Plain:
    if isinstance(numbers, Grid):
        entry = {"kind": "codes", "fl": numbers.fl, "low": numbers.low, "high": numbers.high}
        return entry | {"divisor": divisor} if divisor > 1 else entry
    return {"kind": "binary32"}


def _finish(finish: Finish) -> Plain:
    bound, encode = finish.bound, finish.encode
    return {
        "bound": None if bound is None else [word_of(bound.low), word_of(bound.high)],
        "encode": None if encode is None else {"fl": encode.fl, "low": encode.low_code, "high": encode.high_code},
        "stages": [{"shift": stage.shift, "low": stage.low, "high": stage.high} for stage in finish.stages],
    }
