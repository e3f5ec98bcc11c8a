"""What passes through a data path when pictures do: the codes met, what saturates, how far totals reach."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from threading import Lock

import numpy as np

from ristretto.errors import in_layer
from ristretto.execute.exact import EXACT_IN_FLOAT64
from ristretto.execute.executor import Step
from ristretto.execute.lower import Lowered
from ristretto.execute.score import in_order
from ristretto.execute.simulate import SimulateExecutor
from ristretto.execute.values import State
from ristretto.formats import EXACT, Arithmetic, FixedPoint
from ristretto.formats.ends import saturates
from ristretto.hardware.datapath import Datapath
from ristretto.hardware.mac import MacPath
from ristretto.hardware.tracer import trace
from ristretto.net import Net, Shape
from ristretto.net.op import Array

MOST_CODES = 16
"""Bits of the longest words whose codes are told apart: each has 65,536."""


@dataclass(frozen=True)
class Seen:
    """Numbers that were trimmed to a format.

    Parameters
    ----------
    numbers : int
        How many there were.
    saturated : int
        How many of them lay beyond the format's ends, once rounded.
    low, high : int
        The least and the greatest code.
    used : int or None
        How many different codes there were; None in words of more than `MOST_CODES` bits.
    codes : int
        How many codes the format has.
    """

    numbers: int
    saturated: int
    low: int
    high: int
    used: int | None
    codes: int

    @property
    def never(self) -> int | None:
        """Codes that no number had."""
        return None if self.used is None else self.codes - self.used


@dataclass(frozen=True)
class Observed:
    """What passed through one layer.

    Parameters
    ----------
    layer_in, layer_out : Seen
    low, high : int
        The least and the greatest total of the accumulator.
    """

    layer_in: Seen
    layer_out: Seen
    low: int
    high: int


class Tally:
    """Counts the numbers of one place, in any order and from several threads."""

    def __init__(self, fmt: FixedPoint, arithmetic: Arithmetic) -> None:
        self.fmt, self.arithmetic = fmt, arithmetic
        self.numbers = self.saturated = 0
        self.low, self.high = fmt.high_code, fmt.low_code
        self.met = np.zeros(1 << fmt.bw, bool) if fmt.bw <= MOST_CODES else None

    def add(self, x: Array) -> Array:
        """Count real numbers; give their codes."""
        codes = self.fmt.encode(x, self.arithmetic)
        self.numbers += x.size
        self.saturated += int(np.count_nonzero(saturates(self.fmt, x, self.arithmetic)))
        self.low, self.high = min(self.low, int(codes.min())), max(self.high, int(codes.max()))
        if self.met is not None:
            self.met[codes.reshape(-1).astype(np.int64) - self.fmt.low_code] = True
        return codes

    @property
    def seen(self) -> Seen:
        """What was counted."""
        used = None if self.met is None else int(np.count_nonzero(self.met))
        return Seen(self.numbers, self.saturated, self.low, self.high, used, 1 << self.fmt.bw)


class WatchedStep:
    """Runs a layer on codes, with its totals in sight: the same numbers as any executor's.

    Parameters
    ----------
    path : MacPath
        Whose totals float64 holds.
    bias : float64 array or None
        A bias that has no grid, real units, to be added to the totals.
    arithmetic : Arithmetic
    """

    def __init__(self, path: MacPath, bias: Array | None, arithmetic: Arithmetic) -> None:
        self.path, self.arithmetic, self.lock = path, arithmetic, Lock()
        self.layer_in, self.layer_out = (Tally(fmt, arithmetic) for fmt in (path.layer_in, path.layer_out))
        self.totals: list[tuple[int, int]] = []
        self.real_bias = bias
        layer = path.layer
        blobs = [np.asarray(path.weights, np.float64) * 2.0**path.lift]
        if len(layer.blobs) > 1:
            codes = path.aligned_bias or (0,) * layer.blobs[1].size
            blobs.append(np.array(codes, np.float64).reshape(layer.blobs[1].shape))
        self.blobs = blobs

    def run(self, state: State) -> None:
        """Trim, compute, trim."""
        path, layer = self.path, self.path.layer
        x = state.blobs[layer.bottoms[0]]
        with self.lock, in_layer(layer.name, f"blob '{layer.bottoms[0]}'"):
            codes = self.layer_in.add(x)
        state.blobs[layer.bottoms[0]] = path.layer_in.decode(codes)
        (totals,) = layer.op.forward([codes.astype(np.float64)], self.blobs)
        y = np.ldexp(totals, -path.fl)
        if self.real_bias is not None:
            y += self.real_bias.reshape(-1, *[1] * (y.ndim - 2))
        with self.lock, in_layer(layer.name, f"blob '{layer.tops[0]}'"):
            self.totals.append((int(totals.min()), int(totals.max())))
            made = self.layer_out.add(y)
        state.store(layer.name, layer.tops, (path.layer_out.decode(made),))

    @property
    def observed(self) -> Observed:
        """What passed so far."""
        lows, highs = zip(*self.totals, strict=True)
        return Observed(self.layer_in.seen, self.layer_out.seen, min(lows), max(highs))


class ObservingExecutor(SimulateExecutor):
    """The simulating executor, with every multiply-accumulate layer's codes and totals in sight."""

    name = "observe"

    def __init__(
        self,
        net: Net,
        inputs: Mapping[str, Shape],
        *,
        keep: Collection[str] = (),
        arithmetic: Arithmetic = EXACT,
        threads: int = 1,
    ) -> None:
        self.path: Datapath = trace(net, inputs, arithmetic)
        self.watched: dict[str, WatchedStep] = {}
        super().__init__(net, inputs, keep=keep, arithmetic=arithmetic, threads=threads)

    def steps_of(self, lowered: Lowered) -> Iterator[Step]:
        """Watch where totals are exact."""
        stage = self.path[lowered.layer.name]
        path = stage.mac or stage.products
        if path is None or path.accumulator.largest > EXACT_IN_FLOAT64:
            yield from super().steps_of(lowered)
            return
        bias = stage.layer.blobs[1].astype(np.float64) if stage.products else None
        step = self.watched[path.layer.name] = WatchedStep(path, bias, self.arithmetic)
        yield step


def observe(
    executor: ObservingExecutor,
    batches: Iterable[Mapping[str, Array]],
    threads: int,
    progress: Callable[[], None] | None = None,
) -> Mapping[str, Observed]:
    """Run batches, and say what passed through each layer on integers.

    Parameters
    ----------
    executor : ObservingExecutor
    batches : iterable of mapping of str to array
        At least one, real units.
    threads : int
        The result does not depend on it.
    progress : callable or None
        Called after each batch.

    Returns
    -------
    mapping of str to Observed
        By layer name; layers whose totals may be too long for float64 are left out.
    """
    for _ in in_order(executor.run, batches, threads, progress):
        pass
    return {name: step.observed for name, step in executor.watched.items() if step.totals}
