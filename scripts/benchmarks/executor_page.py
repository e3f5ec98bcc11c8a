"""The pages of the executor's benchmark, docs/results/executor*.md: what was measured, beside what is aimed at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

import cv2
from executor_contenders import ORT_FLOAT, ORT_INT8, OURS, THREADS
from executor_memory import RUNS, Memory
from executor_nets import WIDTHS, Case
from executor_timing import PAUSE, SHORTEST_TURN, Timing
from page import ROOT, machine, table

from ristretto.kernels.cpu import Tier

FOLDER = ROOT / "docs" / "results"
INSTRUCTIONS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "amx_int8", "asimddp", "i8mm")
"""What decides how fast bytes are multiplied, by the names of /proc/cpuinfo."""

INT32_WIDTHS = WIDTHS[1]
INT32_SUMS = f"sums that fit int32 at {INT32_WIDTHS} bits whatever the picture"
BYTES, LONGER, WORDS = (OURS[widths] for widths in WIDTHS)
LARGE = ("caffenet", "googlenet", "resnet50", "mobilenet_v1")
SQUEEZENET = "squeezenet_v1.0"


@dataclass(frozen=True)
class Page:
    """A page for one kind of processor.

    Parameters
    ----------
    name : str
        Of the file.
    beginning : str
    """

    name: str
    beginning: str

    @property
    def path(self) -> Path:
        """The file."""
        return FOLDER / f"{self.name}.md"


WITH_VNNI = Page(
    "executor",
    """# The integer executor beside other runtimes

`scripts/bench executor` writes this page; with `--net NAME` it runs some of the nets and only prints.
""",
)
WITHOUT_VNNI = Page(
    "executor-avx2",
    """# The integer executor beside other runtimes, without VNNI

`scripts/bench executor` writes this page on a processor that has AVX2, and no instruction that adds products of bytes
up in 32 bits; with `--net NAME` it runs some of the nets and only prints. What is aimed at is meant for processors that
have one: [the other page](executor.md).
""",
)


def page_of(tier: Tier) -> Page:
    """Give the page for processors whose fastest tier is this one."""
    return WITH_VNNI if tier.dot8 else WITHOUT_VNNI


HEAD = f"""\
All run the same float net, with BatchNorm folded, on the same random pictures: this package's integer executor at
several widths (bits of activations x bits of weights, dynamic fixed point that covers all numbers met);
onnxruntime on the exported net, and on what its own `quantize_static` makes of that net (unsigned 8-bit activations,
signed 8-bit weights, one scale for each blob, ranges from the same pictures); OpenCV's dnn module on Caffe's files.
Weights are LeNet's own, else random ones (He's filler, one seed).

Before anything is timed, the integer executor's output of every quantized layer must equal the simulating executor's
for one picture, bit for bit, at each width; so must the first picture's result in the batch, and the whole batch's must
not depend on the number of threads. OpenCV's output must agree with onnxruntime's.

