"""An operation of a manifest as a call in C, and the constants that stand before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ristretto.export.program.memory import STORAGES, Blob, Storage
from ristretto.export.program.text import blob_name, comment, constant_name, count_macro, described
from ristretto.hardware.grid import bits_for
from ristretto.net.op import Array

Plain = Mapping[str, Any]
SHORT, LONG = 32, 64
AS_IT_IS = "&as_it_is"
"""What stands for no stages at all."""


@dataclass(frozen=True)
class Integer:
    """An integer of C."""

    bits: int

    @property
    def type(self) -> str:
        """Its type."""
        return f"int{self.bits}_t"


@dataclass(frozen=True)
class Multiplication:
    """A function that multiplies and accumulates numbers of certain types.

    Parameters
    ----------
    input, weight, bias, sum : Integer
    powers : bool
        Whether weights are powers of two.
    """

    input: Integer
    weight: Integer
    bias: Integer
    sum: Integer
    powers: bool

    @property
    def name(self) -> str:
        """The function's name."""
        kind = "shift" if self.powers else "multiply"
        return f"{kind}_{self.input.bits}_by_{self.weight.bits}_in_{self.sum.bits}_with_{self.bias.bits}"

    @property
    def weight_words(self) -> str:
        """What the weights are."""
        return "powers of two" if self.powers else f"{self.weight.bits}-bit weights"


@dataclass(frozen=True)
class Call:
    """One operation in C.

    Parameters
    ----------
    caption : str
    constants, calls : sequence of str
        Lines.
    multiplication : Multiplication or None
        What it calls, where that is one.
    finish : str
        What it is told of the trims of its results; empty where it has none.
    raises : bool
        Whether it needs powers of numbers of binary32.
    """

    caption: str
    constants: Sequence[str]
    calls: Sequence[str]
    multiplication: Multiplication | None = None
    finish: str = ""
    raises: bool = False


def call_of(operation: Plain, blobs: Mapping[str, Blob], arrays: Mapping[str, Array], prefix: str) -> Call:
    """Give the call for an operation.

    Parameters
    ----------
    operation : mapping
        One of a manifest's.
    blobs : mapping of str to Blob
        All values in memory.
    arrays : mapping of str to array
    prefix : str
        Of the program's macros.
    """
    return _Writer(operation, blobs, arrays, prefix).call()


