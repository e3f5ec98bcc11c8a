"""The integer executor beside onnxruntime and OpenCV: wall and CPU time with one and two threads, and memory."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from executor_contenders import ORT_FLOAT, ORT_INT8, ORT_QOPERATOR, THREADS, gather
from executor_memory import Memory, measurable, measure
from executor_nets import CASES, Case, prepare
from executor_page import BYTES, HEAD, INT32_WIDTHS, SQUEEZENET, Measured, page_of, render
from executor_timing import time_rounds
from page import machine

from ristretto.errors import RistrettoError
from ristretto.kernels.cpu import TIER, VARIABLE, runnable
from ristretto.outputs import Outputs

ROUNDS = 9


def arguments() -> argparse.Namespace:
    """Read the command line."""
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(prog="scripts/bench executor", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--net", nargs="+", choices=names, metavar="NAME", help=f"only these; nothing is written: {', '.join(names)}"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"turns that everyone gets (default {ROUNDS})")
    parser.add_argument("--json", action="store_true", help="print all times and sizes as JSON, in seconds and bytes")
    parsed = parser.parse_args()
    if parsed.rounds < 1:
        parser.error("--rounds must be at least 1")
    if parsed.net is None and runnable()[0] != TIER:
        parser.error(f"the page is about the fastest tier, not {TIER.name}: unset {VARIABLE}, or name nets by --net")
    return parsed


def tell(line: str) -> None:
    """Report progress."""
    print(line, file=sys.stderr, flush=True)


def run(case: Case, rounds: int) -> Measured:
    """Prepare, check and time one net."""
    start = time.perf_counter()
    tell(f"{case.name}: preparing and checking")
    with tempfile.TemporaryDirectory(prefix="ristretto-bench-") as folder:
        prepared = prepare(case)
        contenders, files = gather(prepared, Path(folder))
        ready = time.perf_counter()
        tell(f"{case.name}: ready after {ready - start:.0f} s; {rounds} rounds of {len(contenders)} turns")
        timings = time_rounds(contenders, rounds)
        tell(f"{case.name}: timed in {time.perf_counter() - ready:.0f} s")
        memory = memory_of(files, prepared.pictures.shape) if case.name == SQUEEZENET else {}
    return Measured(case, prepared.pictures.shape[1:], timings, prepared.layers_in_int32(INT32_WIDTHS), memory)


def memory_of(files: Mapping[str, Path], shape: Sequence[int]) -> Mapping[tuple[str, int], Memory]:
    """Measure the memory of our narrowest net and of onnxruntime's, each with one and two threads."""
    if not measurable():
        tell("memory is not measured: this system has no /proc that tells")
        return {}
    found = {}
    for threads in THREADS:
        for name in (BYTES, ORT_FLOAT, ORT_INT8, ORT_QOPERATOR):
            tell(f"memory of {name}, threads: {threads}")
            found[name, threads] = measure(files[name], shape, threads)
    return found


def as_json(results: list[Measured], rounds: int) -> str:
    """Give everything measured."""
    return json.dumps(
        {
            "machine": machine(),
            "rounds": rounds,
            "nets": [
                {
                    "net": result.case.name,
                    "batch": result.case.batch,
                    "timings": [vars(timing) for timing in result.timings],
                    "memory": [
                        {"name": name, "threads": threads, **vars(held)}
                        for (name, threads), held in result.memory.items()
                    ],
                }
                for result in results
            ],
        },
        indent=1,
    )


def main() -> None:
    """Run the nets that are asked for; write the page when that is all of them."""
    options = arguments()
    cases = [case for case in CASES if options.net is None or case.name in options.net]
    results = [run(case, options.rounds) for case in cases]
    measured = render(results, options.rounds)
    if options.net is None:
        page = page_of(runnable()[0])
        with Outputs([page.path]) as outputs:
            outputs.write(page.path, f"{page.beginning}\n{HEAD}\n\n{measured}".encode())
    print(as_json(results, options.rounds) if options.json else measured)


if __name__ == "__main__":
    try:
        main()
    except RistrettoError as error:
        sys.exit(f"error: {error.message}" + (f"\nhint: {error.hint}" if error.hint else ""))