Every contender takes one turn in each round, in an order that rotates and turns around. A turn is one batch, or as many
as fill {1000 * SHORTEST_TURN:.0f} ms; between turns lie {1000 * PAUSE:.0f} ms in which idle threads fall asleep.
onnxruntime's threads spin while it runs, as they do by default, and stop when it has run. "Wall" is the median over the
rounds, "least" the fastest round, "CPU" the median of the whole process's time on all cores. Ratios are of medians with
the same number of threads; above 1 the contender is faster."""


MEMORY = f"""Memory of a process of its own, which imports, prepares one executor and runs {RUNS} batches (Linux's
`VmHWM`, reset before the runs). What the imports hold is taken off; preparing ours includes loading its compiled
kernels. "The run alone" is what running adds at its peak to the prepared executor."""


@dataclass(frozen=True)
class Measured:
    """What was measured of one net.

    Parameters
    ----------
    case : Case
    picture : tuple of int
        Shape of one picture, (channels, height, width).
    timings : sequence of Timing
    in_int32 : tuple of (int, int)
        How many layers of the net at `LONGER` have sums that always fit int32, of how many.
    memory : mapping of (str, int) to Memory
        By contender and threads; may be empty.
    """

    case: Case
    picture: tuple[int, ...]
    timings: Sequence[Timing]
    in_int32: tuple[int, int]
    memory: Mapping[tuple[str, int], Memory]

    def ratio(self, name: str, other: str, threads: int) -> float:
        """Give how many times faster one contender is than another, by medians."""
        typical = {(timing.name, timing.threads): timing.typical for timing in self.timings}
        return typical[other, threads] / typical[name, threads]


@dataclass(frozen=True)
class Target:
    """How many times faster a contender is to be than another, by number of threads."""

    net: str
    name: str
    other: str
    wanted: Mapping[int, float]


TARGETS = (
    Target(SQUEEZENET, BYTES, ORT_FLOAT, {1: 3.5, 2: 3.5}),
    Target(SQUEEZENET, BYTES, ORT_INT8, {1: 1.25, 2: 1.4}),
    *(Target(net, BYTES, ORT_FLOAT, {1: 3.0, 2: 3.0}) for net in LARGE),
    *(Target(net, BYTES, ORT_INT8, {1: 1.1, 2: 1.1}) for net in LARGE),
    *(Target(net, LONGER, ORT_FLOAT, {1: 1.8, 2: 1.8}) for net in (SQUEEZENET, *LARGE)),
    *(Target(net, WORDS, ORT_FLOAT, {1: 0.85, 2: 0.85}) for net in (SQUEEZENET, *LARGE)),
)


def render(results: Sequence[Measured], rounds: int) -> str:
    """Give what was measured, without the page's head.

    Parameters
    ----------
    results : sequence of Measured
        In the page's order.
    rounds : int
    """
    known = instructions()
    where = f"Measured on {machine()}, OpenCV {cv2.__version__}{f', with {known}' if known else ''}; rounds: {rounds}."
    parts = [fill(where, 120), *targets(results)]
    for result in results:
        parts += [f"## {result.case.title}", *section(result)]
    return "\n\n".join(parts) + "\n"


def instructions() -> str:
    """Name this processor's instructions for short integers; empty where the system does not tell."""
    info = Path("/proc/cpuinfo")
    flags = set(re.findall(r"\w+", info.read_text())) if info.exists() else set()
    return ", ".join(name for name in INSTRUCTIONS if name in flags)


def targets(results: Sequence[Measured]) -> Iterator[str]:
    """Give the table of all targets whose nets were measured; nothing where there are none."""
    found = {result.case.name: result for result in results}
    rows = []
    for target in TARGETS:
        if target.net not in found:
            continue
        result = found[target.net]
        row = [result.case.title, target.name, target.other]
        for threads in THREADS:
            ratio, wanted = result.ratio(target.name, target.other, threads), target.wanted[threads]
            row.append(f"{ratio:.2f} ({'' if ratio >= wanted else 'misses '}{wanted:g})")
        rows.append(row)
    if not rows:
        return
    heads = [f"threads: {threads}" for threads in THREADS]
    yield "## What is aimed at"
    yield table(["net", "executor", "how many times faster than", *heads], rows)
    yield "Each ratio stands before the one that is aimed at."


def section(result: Measured) -> Iterator[str]:
    """Give the tables of one net."""
    fit, layers = result.in_int32
    shape = "x".join(map(str, result.picture))
    yield f"Batches of {result.case.batch}, {shape}; {fit} of {layers} layers have {INT32_SUMS}."
    rows = []
    for timing in sorted(result.timings, key=lambda timing: timing.threads):
        ratios = [f"{result.ratio(timing.name, other, timing.threads):.2f}" for other in (ORT_FLOAT, ORT_INT8)]
        times = (timing.typical, min(timing.wall), timing.typical_cpu)
        rows.append([timing.name, str(timing.threads), *(f"{1000 * t:.2f}" for t in times), *ratios])
    yield table(["executor", "threads", "wall, ms", "least, ms", "CPU, ms", "to float32", "to int8 QDQ"], rows)
    if result.memory:
        yield MEMORY
        rows = [
            [name, str(threads), *(f"{size / (1 << 20):.1f}" for size in _columns(held))]
            for (name, threads), held in result.memory.items()
        ]
        yield table(["executor", "threads", "prepared, MiB", "peak preparing", "peak running", "the run alone"], rows)


def _columns(held: Memory) -> tuple[int, ...]:
    return held.built - held.imported, held.building - held.imported, held.running - held.imported, held.run
