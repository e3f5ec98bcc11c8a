"""Sensitivities: what the outputs of a net suffer when one site alone is condensed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ristretto.errors import DataError
from ristretto.execute import Executor, Run
from ristretto.execute.prefix import cut, spelled_out
from ristretto.execute.score import Progress, in_order
from ristretto.formats import EXACT, Arithmetic
from ristretto.net import Net, QuantSpec, Shape
from ristretto.net.op import Array
from ristretto.passes import QuantizeLayers
from ristretto.search.allocation import Distortions
from ristretto.search.sites import Site, widths_of
from ristretto.search.widths import Widths
from ristretto.search.workload import count_macs

Batch = Mapping[str, Array]
Told = Callable[[Array, Array], float]

NEGLIGIBLE = 1e-4
"""A distortion that no longer shows in a score. What words wider than that leave of it is not measured but taken to be
a quarter for each bit, as it is of noise from rounding."""
PER_BIT = 4
LEAST_PROBABILITY = 1e-30


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured, and what it took.

    Parameters
    ----------
    distortions : mapping
        By the places of a site and its width.
    macs : int
        Multiply-accumulates that were run, those of layers in float included.
    """

    distortions: Distortions
    macs: int


@dataclass(frozen=True)
class View:
    """What of a net tells how much it suffers: what its score looks at.

    Parameters
    ----------
    version : str
        ``LAYER.topK``: where a score ranks classes or compares, what it reads first; else the score itself.
    told : callable
        Gives the distortion between this of the float net and this of another one.
    """

    version: str
    told: Told

    @property
    def ranks(self) -> bool:
        """Whether it is class scores that are looked at, which a score ranks."""
        return self.told is divergence

    @classmethod
    def of(cls, net: Net, blob: str) -> View:
        """Give what an output blob looks at, if it is a score."""
        scorer = net.producer(blob)
        assert scorer is not None
        if scorer.op.higher_is_better is None:
            return cls(net.version(blob), squared_error)
        seen = net.version(scorer.bottoms[0], before=scorer)
        return cls(seen, divergence if scorer.op.higher_is_better else squared_error)


@dataclass(frozen=True, eq=False)
class Probe:
    """Measures distortions on a few batches, without labels.

    The net is cut before the first layer of each site, so that what comes before is run once for all of its widths; the
    blobs at one cut are all that is kept.

    Parameters
    ----------
    kind : type of Executor
    net : Net
        The float net of one phase, with weights.
    shapes : mapping of str to shape
        Of one batch.
    batches : iterable of batches
        At least one.
    view : View
        What is looked at.
    arithmetic : Arithmetic
    threads : int
        The distortions do not depend on it.
    """

    kind: type[Executor]
    net: Net
    shapes: Mapping[str, Shape]
    batches: Iterable[Batch]
    view: View
    arithmetic: Arithmetic = EXACT
    threads: int = 1

    def measure(
        self, sites: Sequence[Site], spec: Callable[[Widths], QuantSpec], progress: Progress = lambda: None
    ) -> Measured:
        """Condense each site alone, to every width that it may have, from narrow to wide.

        Parameters
        ----------
        sites : sequence of Site
        spec : callable
            Gives the formats for widths; what has none stays in float.
        progress : callable
            Called after each site.

        Raises
        ------
        DataError
            When there is no batch.
        """
        net, target = _up_to(self.net, self.view.version)
        net = spelled_out(net, self.shapes, self.arithmetic)
        order = {layer.name: place for place, layer in enumerate(net)}
        walk = _Walk(self, net, target)
        clean = walk.outputs(QuantSpec("", {}))
        # What the outputs do not depend on does them no harm.
        found: dict[tuple[tuple[str, str], ...], dict[int, float]] = {
            site.places: dict.fromkeys(site.widths, 0.0) for site in sites
        }
        reached = {site: [place for place in site.places if place[0] in order] for site in sites}
        starts = {site: min(order[layer] for layer, _ in places) for site, places in reached.items() if places}
        for site, start in sorted(starts.items(), key=lambda item: item[1]):
            walk.go_to(net.layers[start].name)
            here = replace(site, places=tuple(reached[site]))
            last = math.inf
            for width in site.widths:
                if last <= NEGLIGIBLE:
                    last /= PER_BIT
                else:
                    outputs = walk.outputs(spec(widths_of([here], (width,))))
                    last = sum(map(self.view.told, clean, outputs)) / len(clean)
                found[site.places][width] = last
            progress()
        return Measured(found, walk.macs)


