"""What a training begins with: the net that a solver names, its data, its weights, and what scores it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ristretto.api.loading import ModelSource, WeightsSource, open_data, with_weights
from ristretto.api.watch import Watcher
from ristretto.caffe.reader import Model, read_model
from ristretto.data import BatchSource
from ristretto.data.places import find
from ristretto.errors import TrainingError
from ristretto.execute import IntegerExecutor, Scores, score
from ristretto.net import Layer, Net, NetState, NetTest, Scheme, Shape, Solver
from ristretto.outputs import Outputs
from ristretto.passes import InitWeights

if TYPE_CHECKING:
    from ristretto.finetune.snapshot import Snapshot


def find_named(name: str, solver: Solver) -> Path:
    """Find a file that a solver names: from the current folder, or from the solver's upwards.

    Raises
    ------
    DataError
        When it is not there.
    """
    return find(name, (solver.path.parent,))


def input_files(
    solver: Solver, weights: Sequence[WeightsSource], model: ModelSource | None, snapshot: Snapshot | None
) -> list[str | Path]:
    """Name the files that a training reads, those that its solver and its snapshot name included; data apart.

    Parameters
    ----------
    solver : Solver
    weights : sequence of paths or Nets
        What training starts from, the solver's own where it names them.
    model : path, Model or None
        What takes the place of the solver's nets.
    snapshot : Snapshot or None

    Raises
    ------
    DataError
        When a net that the solver names is missing.
    """
    nets = dict.fromkeys([solver.train_net, *(test.net for test in solver.tests)])
    named = model.path if isinstance(model, Model) else model
    files = [weight for weight in weights if not isinstance(weight, Net)]
    found = [solver.path, *([find_named(name, solver) for name in nets] if named is None else [named]), *files]
    return found if snapshot is None else [*found, *snapshot.files]


def check_outputs(outputs: Sequence[str | Path], inputs: Sequence[str | Path], solver: Solver) -> None:
    """Make sure that no output is an input or another output, or takes the place of a snapshot's file.

    Raises
    ------
    OutputError, TrainingError
        When one does.
    """
    Outputs(outputs, inputs)
    # Whichever update a snapshot is of.
    start = Path(f"{solver.snapshot_prefix}_iter_").resolve()
    for path in map(Path, outputs):
        where = path.resolve()
        if where.parent == start.parent and where.name.startswith(start.name):
            raise TrainingError(f"{path} is called like a snapshot", hint="choose another output file")


def in_state(whole: Net, state: NetState) -> Net:
    """Give the net of a solver's state."""
    return whole.for_phase(state.phase, level=state.level, stages=sorted(state.stages))


@dataclass(frozen=True, eq=False)
class Start:
    """A net that is to be trained, without weights yet, and what feeds it.

    Parameters
    ----------
    read : Model
    solver : Solver
    source : BatchSource
        The TRAIN data.
    seed : int
        Of weights that fillers make.
    """

    read: Model
    solver: Solver
    source: BatchSource
    seed: int

    @classmethod
    def open(cls, read: Model, solver: Solver, seed: int) -> Start:
        """Open the data of the trained net, with crops and mirrors drawn from a seed.

        Raises
        ------
        RistrettoError
            When the net makes no sense, or its data are missing or damaged.
        """
        state = solver.train_state
        layers = in_state(read.net, state).data_layers
        seeded = [replace(layer, op=layer.op.seeded(seed)) for layer in layers]
        return cls(read, solver, open_data(read, seeded, state.phase), seed)

    def trained_net(self, whole: Net) -> Net:
        """Give the net of the solver's TRAIN state."""
        return in_state(whole, self.solver.train_state)

    def with_weights(self, given: Sequence[WeightsSource], watcher: Watcher) -> Net:
        """Give the net with all phases and its weights.

        Parameters
        ----------
        given : sequence of paths or Nets
            Caffemodels, or nets with weights; the last one that holds a layer decides. What none holds is filled as its
            fillers say.
        watcher : Watcher
            Told of layers that are filled although there are caffemodels.

        Raises
        ------
        RistrettoError
            When a file is missing, damaged or of another net, or a filler is not known.
        """
        whole = self.read.net
        for weights in given:
            loaded = with_weights(self.read.net, weights)
            layers = tuple(new if new.blobs else old for old, new in zip(whole, loaded, strict=True))
            whole = replace(whole, layers=layers)
        bare = self._without_weights(self.trained_net(whole))
        if not bare:
            return whole
        if given:
            others = f" and {len(bare) - 1} more" if len(bare) > 1 else ""
            watcher.note(f"layer '{bare[0]}'{others} starts from fillers: no caffemodel holds its weights")
        filled = InitWeights(self.seed, self.source.shapes)(self.trained_net(self.read.net))
        made = {name: filled[name].blobs for name in bare}
        layers = tuple(replace(layer, blobs=made.get(layer.name, layer.blobs)) for layer in whole)
        return replace(whole, layers=layers)

    def _without_weights(self, net: Net) -> list[str]:
        shapes: Mapping[str, tuple[Shape, ...]] = net.shapes(self.source.shapes)
        return [
            layer.name
            for layer in net
            if not layer.op.is_data and not layer.blobs and layer.op.blob_shapes(net.bottom_shapes(layer, shapes))
        ]


@dataclass(frozen=True, eq=False)
class Test:
    """One of a solver's test nets, and what feeds it.

    Parameters
    ----------
    whole : Net
        All phases, with other weights.
    asked : NetTest
    source : BatchSource
    threads : int
    """

    whole: Net
    asked: NetTest
    source: BatchSource
    threads: int

    @classmethod
    def open(cls, asked: NetTest, read: Model | None, solver: Solver, threads: int) -> Test:
        """Open a test net and its data; `read` is the net that stands for all that the solver names, if one does.

        Raises
        ------
        RistrettoError
            When the net makes no sense, or its data are missing or damaged.
        """
        model = read or read_model(find_named(asked.net, solver))
        net = in_state(model.net, asked.state)
        if not net.data_layers:
            raise TrainingError(
                f"{model.path} has no data layer in TEST to score it on",
                hint="add one, or take test_iter and test_interval out of the solver",
            )
        return cls(model.net, asked, open_data(model, net.data_layers, asked.state.phase), threads)

    def score(self, trained: Net, watcher: Watcher) -> Scores:
        """Score the net with the weights and formats of a trained one, in integers where it is quantized.

        Parameters
        ----------
        trained : Net
            All phases. Layers are matched by their names.
        watcher : Watcher
        """
        layers = {layer.name: layer for layer in trained}
        whole = replace(self.whole, layers=tuple(_like(layer, layers.get(layer.name)) for layer in self.whole))
        executor = IntegerExecutor(in_state(whole, self.asked.state), self.source.shapes)
        count = self.asked.iterations
        with watcher.stage("scoring", count) as advance:
            return score(executor, self.source.batches(count), threads=self.threads, progress=advance)


def _like(layer: Layer, trained: Layer | None) -> Layer:
    """Give a layer the weights and the formats of its namesake; what is rounded by chance in training is not here."""
    if trained is None:
        return layer
    quant = replace(trained.quant, scheme=Scheme.NEAREST) if trained.quant else None
    return replace(layer, blobs=trained.blobs, quant=quant)
