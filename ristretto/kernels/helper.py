"""A second process that compiles kernels into the cache, from where this one loads them.

numba compiles one function at a time in a process, however many threads ask for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.spawn import get_executable
from queue import Empty, SimpleQueue
from threading import Thread

from ristretto.kernels.ahead import units
from ristretto.kernels.cpu import cores
from ristretto.kernels.jit import cache_folder

PROGRAM = "import sys; sys.path[:] = {path!r}; from ristretto.kernels.helper import serve; serve()"


def serve() -> None:
    """Compile the units whose numbers stand on the lines of standard input; give each line back when it is done."""
    wanted = units()
    # Whatever else is printed, by numba on demand for instance, is no answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        wanted[int(line)].load()
        print(line, end="", file=answers, flush=True)


def compiled(numbers: Sequence[int]) -> Iterator[int]:
    """Compile units, and give the number of each when it is done, here or by a helper.

    This process takes the first, the helper the last, until nothing is left between them. Where no helper can be had,
    or it ends early, this process does the rest.

    Parameters
    ----------
    numbers : sequence of int
        Places in `units`.
    """
    wanted, waiting, done = units(), deque(numbers), SimpleQueue[int]()

    def rest() -> Iterator[int]:
        for number in _taken(waiting.popleft):
            wanted[number].load()
            yield number
            yield from _taken(done.get_nowait)

    with _helper(waiting, done) as thread:
        yield from rest()
        if thread:
            thread.join()
    yield from _taken(done.get_nowait)
    # What the helper has given back.
    yield from rest()


def _taken(take: Callable[[], int]) -> Iterator[int]:
    """Take what there is, one after the other."""
    while True:
        try:
            number = take()
        except (IndexError, Empty):
            return
        yield number


@contextmanager
def _helper(waiting: deque[int], done: SimpleQueue[int]) -> Iterator[Thread | None]:
    """Start a process, and a thread that feeds it; None where one is of no use."""
    python = get_executable()
    if len(waiting) < 2 or cores() < 2 or cache_folder() is None or not python or getattr(sys, "frozen", False):
        yield None
        return
    command = [python, "-I", "-c", PROGRAM.format(path=sys.path)]
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
    except OSError:
        yield None
        return
    thread = Thread(target=_feed, args=(process, waiting, done), daemon=True)
    assert process.stdin
    with process:
        thread.start()
        try:
            yield thread
        finally:
            process.kill()
            thread.join()
            # What it was sent when it had ended already is still on its way.
            with suppress(OSError):
                process.stdin.close()


def _feed(process: subprocess.Popen[str], waiting: deque[int], done: SimpleQueue[int]) -> None:
    assert process.stdin
    assert process.stdout
    for number in _taken(waiting.pop):
        asked, answer = f"{number}\n", ""
        with suppress(OSError):
            print(asked, end="", file=process.stdin, flush=True)
            answer = process.stdout.readline()
        if answer != asked:
            waiting.append(number)
            return
        done.put(number)
