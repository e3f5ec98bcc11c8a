"""Times contenders side by side, so that what else the machine does falls on all of them."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from peers import Run

SHORTEST_TURN = 0.05
"""Seconds that a turn lasts at least; short runs are repeated within it, with caches as warm as in a long job."""
PAUSE = 0.005
"""Seconds between turns, in which threads that wait for the last contender's next run go to sleep."""


@dataclass(frozen=True, eq=False)
class Contender:
    """One executor, prepared for a number of threads.

    Parameters
    ----------
    name : str
    threads : int
    run : callable
        Runs one batch.
    prepare : callable
        Called before each turn, not timed.
    """

    name: str
    threads: int
    run: Run
    prepare: Callable[[], object] = field(default=lambda: None)


@dataclass(frozen=True)
class Timing:
    """What a contender took, seconds for each batch; one entry for each round.

    Parameters
    ----------
    name : str
    threads : int
    wall : tuple of float
    cpu : tuple of float
        Of the whole process, all threads together.
    """

    name: str
    threads: int
    wall: tuple[float, ...]
    cpu: tuple[float, ...]

    @property
    def typical(self) -> float:
        """The median wall time, seconds."""
        return statistics.median(self.wall)

    @property
    def typical_cpu(self) -> float:
        """The median CPU time, seconds."""
        return statistics.median(self.cpu)


def time_rounds(contenders: Sequence[Contender], rounds: int) -> list[Timing]:
    """Give every contender one turn in each round.

    The order rotates from round to round, and every second round goes backwards, so that nobody always follows the
    same contender.

    Parameters
    ----------
    contenders : sequence of Contender
        Each has run at least once: nothing is compiled any more.
    rounds : int

    Returns
    -------
    list of Timing
        In the contenders' order.
    """
    repeats = [max(1, math.ceil(SHORTEST_TURN / _turn(contender, 1)[0])) for contender in contenders]
    turns: list[list[tuple[float, float]]] = [[] for _ in contenders]
    for number in range(rounds):
        order = [(place + number) % len(contenders) for place in range(len(contenders))]
        for place in order[:: -1 if number % 2 else 1]:
            turns[place].append(_turn(contenders[place], repeats[place]))
    return [
        Timing(contender.name, contender.threads, *(tuple(column) for column in zip(*taken, strict=True)))
        for contender, taken in zip(contenders, turns, strict=True)
    ]


def _turn(contender: Contender, repeats: int) -> tuple[float, float]:
    """Give wall and CPU time of one batch, the mean of so many."""
    contender.prepare()
    time.sleep(PAUSE)
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        contender.run()
    return (time.perf_counter() - wall) / repeats, (time.process_time() - cpu) / repeats
