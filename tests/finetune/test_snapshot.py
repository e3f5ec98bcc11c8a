"""Snapshots: training goes on from them as if it had never stopped, to the byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ristretto.caffe.caffemodel import encode_weights
from ristretto.caffe.reader import load_weights
from ristretto.caffe.solver_state import SolverState, encode_state
from ristretto.errors import DataError, ModelError, RistrettoError, TrainingError
from ristretto.finetune.graph import Activations
from ristretto.finetune.snapshot import read_snapshot, restore, write_snapshot
from ristretto.finetune.training import Choices, Training
from ristretto.finetune.updates import RULES
from ristretto.formats import FixedPoint
from ristretto.layers.batch_norm import BatchNorm
from ristretto.layers.convolution import Convolution
from ristretto.layers.dropout import Dropout
from ristretto.layers.inner_product import InnerProduct
from ristretto.layers.input import Input
from ristretto.layers.softmax_with_loss import SoftmaxWithLoss
from ristretto.net import Layer, LayerQuant, Net, Phase, Scheme, SnapshotFormat, Solver

SHAPES = {"data": (6, 2, 5, 5), "label": (6,)}
EIGHT = FixedPoint(8, 5)
FEW = FixedPoint(4, 2)
END, STOP = 8, 3
PLAIN = Choices()


def small_net(seed: int = 0) -> Net:
    """Give a net with a dropout, whose masks are drawn, and with sums that BatchNorm keeps."""
    rng = np.random.default_rng(seed)

    def blobs(*shapes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        found = tuple(rng.normal(size=shape).astype(np.float32) for shape in shapes)
        for blob in found:
            blob.flags.writeable = False
        return found

    quant = LayerQuant(EIGHT, EIGHT, FEW)
    norm = (np.zeros(3, np.float32), np.ones(3, np.float32), np.ones(1, np.float32))
    layers = (
        Layer("in", Input((SHAPES["data"], SHAPES["label"])), (), ("data", "label")),
        Layer("conv", Convolution(3, (3, 3)), ("data",), ("conv",), blobs((3, 2, 3, 3), (3,)), quant=quant),
        Layer("norm", BatchNorm(), ("conv",), ("norm",), norm),
        Layer("drop", Dropout(0.4), ("norm",), ("norm",)),
        Layer("fc", InnerProduct(4), ("norm",), ("fc",), blobs((4, 27), (4,)), quant=quant),
        Layer("loss", SoftmaxWithLoss(), ("fc", "label"), ("loss",)),
    )
    return Net("net", layers).for_phase(Phase.TRAIN)


def batches(start: int, count: int) -> Iterator[dict[str, np.ndarray]]:
    for number in range(start, start + count):
        rng = np.random.default_rng((7, number))
        yield {
            "data": rng.normal(size=SHAPES["data"]).astype(np.float32),
            "label": rng.integers(0, 4, SHAPES["label"]).astype(np.float32),
        }


def solver(folder: Path, **settings: object) -> Solver:
    plain = Solver("net.prototxt", 0.05, "step", END, gamma=0.5, stepsize=2, snapshot_prefix=str(folder / "net"))
    return replace(plain, **settings)  # type: ignore[arg-type]


def run(training: Training, until: int) -> None:
    size = training.solver.iter_size
    while training.iteration < until:
        training.update(list(batches(training.iteration * size, size)))


def begin(asked: Solver, choices: Choices = PLAIN, net: Net | None = None) -> Training:
    net = net or small_net()
    return Training(net, SHAPES, asked, choices, teacher=small_net())


def go_on(asked: Solver, choices: Choices = PLAIN) -> Training:
    """Make a training from the snapshot at STOP, as another process would."""
    begun = read_snapshot(asked.snapshot_names(STOP)[1])
    training = begin(asked, choices, load_weights(small_net(seed=9), begun.weights))
    restore(training, begun)
    return training


def files(training: Training) -> list[bytes]:
    return [Path(name).read_bytes() for name in write_snapshot(training)]


def assert_goes_on_exactly(asked: Solver, choices: Choices = PLAIN) -> None:
    whole = begin(asked, choices)
    run(whole, STOP)
    at_stop = files(whole)
    run(whole, END)
    at_end = files(whole)
    for name in whole.solver.snapshot_names(END):
        Path(name).unlink()
    again = go_on(asked, choices)
    assert again.iteration == STOP
    assert encode_weights(again.shadow.blobs(again.net)) == encode_weights(
        load_weights(again.net, asked.snapshot_names(STOP)[0])
    )
    run(again, END)
    assert files(again) == at_end
    assert at_stop != at_end


@pytest.mark.parametrize("rule", [rule.type for rule in RULES])
def test_every_rule_goes_on_exactly(rule: str, tmp_path: Path) -> None:
    takes = next(each for each in RULES if each.type == rule).takes_momentum
    assert_goes_on_exactly(solver(tmp_path, type=rule, momentum=0.9 if takes else 0.0, weight_decay=0.01))


@pytest.mark.parametrize(
    "choices",
    [
        Choices(learn_fl=True),
        Choices(distill=0.5, temperature=2.0),
        Choices(rounding=Scheme.STOCHASTIC, seed=5),
        Choices(activations=Activations.FLOAT),
    ],
    ids=["learn_fl", "distill", "stochastic", "float activations"],
)
def test_every_choice_goes_on_exactly(choices: Choices, tmp_path: Path) -> None:
    assert_goes_on_exactly(solver(tmp_path, momentum=0.9), choices)


def test_several_batches_to_an_update_and_hdf5_go_on_exactly(tmp_path: Path) -> None:
    form = SnapshotFormat.HDF5
    assert_goes_on_exactly(solver(tmp_path, momentum=0.9, iter_size=2, snapshot_format=form, clip_gradients=0.5))
    assert (tmp_path / "net_iter_3.solverstate.h5").is_file()


def test_one_seed_gives_the_same_bytes_and_another_others(tmp_path: Path) -> None:
    found = []
    for place, seed in enumerate((1, 1, 2)):
        training = begin(solver(tmp_path / str(place)), Choices(seed=seed))
        run(training, END)
        found.append(encode_weights(training.shadow.blobs(training.net)))
    assert found[0] == found[1]
    assert found[0] != found[2], "dropout draws from the seed"


def test_a_snapshot_may_be_moved(tmp_path: Path) -> None:
    asked = solver(tmp_path)
    training = begin(asked)
    run(training, STOP)
    names = write_snapshot(training)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in names:
        Path(name).rename(moved / Path(name).name)
    found = read_snapshot(moved / Path(names[1]).name)
    assert found.weights == moved / Path(names[0]).name
    (moved / Path(names[0]).name).unlink()
    with pytest.raises(DataError, match="which are not there"):
        read_snapshot(moved / Path(names[1]).name)


def test_a_moved_snapshot_keeps_to_its_own_weights(tmp_path: Path) -> None:
    """Another training may have written the same names where this one was."""
    asked = solver(tmp_path / "here", momentum=0.9)
    training = begin(asked)
    run(training, STOP)
    write_snapshot(training)
    run(training, END)
    end = encode_weights(training.shadow.blobs(training.net))
    (tmp_path / "here").rename(tmp_path / "kept")
    other = begin(asked, net=small_net(seed=5))
    run(other, STOP)
    write_snapshot(other)
    begun = read_snapshot(tmp_path / "kept" / "net_iter_3.solverstate")
    again = begin(asked, net=load_weights(small_net(seed=9), begun.weights))
    restore(again, begun)
    run(again, END)
    assert encode_weights(again.shadow.blobs(again.net)) == end


def test_radix_points_of_an_earlier_training_do_not_stay(tmp_path: Path) -> None:
    asked = solver(tmp_path)
    for choices in (Choices(learn_fl=True), PLAIN):
        training = begin(asked, choices)
        run(training, STOP)
        write_snapshot(training)
    assert read_snapshot(asked.snapshot_names(STOP)[1]).radix_points is None
    assert go_on(asked).iteration == STOP


@pytest.mark.parametrize("files", range(4))
def test_a_snapshot_is_whole_when_its_solverstate_is_there(
    files: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after so many of its three files have got their names."""
    asked = solver(tmp_path)
    training = begin(asked, Choices(learn_fl=True))
    run(training, STOP)
    put, done = Path.replace, []

    def replace_or_die(source: Path, target: Path) -> Path:
        if len(done) == files:
            raise SystemExit
        done.append(target)
        return put(source, target)

    monkeypatch.setattr(Path, "replace", replace_or_die)
    with nullcontext() if files == 3 else pytest.raises(SystemExit):
        write_snapshot(training)
    assert len(list(tmp_path.iterdir())) == files
    state = Path(asked.snapshot_names(STOP)[1])
    assert state.exists() == (files == 3)
    if state.exists():
        assert go_on(asked, Choices(learn_fl=True)).iteration == STOP