class _Walk:
    """A net that is cut ever later: what is left of it, and what that is fed for each batch."""

    def __init__(self, probe: Probe, net: Net, target: str) -> None:
        self.probe, self.rest, self.target = probe, net, target
        self.shapes: Mapping[str, Shape] = probe.shapes
        self.fed = list(probe.batches)
        if not self.fed:
            raise DataError("no batch to measure sensitivities on", hint="ask for at least one batch")
        self.pictures = sum(len(next(iter(batch.values()))) for batch in self.fed)
        self.macs = 0

    def go_to(self, layer: str) -> None:
        """Run what is left up to a layer."""
        place = self.rest.layers.index(self.rest[layer])
        if all(before.op.is_data for before in self.rest.layers[:place]):
            return
        halves = cut(self.rest, place, self.shapes)
        self.fed = [halves.handed(run) for run in self._run(halves.head)]
        self.rest, self.shapes = halves.tail, {}

    def outputs(self, spec: QuantSpec) -> list[Array]:
        """Give what is looked at, for each batch, when what is left of the net has some formats."""
        return [run.outputs[self.target] for run in self._run(QuantizeLayers(spec)(self.rest))]

    def _run(self, net: Net) -> list[Run]:
        probe = self.probe
        # Batches side by side, or where there are too few of them the pictures of each.
        few = len(self.fed) < probe.threads
        inside, outside = (probe.threads, 1) if few else (1, probe.threads)
        executor = probe.kind(net, self.shapes, arithmetic=probe.arithmetic, threads=inside)
        self.macs += count_macs(net, net.shapes(self.shapes)) * self.pictures
        return list(in_order(executor.run, self.fed, outside))


def _up_to(net: Net, version: str) -> tuple[Net, str]:
    """Give the layers that a version of a blob depends on, and the blob."""
    name, _, top = version.rpartition(".top")
    end = net.layers.index(net[name]) + 1
    blob = net[name].tops[int(top)]
    wanted, kept = {blob}, []
    for layer in reversed(net.layers[:end]):
        if wanted.intersection(layer.tops):
            kept.append(layer)
            wanted = wanted.difference(layer.tops).union(layer.bottoms)
    return replace(net, layers=tuple(reversed(kept))), blob


def divergence(clean: Array, noisy: Array) -> float:
    """Give how far class probabilities move: the Kullback-Leibler divergence, nats, in the mean over pictures.

    Parameters
    ----------
    clean, noisy : float arrays (n, classes, ...)
        What classes score, with or without a softmax.
    """
    before, after = clean.astype(np.float64), noisy.astype(np.float64)
    are_probabilities = before.min() >= 0 and np.allclose(before.sum(axis=1), 1, atol=1e-3)
    scale = _logarithms if are_probabilities else _log_softmax
    before, after = scale(before), scale(after)
    return float((np.exp(before) * (before - after)).sum(axis=1).mean())


def _logarithms(probabilities: Array) -> Array:
    return np.log(np.maximum(probabilities, LEAST_PROBABILITY))


def _log_softmax(scores: Array) -> Array:
    scores = scores - scores.max(axis=1, keepdims=True)
    logarithms: Array = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return logarithms


def squared_error(clean: Array, noisy: Array) -> float:
    """Give the mean squared error of outputs, as a share of their power."""
    power = float(np.square(clean, dtype=np.float64).mean())
    return float(np.square(noisy.astype(np.float64) - clean).mean()) / (power or 1.0)
