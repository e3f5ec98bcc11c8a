"""WeightRefiner: rounds the weights of a net layer by layer, and keeps what helps on pictures held back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from ristretto.calibrate import CalibrationStats
from ristretto.data import Batch, BatchSource
from ristretto.execute import IntegerExecutor
from ristretto.execute.score import in_order
from ristretto.formats import FixedPoint, Format
from ristretto.identity import digest
from ristretto.net import Net, QuantSpec
from ristretto.net.op import Array
from ristretto.passes import QuantizeLayers
from ristretto.search.condense import Condensed
from ristretto.search.refine.centring import Centring, centring, misjudgement
from ristretto.search.refine.layer import Rows
from ristretto.search.refine.lockstep import Walker
from ristretto.search.refine.methods import Method, Work, correct_bias, learn_rounding
from ristretto.search.sensitivity import View

HELD_BACK = 3
"""One calibration batch of so many is held back; each in turn, as long as it is not clear what helps."""
CLEAR = 0.2
"""A plan helps clearly where it leaves so much less distortion than any other, as a share of theirs, and ..."""
SOME = 0.01
"""... so much less at all: one picture's first place in a hundred, which chance gives and takes."""


@dataclass(frozen=True)
class Techniques:
    """What may be done to weights.

    Parameters
    ----------
    bias : bool
        Empirical bias correction: the mean of each output channel is that of the float net.
    rounding : bool
        Learned rounding, biases included.
    centring : bool
        Class scores are moved together.
    checked : bool
        Whether what does not help on calibration pictures that were held back is undone.
    """

    bias: bool = True
    rounding: bool = True
    centring: bool = True
    checked: bool = True


TECHNIQUES = ("bias", "rounding", "centring")
"""The fields of `Techniques` that stand for one."""