def test_what_is_no_number_is_not_written(tmp_path: Path) -> None:
    for harm, told in (("weights", "weights of layer 'fc'"), ("history", "gradients have become too large")):
        training = begin(solver(tmp_path / harm))
        run(training, STOP)
        if harm == "weights":
            with torch.no_grad():
                training.shadow["fc", 1][0] = float("nan")
        else:
            training.restore(STOP, [np.full_like(array, np.inf) for array in training.history])
        with pytest.raises(TrainingError, match=told):
            write_snapshot(training)
        assert not (tmp_path / harm).exists()


@pytest.mark.parametrize("said", ["", "/", "..", "a" * 5000, "a\0b", "nowhere/net.caffemodel"])
def test_a_solverstate_that_names_no_weights_is_refused(said: str, tmp_path: Path) -> None:
    path = tmp_path / "net_iter_3.solverstate"
    path.write_bytes(encode_state(SolverState(3, said)))
    with pytest.raises(DataError, match="which are not there"):
        read_snapshot(path)


def test_radix_points_of_another_net_are_refused(tmp_path: Path) -> None:
    asked, choices = solver(tmp_path), Choices(learn_fl=True)
    training = begin(asked, choices)
    run(training, STOP)
    write_snapshot(training)
    points = tmp_path / "net_iter_3.radix_points.npz"
    with np.load(points) as file:
        np.savez(points, **{name: file[name][:-1] for name in file.files})
    with pytest.raises(ModelError, match="are not those of a net with 6"):
        go_on(asked, choices)


