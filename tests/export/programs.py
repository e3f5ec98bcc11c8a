"""Programs in C for the tests: compiled with every warning and check, run as a user runs them, and what they owe."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ristretto.execute import SimulateExecutor
from ristretto.execute.executor import Executor
from ristretto.execute.values import State
from ristretto.export.base import Subject
from ristretto.export.program import generate, operations

Batch = Mapping[str, np.ndarray]

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
UNDEFINED = ("-fsanitize=undefined", "-fno-sanitize-recover=all")
"""What ends a program where C leaves open what it does."""
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler here (cc, gcc or clang)")


@dataclass(frozen=True, eq=False)
class Program:
    """A program that is compiled.

    Parameters
    ----------
    path : Path
        What runs.
    manifest : dict
        What it was made from.
    """

    path: Path
    manifest: dict[str, Any]

    @property
    def outputs(self) -> list[dict[str, Any]]:
        """The operations that give something."""
        return [each for each in self.manifest["operations"] if each["kind"] == "output"]

    def __call__(self, batch: Batch) -> list[np.ndarray]:
        """Run it on pictures in real units; give its outputs in real units, in order."""
        inputs = [
            _encoded(each["output"], batch, self.manifest) for each in self.manifest["operations"] if _loads(each)
        ]
        count = len(inputs[0])
        words = (" ".join(map(str, numbers[picture].tolist())) for picture in range(count) for numbers in inputs)
        done = subprocess.run([self.path], input="\n".join(words).encode(), capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        lines = [np.array(line.split(), np.int64) for line in done.stdout.decode().splitlines()]
        assert len(lines) == count * len(self.outputs)
        made = {each["output"]["name"]: each["output"] for each in self.manifest["operations"] if "output" in each}
        return [
            _decoded(np.stack(lines[index :: len(self.outputs)]), made[each["input"]])
            for index, each in enumerate(self.outputs)
        ]


def _loads(operation: Mapping[str, Any]) -> bool:
    return operation["kind"] == "input"


def _encoded(value: Mapping[str, Any], batch: Batch, manifest: Mapping[str, Any]) -> np.ndarray:
    x, numbers = np.asarray(batch[value["blob"]], np.float32), value["numbers"]
    if numbers["kind"] == "binary32":
        return x.reshape(len(x), -1).view(np.uint32)
    scaled = x.astype(np.float64) * 2.0 ** numbers["fl"]
    half_even = manifest["rounding"] == "half_to_even"
    whole = np.rint(scaled) if half_even else np.trunc(scaled) + np.trunc(2 * (scaled - np.trunc(scaled)))
    return np.clip(whole, numbers["low"], numbers["high"]).astype(np.int64).reshape(len(x), -1)


def _decoded(words: np.ndarray, value: Mapping[str, Any]) -> np.ndarray:
    numbers = value["numbers"]
    if numbers["kind"] == "binary32":
        real = words.astype(np.uint32).view(np.float32)
    else:
        assert words.min() >= numbers["low"]
        assert words.max() <= numbers["high"]
        real = np.ldexp(words.astype(np.float64), -numbers["fl"]).astype(np.float32)
        real = real / np.float32(numbers.get("divisor", 1))
    return real.reshape(len(words), *value["shape"])


def sources(subject: Subject, prefix: str = "net") -> tuple[dict[str, bytes], dict[str, Any]]:
    """Give a program's files and its manifest, which has been text in between."""
    made = operations(subject)
    rounding = "half_to_even" if subject.arithmetic.half_even else "half_away_from_zero"
    manifest = {"net": subject.net.name, "rounding": rounding, "operations": made.listed}
    manifest = json.loads(json.dumps(manifest, allow_nan=False))
    return generate(manifest, made.arrays, prefix=prefix), manifest


def compiled(subject: Subject, folder: Path, *flags: str) -> Program:
    """Compile a net's program in a folder."""
    files, manifest = sources(subject)
    write(files, folder)
    build(folder, [name for name in files if name.endswith(".c")], *(flags or ("-O1",)))
    return Program(folder / "net", manifest)


def write(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def build(folder: Path, names: list[str], *flags: str) -> None:
    """Compile and link, with all warnings as errors and all that is undefined found out."""
    assert COMPILER
    command = [COMPILER, *STRICT, *UNDEFINED, *flags, "-o", "net", *names]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def owed(
    subject: Subject, batch: Batch, output: Mapping[str, Any], kind: type[Executor] = SimulateExecutor
) -> np.ndarray:
    """Give what a blob holds where the first layer outside the program reads it, or at the end; real units."""
    net, names = subject.net, [layer.name for layer in subject.net.layers]
    if output["readers"]:
        net = replace(net, layers=net.layers[: names.index(output["readers"][0])])
    executor = kind(net, subject.inputs, arithmetic=subject.arithmetic)
    state = State({}, frozenset())
    for layer in executor.net.data_layers:
        state.store(layer.name, layer.tops, tuple(np.asarray(batch[top], np.float32) for top in layer.tops))
    for step in executor.steps:
        step.run(state)
    return np.asarray(state.blobs[output["blob"]])


def check(subject: Subject, batch: Batch, program: Program, kind: type[Executor] = SimulateExecutor) -> None:
    """Compare every output of a program with an executor's, bit for bit but for the sign of zeros."""
    results = program(batch)
    assert results
    for output, result in zip(program.outputs, results, strict=True):
        want = owed(subject, batch, output, kind)
        np.testing.assert_array_equal(result.reshape(want.shape), want, err_msg=output["name"])