@dataclass(frozen=True)
class Fold:
    """Batches that are held back: from one number up to, and without, another."""

    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Plan:
    """What is done to every layer.

    Parameters
    ----------
    method : Method
    centrings : mapping of str to Centring
        By the names of the layers whose outputs are moved.
    """

    method: Method
    centrings: Mapping[str, Centring] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class WeightRefiner:
    """Changes weights, and their radix points, to suit the formats of a net.

    The layers are taken in order. Each one's weights are changed so that on what the condensed net gives it, it makes
    what the float net makes there: errors of the layers before are made up for.

    Parameters
    ----------
    net : Net
        The float net that ranges were measured in.
    stats : CalibrationStats
    source : BatchSource
        Unlabelled pictures do. They are read when weights are refined first: all of it may be in a journal.
    count : int
        Its batches.
    view : View
        What of the net's outputs counts when it is checked whether a technique helps.
    techniques : Techniques
    threads : int
        The result does not depend on it.
    """

    net: Net
    stats: CalibrationStats
    source: BatchSource
    count: int
    view: View
    techniques: Techniques = Techniques()
    threads: int = 1
    clean: dict[Fold, list[Array]] = field(default_factory=dict, init=False)
    solved: dict[str, tuple[Format, tuple[Array, ...]]] = field(default_factory=dict, init=False)

    @cached_property
    def batches(self) -> Sequence[Batch]:
        """All batches."""
        return list(self.source.batches(self.count))

    @property
    def folds(self) -> tuple[Fold, ...]:
        """The batches that are held back in turn, the last ones first; all of them where there is only one."""
        few = -(-self.count // HELD_BACK)
        return tuple(Fold(max(end - few, 0), end) for end in range(self.count, 0, -few))

    def fitted(self, fold: Fold) -> Sequence[Batch]:
        """Give the batches that weights are fitted to while some are held back: all where there is only one."""
        others = [*self.batches[: fold.start], *self.batches[fold.end :]]
        return others or self.batches

    def __call__(self, spec: QuantSpec) -> Condensed:
        """Give formats and weights: what does least to batches that were held back, then fitted to all of them."""
        plans = self._plans(spec)
        self.solved.clear()
        chosen = self._best(spec, plans) if self.techniques.checked else [None, *plans][-1]
        return Condensed(spec) if chosen is None else self._walk(spec, chosen, None)

    def _best(self, spec: QuantSpec, plans: Sequence[Plan]) -> Plan | None:
        """Give the plan with the least distortion on batches that were held back; None leaves weights as they are.

        Few batches cannot tell plans apart that differ by a few pictures in a thousand: then others are held back, too.
        """
        tried: list[Plan | None] = [None, *plans]
        totals = [0.0] * len(tried)
        for fold in self.folds if plans else ():
            for at, plan in enumerate(tried):
                condensed = Condensed(spec) if plan is None else self._walk(spec, plan, fold)
                totals[at] += self.distortion(condensed, fold)
            least, next_to_it = sorted(totals)[:2]
            if next_to_it - least >= max(CLEAR * next_to_it, SOME):
                break
        return tried[totals.index(min(totals))]

    def distortion(self, condensed: Condensed, fold: Fold) -> float:
        """Give how far the outputs for the pictures held back are from the float net's."""
        outputs = self._viewed(condensed.apply(self.net), fold)
        if fold not in self.clean:
            self.clean[fold] = self._viewed(self.net, fold)
        pairs = list(zip(self.clean[fold], outputs, strict=True))
        told = misjudgement if self.view.ranks else self.view.told
        return sum(told(clean, noisy) for clean, noisy in pairs) / len(outputs)

    def unseen(self, spec: QuantSpec) -> float:
        """Give the distortion on what was held back by weights that were fitted to the rest alone, as boldly as may be.

        Of nets that compute the same in float, it tells which is easier to condense.
        """
        plans, fold = self._plans(spec), self.folds[0]
        return self.distortion(self._walk(spec, plans[-1], fold) if plans else Condensed(spec), fold)

    def _viewed(self, net: Net, fold: Fold) -> list[Array]:
        version = self.view.version
        executor = IntegerExecutor(net, self.source.shapes, keep=[version])
        return [run.kept[version] for run in in_order(executor.run, self.batches[fold.start : fold.end], self.threads)]

    def _plans(self, spec: QuantSpec) -> list[Plan]:
        """Give what may be done, the boldest last."""
        if not any(quant.params for quant in spec.layers.values()):
            return []
        wanted = self.techniques
        plans = [Plan(correct_bias)] if wanted.bias and (wanted.checked or not wanted.rounding) else []
        plans += [Plan(learn_rounding)] if wanted.rounding else []
        # The biases go off the grid: only where they are found anew together with the weights does that do no harm.
        if wanted.centring and wanted.rounding and (centrings := self._centrings(spec)):
            plans.append(Plan(learn_rounding, centrings))
        return plans

    def _centrings(self, spec: QuantSpec) -> dict[str, Centring]:
        found = {}
        for name, quant in spec.layers.items():
            if isinstance(quant.layer_out, FixedPoint) and quant.params:
                centred = centring(self.net, self.stats.layers[name], quant.layer_out)
                if centred:
                    found[name] = centred
        return found

    def _walk(self, spec: QuantSpec, plan: Plan, fold: Fold | None) -> Condensed:
        """Follow a plan layer by layer, on all batches but those that are held back."""
        batches = self.fitted(fold) if fold else self.batches
        quants = dict(spec.layers)
        for name, centred in plan.centrings.items():
            quants[name] = replace(quants[name], layer_out=centred.layer_out)
        net = QuantizeLayers(QuantSpec(spec.trimming_mode, quants))(self.net)
        ours, theirs = (
            Walker(IntegerExecutor, start, self.source.shapes, batches, threads=self.threads)
            for start in (net, self.net)
        )
        weights: dict[str, tuple[Array, ...]] = {}
        # With one batch there is nothing to hold back, and all walks are on the same.
        history = digest(fold if len(batches) < self.count else None)
        for layer in self.net:
            quant = quants.get(layer.name)
            if quant is None or quant.params is None or layer.op.part is None:
                continue
            condensed, clean = ours.go_to(layer.name), theirs.go_to(layer.name)
            if quant.layer_in is not None:
                condensed = [quant.layer_in.trim(x) for x in condensed]
            walk = layer.op.geometry(condensed[0].shape)
            assert walk is not None, "what has weights to trim multiplies and accumulates"
            shift = plan.centrings[layer.name].shift if layer.name in plan.centrings else 0.0
            # All that the result depends on: plans that begin alike need not be followed twice.
            history = digest(history, layer.name, quant, shift, plan.method.__name__)
            if history not in self.solved:
                work = Work(quant, Rows(layer, walk), condensed, clean, shift)
                self.solved[history] = plan.method(work, self.threads)
            params, weights[layer.name] = self.solved[history]
            quants[layer.name] = replace(quant, params=params)
            ours.set(layer.name, weights[layer.name], quants[layer.name])
        return Condensed(QuantSpec(spec.trimming_mode, quants), weights)