def damaged(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def text(path: Path) -> None:
    path.write_text("iter: 3\n")


@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize("harm", [damaged, text])
def test_damaged_files_are_named(which: int, harm: Callable[[Path], None], tmp_path: Path) -> None:
    training = begin(solver(tmp_path), Choices(learn_fl=True))
    run(training, STOP)
    names = write_snapshot(training)
    harm(Path(names[which]))
    with pytest.raises(RistrettoError, match=str(Path(names[which]).name)):
        read_snapshot(names[1])


def test_learned_radix_points_must_be_asked_for_as_they_were(tmp_path: Path) -> None:
    for choices, other, told in (
        (Choices(), Choices(learn_fl=True), "was not made with radix points"),
        (Choices(learn_fl=True), Choices(), "was made with radix points"),
    ):
        asked = solver(tmp_path / told)
        training = begin(asked, choices)
        run(training, STOP)
        write_snapshot(training)
        with pytest.raises(TrainingError, match=told):
            go_on(asked, other)


def test_a_snapshot_of_another_rule_is_refused(tmp_path: Path) -> None:
    asked = solver(tmp_path)
    training = begin(asked)
    run(training, STOP)
    write_snapshot(training)
    with pytest.raises(ModelError, match="history blobs"):
        go_on(replace(asked, type="Adam"))


def test_no_input_is_written_over(tmp_path: Path) -> None:
    training = begin(solver(tmp_path))
    weights = Path(training.solver.snapshot_names(0)[0])
    weights.write_bytes(b"mine")
    with pytest.raises(RistrettoError, match="would be overwritten"):
        write_snapshot(training, [weights])
    assert weights.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [weights]
