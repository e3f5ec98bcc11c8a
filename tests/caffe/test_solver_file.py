"""Solvers, as their files say them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from ristretto.caffe.prototxt import parse
from ristretto.caffe.solver_file import AT_LEAST, BELOW_1, read_solver
from ristretto.caffe.upgrade import SOLVER_TYPES
from ristretto.errors import ModelError, PrototxtError
from ristretto.net import NetState, NetTest, Phase, SnapshotFormat, Solver

LENET = """\
# The train/test net protocol buffer definition
net: "examples/mnist/lenet_train_test.prototxt"
test_iter: 100
test_interval: 500
base_lr: 0.01
momentum: 0.9
weight_decay: 0.0005
lr_policy: "inv"
gamma: 0.0001
power: 0.75
display: 100
max_iter: 10000
snapshot: 5000
snapshot_prefix: "examples/mnist/lenet"
solver_mode: GPU
"""
SHORT = 'net: "n" base_lr: 1 lr_policy: "fixed" max_iter: 9 '


def read(folder: Path, text: str) -> Solver:
    (folder / "solver.prototxt").write_text(text)
    return read_solver(folder / "solver.prototxt")


def single(value: float) -> float:
    return float(np.float32(value))


def test_lenet_s_solver(tmp_path: Path) -> None:
    assert read(tmp_path, LENET) == Solver(
        train_net="examples/mnist/lenet_train_test.prototxt",
        base_lr=single(0.01),
        lr_policy="inv",
        max_iter=10000,
        tests=(NetTest("examples/mnist/lenet_train_test.prototxt", 100),),
        test_interval=500,
        gamma=single(0.0001),
        power=0.75,
        momentum=single(0.9),
        momentum2=single(0.999),
        rms_decay=single(0.99),
        delta=single(1e-8),
        weight_decay=single(0.0005),
        display=100,
        snapshot=5000,
        snapshot_prefix="examples/mnist/lenet",
        path=tmp_path / "solver.prototxt",
    )


EVERYTHING = """
train_net: "a" test_net: "b" test_net: "c" test_iter: 1 test_iter: 2 test_interval: 3
train_state { level: 2 stage: "x" stage: "y" } test_state { stage: "z" } test_state { phase: TRAIN }
test_initialization: false test_compute_loss: true base_lr: 0.5 lr_policy: "multistep" gamma: 0.25 power: 2
stepsize: 4 stepvalue: 5 stepvalue: 6 max_iter: 7 type: "Adam" momentum: 0.5 momentum2: 0.75 rms_decay: 0.125 delta: 8
weight_decay: 0.0625 regularization_type: "L1" clip_gradients: 9 iter_size: 10 average_loss: 11 display: 12
snapshot: 13 snapshot_prefix: "p" snapshot_format: HDF5 snapshot_after_train: false random_seed: 14
weights: "v,w" weights: "x" solver_mode: CPU device_id: 15
"""


def test_every_field_is_read(tmp_path: Path) -> None:
    solver = read(tmp_path, EVERYTHING)
    assert solver == Solver(
        train_net="a",
        base_lr=0.5,
        lr_policy="multistep",
        max_iter=7,
        train_state=NetState(Phase.TRAIN, 2, frozenset("xy")),
        tests=(
            NetTest("b", 1, NetState(Phase.TEST, 0, frozenset("z"))),
            NetTest("c", 2, NetState(Phase.TRAIN)),
        ),
        test_interval=3,
        test_initialization=False,
        test_compute_loss=True,
        type="Adam",
        gamma=0.25,
        power=2.0,
        stepsize=4,
        stepvalues=(5, 6),
        momentum=0.5,
        momentum2=0.75,
        rms_decay=0.125,
        delta=8.0,
        weight_decay=0.0625,
        regularization_type="L1",
        clip_gradients=9.0,
        iter_size=10,
        average_loss=11,
        display=12,
        snapshot=13,
        snapshot_prefix="p",
        snapshot_format=SnapshotFormat.HDF5,
        snapshot_after_train=False,
        random_seed=14,
        weights=("v", "w", "x"),
        solver_mode="CPU",
        device_id=15,
        path=tmp_path / "solver.prototxt",
    )
    plain = Solver("", 0, "", 0)
    same = {field.name for field in fields(Solver) if getattr(solver, field.name) == getattr(plain, field.name)}
    assert same == {"notes"}, "each field has another value than its default"


def test_what_is_not_said_has_caffe_s_default(tmp_path: Path) -> None:
    solver, defaults = read(tmp_path, SHORT), Solver("n", 1, "fixed", 9)
    caffe = parse("", "", "SolverParameter")
    others = {"path", "notes", "snapshot_prefix", "train_state", "tests", "stepvalues", "train_net", "snapshot_format"}
    for field in fields(Solver):
        if field.name in others | {"base_lr", "lr_policy", "max_iter"}:
            continue
        value = getattr(solver, field.name)
        if field.name not in ("weights", "solver_mode"):
            assert value == getattr(caffe, field.name), field.name
        if isinstance(value, float):
            assert value == single(getattr(defaults, field.name)), field.name
        else:
            assert value == getattr(defaults, field.name), field.name
    assert solver.tests == () and solver.notes == ()


@pytest.mark.parametrize("old", SOLVER_TYPES)
def test_the_old_type_is_today_s(tmp_path: Path, old: str) -> None:
    assert read(tmp_path, f"{SHORT} solver_type: {old}").type == SOLVER_TYPES[old]


def test_both_types_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="both solver_type and type"):
        read(tmp_path, f'{SHORT} solver_type: ADAM type: "Adam"')


# --- nets


def test_a_net_is_scored_once_for_each_test_iter_that_no_test_net_takes(tmp_path: Path) -> None:
    solver = read(tmp_path, SHORT + 'test_net: "t" test_iter: 1 test_iter: 2 test_iter: 3 test_interval: 1')
    assert [(test.net, test.iterations) for test in solver.tests] == [("t", 1), ("n", 2), ("n", 3)]


NO_NET = 'base_lr: 1 lr_policy: "fixed" max_iter: 9 '


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (NO_NET, "no net to train"),
        (NO_NET + 'net: ""', "no net to train"),
        (NO_NET + 'test_net: "n" test_iter: 1 test_interval: 1', "no net to train"),
        (SHORT + 'train_net: "m"', "net and train_net stand together"),
        (NO_NET + "net_param { }", "net_param holds a net"),
        (SHORT + 'train_net_param { name: "x" }', "train_net_param holds a net"),
        (SHORT + "test_net_param { }", "test_net_param holds a net"),
        (SHORT + 'test_net: "a" test_interval: 1', "test_iter stands 0 times for 1 test_net"),
        (NO_NET + 'train_net: "a" test_iter: 3 test_interval: 1', "test_iter stands 1 times for 0 test_net"),
        (SHORT + "test_iter: 3", "test_iter without a test_interval"),
        (SHORT + "test_iter: 3 test_interval: 1 test_state { } test_state { }", "test_state stands 2 times for 1"),
    ],
)
def test_nets_that_make_no_sense_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        read(tmp_path, text)
    assert "solver.prototxt: " in caught.value.message
    assert caught.value.hint


# --- numbers


@pytest.mark.parametrize("name", ["base_lr", "lr_policy", "max_iter"])
def test_what_every_training_needs_is_missed(tmp_path: Path, name: str) -> None:
    text = "\n".join(line for line in LENET.splitlines() if not line.startswith(f"{name}:"))
    with pytest.raises(ModelError, match=f"{name} is missing"):
        read(tmp_path, text)


@pytest.mark.parametrize(("name", "least"), AT_LEAST.items())
def test_numbers_below_their_least_are_refused(tmp_path: Path, name: str, least: int) -> None:
    start = {"base_lr": SHORT.replace("base_lr: 1", ""), "max_iter": SHORT.replace("max_iter: 9", "")}.get(name, SHORT)
    start += "test_interval: 5 " if name == "test_iter" else ""
    with pytest.raises(ModelError, match=f"{name} is {least - 1}") as caught:
        read(tmp_path, f"{start} {name}: {least - 1}")
    assert caught.value.hint == f"it must be {least} or more"
    read(tmp_path, f"{start} {name}: {least}")


@pytest.mark.parametrize("name", BELOW_1)
def test_shares_of_1_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match=f"{name} is 1"):
        read(tmp_path, f"{SHORT} {name}: 1")
    assert getattr(read(tmp_path, f"{SHORT} {name}: 0.5"), name) == 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("weight_decay: nan", "weight_decay is nan"),
        ("power: inf", "power is inf"),
        ("gamma: -0.1", "gamma is -0.1"),
        ("stepvalue: 3 stepvalue: -3", "stepvalue is -3"),
        ("delta: 0", "delta is 0"),
        ("clip_gradients: 0", "clip_gradients is 0"),
        ('regularization_type: "l2"', "unknown regularization_type 'l2'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        read(tmp_path, SHORT + text)
    assert caught.value.hint


def test_gradients_may_have_no_limit(tmp_path: Path) -> None:
    assert read(tmp_path, SHORT + "clip_gradients: -3").clip_gradients == -3


# --- snapshots, notes, other files


def test_without_a_prefix_snapshots_have_the_solver_s_name(tmp_path: Path) -> None:
    assert read(tmp_path, SHORT).snapshot_prefix == str(tmp_path / "solver")


def test_in_a_folder_snapshots_have_the_solver_s_name(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert read(tmp_path, f'{SHORT} snapshot_prefix: "{tmp_path}/out"').snapshot_prefix == str(tmp_path / "out/solver")
    assert read(tmp_path, f'{SHORT} snapshot_prefix: "{tmp_path}/no"').snapshot_prefix == str(tmp_path / "no")


def test_snapshots_are_named_as_caffe_does(tmp_path: Path) -> None:
    assert read(tmp_path, LENET + "snapshot_format: HDF5").snapshot_names(5000) == (
        "examples/mnist/lenet_iter_5000.caffemodel.h5",
        "examples/mnist/lenet_iter_5000.solverstate.h5",
    )


def test_fields_that_nothing_reads_are_said(tmp_path: Path) -> None:
    text = SHORT + "\nplateau_winsize: 3\nplateau_winsize: 4\ntrain_state { mode: 1 }\ndebug_info: true\n"
    assert read(tmp_path, text + "layer_wise_reduce: true snapshot_diff: false").notes == (
        "line 2: unknown field 'plateau_winsize', 2 times in all; it has no effect here",
        "line 4: unknown field 'mode' in train_state; it has no effect here",
        "debug_info has no effect here",
    )


@pytest.mark.parametrize(
    "text",
    [
        'layer { name: "a" type: "ReLU" bottom: "x" top: "x" }',
        'name: "old" layers { name: "a" type: RELU bottom: "x" top: "x" }',
        'input: "data" input_dim: 1',
    ],
)
def test_a_net_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(ModelError, match=r"solver\.prototxt is a net, not a solver") as caught:
        read(tmp_path, text)
    assert caught.value.hint


def test_a_file_that_is_no_prototxt_is_told_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(PrototxtError, match=r"solver\.prototxt:2:10"):
        read(tmp_path, 'net: "n"\nbase_lr: fast')
    with pytest.raises(PrototxtError, match="cannot read"):
        read_solver(tmp_path / "none")
