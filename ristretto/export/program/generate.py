"""From a manifest's operations to a program in C99."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import jinja2

from ristretto.export.manifest import ROUNDING
from ristretto.export.program.calls import AS_IT_IS, Call, Multiplication, call_of
from ristretto.export.program.memory import WORDS, Blob, Memory, lay_out
from ristretto.export.program.powers import numbers_of_powers
from ristretto.export.program.text import (
    arrays_in_c,
    blob_name,
    comment,
    constant_name,
    constant_type,
    count_macro,
    described,
    hexadecimal,
    in_c_string,
)
from ristretto.net.op import Array

Plain = Mapping[str, Any]

ALWAYS = ("net.h", "net.c", "weights.h", "weights.c", "kernels.h", "kernels.c", "main.c", "Makefile", "README.md")
WHERE_WORDS = ("binary32.h", "binary32.c", "reals.h", "reals.c")
WHERE_POWERS = ("power.h", "power.c")


def generate(manifest: Plain, arrays: Mapping[str, Array], *, prefix: str = "net") -> dict[str, bytes]:
    """Give the sources of a program that does what a manifest's operations say.

    Parameters
    ----------
    manifest : mapping
        With ``net``, ``rounding`` and ``operations``; JSON, read back, will do.
    arrays : mapping of str to array
        The constants that the operations name.
    prefix : str
        What the program's files, functions and macros are called: letters, digits and underscores.

    Returns
    -------
    dict of str to bytes
        By file name; the same for the same arguments.
    """
    operations: Sequence[Plain] = manifest["operations"]
    memory = lay_out(operations)
    calls = [call_of(operation, memory.blobs, arrays, prefix) for operation in operations]
    words = not all(operation["integer"] for operation in operations if operation["kind"] != "output")
    powers = any(call.raises for call in calls)
    files = ALWAYS + (WHERE_WORDS if words else ()) + (WHERE_POWERS if powers else ())
    context = {
        "net": manifest["net"] or prefix,
        "prefix": prefix,
        "objects": [_renamed(name, prefix).replace(".c", ".o") for name in files if name.endswith(".c")],
        "headers": [_renamed(name, prefix) for name in files if name.endswith(".h")],
        "half_even": manifest["rounding"] == ROUNDING[True],
        "words": words,
        "powers": powers,
        "memory": memory,
        "blobs": [_blob(blob) for blob in memory.blobs.values()],
        "constants": [_constant(name, array, prefix) for name, array in arrays.items()],
        "multiplications": _different(calls),
        "steps": calls,
        "as_it_is": any(call.finish == AS_IT_IS for call in calls),
        "inputs": [_end(each, memory, prefix, "in") for each in operations if each["kind"] == "input"],
        "outputs": [_end(each, memory, prefix, "out") for each in operations if each["kind"] == "output"],
        "divides": any("divisor" in blob.value["numbers"] for blob in memory.blobs.values()),
        "power": numbers_of_powers(),
    }
    return {_renamed(name, prefix): _render(f"{name}.jinja", context) for name in files}


def _renamed(name: str, prefix: str) -> str:
    return name.replace("net.", f"{prefix}.")


def _render(template: str, context: Mapping[str, Any]) -> bytes:
    return _environment().get_template(template).render(context).encode()


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ristretto.export.program", "templates"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "comment": comment,
        "cell": lambda words: comment(words).replace("|", "/"),
        "text": in_c_string,
        "in_c": arrays_in_c,
        "in_hex": hexadecimal,
        "described": described,
    }
    return environment


def _different(calls: Sequence[Call]) -> list[Multiplication]:
    """Give each kind of multiplication once."""
    return list({call.multiplication.name: call.multiplication for call in calls if call.multiplication}.values())


def _blob(blob: Blob) -> Plain:
    numbers, shape = blob.value["numbers"], blob.value["shape"]
    channels, *rest = shape or [1]
    height = rest[0] if len(rest) == 2 else 1
    return {
        "name": blob_name(blob.value["name"]),
        "caption": comment(f"{blob.value['blob']}: {described(numbers)}"),
        "pool": blob.storage.pool,
        "storage": blob.storage.name,
        "offset": blob.offset,
        "shape": [channels, height, blob.count // (channels * height)],
        "fl": numbers.get("fl", 0),
    }


def _constant(name: str, array: Array, prefix: str) -> Plain:
    return {
        "name": constant_name(name, prefix),
        "type": constant_type(array),
        "count": array.size,
        "caption": " x ".join(map(str, array.shape)),
        "array": array,
    }


def _end(operation: Plain, memory: Memory, prefix: str, direction: str) -> Plain:
    """Give what a program's user must know of an input or an output."""
    value = memory.blobs[operation["input"] if direction == "out" else operation["output"]["name"]]
    numbers, name, storage = value.value["numbers"], value.value["name"], value.storage
    low, high = (numbers["low"], numbers["high"]) if storage != WORDS else (0, (1 << 32) - 1)
    return {
        "name": f"{name}_{direction}",
        "blob": value.value["blob"],
        "macro": count_macro(name, prefix),
        "count": value.count,
        "type": storage.type,
        "print": "PRIu32" if storage == WORDS else "PRId32",
        "wide": "uint32_t" if storage == WORDS else "int32_t",
        "low": low,
        "high": high,
        "caption": comment(
            f"{'Input' if direction == 'in' else 'Output'}: {value.value['blob']}, "
            f"{' x '.join(map(str, value.value['shape']))}; {described(numbers)}"
        ),
        "readers": operation.get("readers", []),
        "numbers": numbers,
        "shape": value.value["shape"],
    }
