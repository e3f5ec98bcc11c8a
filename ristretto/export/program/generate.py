"""From a manifest's operations to a program in C99."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from ristretto.export.program.calls import AS_IT_IS, Call, call_of
from ristretto.export.program.memory import WORDS, Blob, Memory, lay_out, storage_of
from ristretto.export.program.powers import numbers_of_powers
from ristretto.export.program.text import (
    arrays_in_c,
    comment,
    constant_name,
    constant_type,
    described,
    hexadecimal,
    in_c_string,
)
from ristretto.net.op import Array

Plain = Mapping[str, Any]

HALF_TO_EVEN = "half_to_even"
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
    half_even = manifest["rounding"] == HALF_TO_EVEN
    memory = lay_out(operations)
    calls = [call_of(operation, memory.blobs, arrays, prefix) for operation in operations]
    words = any(blob.storage == WORDS for blob in memory.blobs.values()) or any(call.words for call in calls)
    powers = any(call.raises for call in calls)
    context = {
        "net": manifest["net"] or prefix,
        "prefix": prefix,
        "made": " Made by ristretto; see README.md.",
        "half_even": half_even,
        "words": words,
        "powers": powers,
        "memory": memory,
        "blobs": [_blob(blob) for blob in memory.blobs.values()],
        "constants": [_constant(name, array, prefix) for name, array in arrays.items()],
        "multiplications": _different(calls),
        "steps": calls,
        "as_it_is": any(AS_IT_IS in line for call in calls for line in call.calls),
        "inputs": [_end(each, memory, prefix, "in") for each in operations if each["kind"] == "input"],
        "outputs": [_end(each, memory, prefix, "out") for each in operations if each["kind"] == "output"],
        "divides": any("divisor" in blob.value["numbers"] for blob in memory.blobs.values()),
        "power": numbers_of_powers(),
    }
    files = ALWAYS + (WHERE_WORDS if words else ()) + (WHERE_POWERS if powers else ())
    context["objects"] = [_renamed(name, prefix).replace(".c", ".o") for name in files if name.endswith(".c")]
    context["headers"] = [_renamed(name, prefix) for name in files if name.endswith(".h")]
    return {_renamed(name, prefix): _render(f"{name}.jinja", context) for name in files}


def _renamed(name: str, prefix: str) -> str:
    return name.replace("net.", f"{prefix}.")


def _render(template: str, context: Mapping[str, Any]) -> bytes:
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
    return environment.get_template(template).render(context).encode()


def _different(calls: Sequence[Call]) -> list[Any]:
    """Give each kind of multiplication once."""
    return list({call.multiplication.name: call.multiplication for call in calls if call.multiplication}.values())


def _blob(blob: Blob) -> Plain:
    numbers, shape = blob.value["numbers"], blob.value["shape"]
    channels, *rest = shape or [1]
    height = rest[0] if len(rest) == 2 else 1
    return {
        "name": f"{blob.value['name']}_blob",
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
    numbers, name = value.value["numbers"], value.value["name"]
    storage = storage_of(numbers)
    low, high = (numbers["low"], numbers["high"]) if storage != WORDS else (0, (1 << 32) - 1)
    return {
        "name": f"{name}_{direction}",
        "blob": value.value["blob"],
        "macro": f"{prefix}_{name}_COUNT".upper(),
        "count": value.count,
        "type": storage.type,
        "print": "PRIu32" if storage == WORDS else "PRId32",
        "wide": "uint32_t" if storage == WORDS else "int32_t",
        "low": f"INT64_C({low})",
        "high": f"INT64_C({high})",
        "low_text": low,
        "high_text": high,
        "caption": comment(
            f"{'Input' if direction == 'in' else 'Output'}: {value.value['blob']}, "
            f"{' x '.join(map(str, value.value['shape']))}; {described(numbers)}"
        ),
        "readers": operation.get("readers", []),
        "numbers": numbers,
        "shape": value.value["shape"],
    }