@dataclass(frozen=True, eq=False)
class _Writer:
    operation: Plain
    blobs: Mapping[str, Blob]
    arrays: Mapping[str, Array]
    prefix: str

    def call(self) -> Call:
        """Write it."""
        return WRITERS[self.operation["kind"]](self)

    # Ends

    def _input(self) -> Call:
        blob = self.blobs[self.operation["output"]["name"]]
        return self._moved(blob, f"{blob.storage.pool}[{blob.offset} + i] = {blob.value['name']}_in[i];", "Input")

    def _output(self) -> Call:
        blob = self.blobs[self.operation["input"]]
        return self._moved(blob, f"{blob.value['name']}_out[i] = {blob.storage.pool}[{blob.offset} + i];", "Output")

    def _moved(self, blob: Blob, line: str, what: str) -> Call:
        macro = count_macro(blob.value["name"], self.prefix)
        loop = [f"for (int32_t i = 0; i < {macro}; i++)", f"    {line}"]
        return Call(comment(f"{what} {blob.value['blob']}: {described(blob.value['numbers'])}."), [], loop)

    # Parts of calls

    @property
    def _ins(self) -> list[str]:
        return [f"&{blob_name(name)}" for name in self.operation["inputs"]]

    @property
    def _out(self) -> str:
        return f"&{blob_name(self.operation['output']['name'])}"

    def _constant(self, key: str) -> str:
        return constant_name(self.operation["arrays"][key], self.prefix)

    def _several(self) -> str:
        return f"static const struct blob *const in[] = {{{', '.join(self._ins)}}};"

    def _numbers(self, name: str, kind: str, numbers: Sequence[int]) -> str:
        return f"static const {kind} {name}[] = {_braced(numbers)};"

    @property
    def _real(self) -> str:
        """The end of the names of functions that compute with numbers of binary32."""
        return "" if self.operation["integer"] else "_real"

    def _finish(self) -> tuple[list[str], str]:
        finish = self.operation["finish"]
        lines, codes = [], "{0, 0}"
        if finish["stages"]:
            stages = [_braced([stage["shift"], stage["low"], stage["high"]]) for stage in finish["stages"]]
            lines = [f"static const struct stage stages[] = {_braced(stages)};"]
            codes = f"{{stages, {len(finish['stages'])}}}"
        if not self._real:
            if not lines:
                return [], AS_IT_IS
            return [*lines, f"static const struct finish finish = {codes};"], "&finish"
        if bound := finish["bound"]:
            lines.append(f"static const uint32_t bound[2] = {_braced(bound)};")
        if encode := finish["encode"]:
            numbers = _braced([encode["fl"], encode["low"], encode["high"]])
            lines.append(f"static const struct encoding encoding = {numbers};")
        parts = ["bound" if bound else "0", "&encoding" if encode else "0", codes]
        lines.append(f"static const struct real_finish finish = {_braced(parts)};")
        return lines, "&finish"

    def _caption(self, what: str = "") -> str:
        value = self.operation["output"]
        made = f"{' x '.join(map(str, value['shape']))}, {described(value['numbers'])}"
        return comment(f"{', '.join(self.operation['layers'])}: {f'{what}; ' if what else ''}{made}.")

    def _written(self, constants: Sequence[str], call: str, what: str = "", **more: Any) -> Call:
        stages, finish = self._finish()
        calls = [f"{call}, {self._out}, {finish});"]
        return Call(self._caption(what), [*constants, *stages], calls, finish=finish, **more)

    # Operations

    def _copy(self) -> Call:
        count = self.blobs[self.operation["output"]["name"]].count
        return self._copies([{"input": 0, "from": 0, "count": count}], [0])

    def _pick(self) -> Call:
        shifts = self.operation["shifts"]
        if "places" not in self.operation["arrays"]:
            return self._copies(self.operation["runs"], shifts)
        constants, left = [self._several()], ""
        if not self._real:
            constants, left = [*constants, self._numbers("left", "int", shifts)], "left, "
        return self._written(constants, f"pick{self._real}(in, {left}{self._constant('places')}", "by places")

    def _copies(self, runs: Sequence[Plain], shifts: Sequence[int]) -> Call:
        constants, finish = self._finish()
        calls, to = [], 0
        for run in runs:
            left = "" if self._real else f"{shifts[run['input']]}, "
            numbers = f"{run['from']}, {self._out}, {to}, {run['count']}, {left}{finish}"
            calls.append(f"copy{self._real}({self._ins[run['input']]}, {numbers});")
            to += run["count"]
        return Call(self._caption(), constants, calls, finish=finish)

    def _multiply(self) -> Call:
        operation = self.operation
        shape, weights = operation["geometry"], operation["weights"]
        kind = self._kind()
        constants = [
            "static const struct walk walk = {",
            f"    .groups = {shape['groups']}, .inputs = {shape['in_shape'][0] // shape['groups']}, "
            f".outputs = {shape['out_shape'][0] // shape['groups']},",
            f"    {_pair('in_', shape['in_shape'][1:])}, {_pair('out_', shape['out_shape'][1:])},",
            *(f"    {_pair(f'{name}_', shape[name])}," for name in ("kernel", "stride", "pad", "dilation", "spread")),
            f"    .lift = (int64_t)1 << {operation['lift']},",
            "};",
        ]
        bias = self._constant("bias") if "bias" in operation["arrays"] else "0"
        total = operation["total"]
        what = (
            f"{'x'.join(map(str, shape['kernel']))} of {weights['format']}, totals from {total['low']} to "
            f"{total['high']} for k * 2**{-total['fl']}"
        )
        call = f"{kind.name}(&walk, {self._constant('weights')}, {bias}, {self._ins[0]}"
        return self._written(constants, call, what, multiplication=kind)

    def _kind(self) -> Multiplication:
        operation = self.operation
        (name,) = operation["inputs"]
        weights = self.arrays[operation["arrays"]["weights"]]
        powers = operation["weights"]["powers_of_two"]
        largest = int(np.abs(weights.astype(np.int64)).max(initial=0))
        # A power must fit beside the sums: where inputs are all zero, these say nothing of it.
        bits = max(
            bits_for(operation["sum"]["low"], operation["sum"]["high"]), bits_for(0, 1 << largest) if powers else 0
        )
        bias = self.arrays[operation["arrays"]["bias"]].dtype.itemsize * 8 if "bias" in operation["arrays"] else SHORT
        return Multiplication(
            Integer(self.blobs[name].storage.bits),
            Integer(weights.dtype.itemsize * 8),
            Integer(bias),
            Integer(SHORT if bits <= SHORT else LONG),
            powers,
        )

    def _window(self) -> Call:
        operation = self.operation
        pairs = {"": "size", "out_": "counts", "stride_": "stride", "pad_": "pad"}
        constants = [
            "static const struct window window = {",
            *(f"    {_pair(name, operation[key])}," for name, key in pairs.items()),
            "};",
        ]
        name = operation["takes"]
        if name == "mean" and not operation["divides"] and not self._real:
            name = "sums"
        return self._written(constants, f"{name}{self._real}(&window, {self._ins[0]}", operation["takes"])

    def _join(self) -> Call:
        operation, constants, real = self.operation, [self._several()], self._real
        numbers = {
            ("SUM", ""): ("factors", "int32_t", "multipliers"),
            ("SUM", "_real"): ("factors", "uint32_t", "factors"),
            ("MAX", ""): ("left", "int", "shifts"),
        }.get((operation["operation"], real))
        beside = ""
        if numbers:
            name, kind, key = numbers
            constants, beside = [*constants, self._numbers(name, kind, operation[key])], f"{name}, "
        return self._written(constants, f"{JOINS[operation['operation']]}{real}(in, {beside}{len(self._ins)}")

    def _table(self) -> Call:
        table = self.arrays[self.operation["arrays"]["table"]]
        low = self.blobs[self.operation["inputs"][0]].value["numbers"]["low"]
        apart = table.shape[1] if self.operation["by_channel"] else 0
        stored = "" if self._real else f"{_stored(table).name}, "
        call = f"look_up{self._real}({self._constant('table')}, {stored}{low}, {apart}, {self._ins[0]}"
        return self._written([], call, "a table of results")

    def _response(self) -> Call:
        operation = self.operation
        numbers = [f".within = {int(operation['within'])}, .reach = {operation['reach']}"]
        if "factors" in operation["arrays"]:
            numbers.append(".neighbours = 0, .alpha = 0, .k = 0, .exponent = 0")
            constants = [f"static const struct response response = {{{', '.join(numbers)}}};"]
            call = f"respond(&response, {self._constant('factors')}, {self._ins[0]}"
            return self._written(constants, call, "a response")
        numbers += [f".{name} = {operation[name]}u" for name in ("neighbours", "alpha", "k")]
        numbers.append(f".exponent = UINT64_C({operation['exponent']})")
        constants = [f"static const struct response response = {{{', '.join(numbers)}}};"]
        return self._written(constants, f"respond_real(&response, {self._ins[0]}", "a response", raises=True)


WRITERS: Mapping[str, Callable[[_Writer], Call]] = {
    "input": _Writer._input,
    "copy": _Writer._copy,
    "pick": _Writer._pick,
    "multiply": _Writer._multiply,
    "table": _Writer._table,
    "window": _Writer._window,
    "join": _Writer._join,
    "response": _Writer._response,
    "output": _Writer._output,
}
"""What writes each kind of operation."""
JOINS = {"SUM": "add", "PROD": "product", "MAX": "maximum"}


def _braced(numbers: Sequence[int | str]) -> str:
    return f"{{{', '.join(map(str, numbers))}}}"


def _pair(name: str, pair: Sequence[int]) -> str:
    return f".{name}height = {pair[0]}, .{name}width = {pair[1]}"


def _stored(array: Array) -> Storage:
    return next(storage for storage in STORAGES if storage.bits == array.dtype.itemsize * 8)
