"""From a solver's prototxt to a `Solver`."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ristretto.caffe.messages import as_fields, is_repeated
from ristretto.caffe.prototxt import Prototxt, parse, read_text, scan
from ristretto.caffe.upgrade import upgrade_solver
from ristretto.errors import ModelError
from ristretto.net import Fields, NetState, NetTest, Phase, SnapshotFormat, Solver

SOLVER = "SolverParameter"
NET_FIELDS = ("layer", "layers", "input", "input_shape", "input_dim")
"""What a net says and a solver does not."""

INLINE = ("net_param", "train_net_param", "test_net_param")
"""Fields with a whole net in them."""

AT_LEAST = {
    "base_lr": 0,
    "max_iter": 0,
    "gamma": 0,
    "stepsize": 0,
    "stepvalue": 0,
    "momentum": 0,
    "momentum2": 0,
    "rms_decay": 0,
    "weight_decay": 0,
    "iter_size": 1,
    "average_loss": 1,
    "display": 0,
    "test_iter": 1,
    "test_interval": 0,
    "snapshot": 0,
    "device_id": 0,
}
"""The least value of a field. That of `gamma` and `stepsize` is Caffe's default; policies that use them want more."""

BELOW_1 = ("momentum", "momentum2", "rms_decay")
"""Shares of what was there before: with 1 nothing new would come in."""

REGULARIZATIONS = ("L2", "L1")

IGNORED = ("debug_info", "layer_wise_reduce", "snapshot_diff")
"""Fields that Caffe knows and nothing here reads."""


def read_solver(path: str | Path) -> Solver:
    """Read a solver's prototxt.

    Parameters
    ----------
    path : path
        The file. The old ``solver_type`` is read as ``type``, as Caffe does it.

    Returns
    -------
    Solver
        Its nets, prefix and weights as they are named there; nothing is looked for but whether the prefix is a folder.

    Raises
    ------
    PrototxtError
        When the file is missing or is no prototxt, with line and column.
    ModelError
        When it is a net, when a setting that every training needs is missing, or when one makes no sense. What only
        one policy or update rule asks for, that one says: see `ristretto.finetune`.
    """
    text = read_text(path)
    prototxt = scan(text, str(path), SOLVER)
    if any(field.name in NET_FIELDS and not field.parent for field in prototxt.unknown):
        raise ModelError(f"{path} is a net, not a solver", hint="give the solver's file: it names the net in `net`")
    message, _ = upgrade_solver(parse(text, str(path), SOLVER), str(path))
    try:
        return _read(message, Path(path), tuple(_notes(message, prototxt)))
    except ModelError as error:
        raise ModelError(f"{path}: {error.message}", hint=error.hint) from error


def _read(message: Any, path: Path, notes: tuple[str, ...]) -> Solver:
    fields = as_fields(message)
    for name in ("base_lr", "lr_policy", "max_iter"):
        if not fields.has(name):
            raise ModelError(f"{name} is missing", hint=f"add {name} to the solver")
    _check_numbers(message)
    regularization = fields.text("regularization_type")
    if regularization not in REGULARIZATIONS:
        raise ModelError(f"unknown regularization_type '{regularization}'", hint=f"known: {', '.join(REGULARIZATIONS)}")
    return Solver(
        train_net=_train_net(fields),
        base_lr=fields.number("base_lr"),
        lr_policy=fields.text("lr_policy"),
        max_iter=fields.integer("max_iter"),
        train_state=_state(fields.message("train_state"), Phase.TRAIN),
        tests=_tests(fields),
        test_interval=fields.integer("test_interval"),
        test_initialization=fields.flag("test_initialization"),
        test_compute_loss=fields.flag("test_compute_loss"),
        type=fields.text("type"),
        gamma=fields.number("gamma"),
        power=fields.number("power"),
        stepsize=fields.integer("stepsize"),
        stepvalues=fields.integers("stepvalue"),
        momentum=fields.number("momentum"),
        momentum2=fields.number("momentum2"),
        rms_decay=fields.number("rms_decay"),
        delta=fields.number("delta"),
        weight_decay=fields.number("weight_decay"),
        regularization_type=regularization,
        clip_gradients=fields.number("clip_gradients"),
        iter_size=fields.integer("iter_size"),
        average_loss=fields.integer("average_loss"),
        display=fields.integer("display"),
        snapshot=fields.integer("snapshot"),
        snapshot_prefix=_prefix(fields, path),
        snapshot_format=SnapshotFormat(fields.text("snapshot_format")),
        snapshot_after_train=fields.flag("snapshot_after_train"),
        random_seed=fields.integer("random_seed"),
        # As with --weights, several may stand in one text.
        weights=tuple(name.strip() for names in fields.values["weights"] for name in names.split(",")),
        solver_mode=fields.text("solver_mode"),
        device_id=fields.integer("device_id"),
        path=path,
        notes=notes,
    )


def _check_numbers(message: Any) -> None:
    """Raise a ModelError for a number that no training can use."""
    for field, value in message.ListFields():
        name = field.name
        for number in value if is_repeated(field) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise ModelError(f"{name} is {number}", hint="give a finite number")
            if name in AT_LEAST and number < AT_LEAST[name]:
                raise ModelError(f"{name} is {_short(number)}", hint=f"it must be {AT_LEAST[name]} or more")
            if name in BELOW_1 and number >= 1:
                raise ModelError(f"{name} is {_short(number)}", hint="it must be below 1")
            if name == "delta" and number <= 0:
                raise ModelError(f"delta is {_short(number)}", hint="it keeps a divisor from 0: it must be above 0")
            if name == "clip_gradients" and number == 0:
                raise ModelError("clip_gradients is 0: no gradient would be left", hint="take it out for no limit")


def _short(number: float) -> str:
    # Of a float32 no more digits are meant.
    return f"{number:.7g}"


def _train_net(fields: Fields) -> str:
    for name in INLINE:
        if fields.has(name):
            raise ModelError(
                f"{name} holds a net, which is not supported",
                hint="put the net into a file of its own, and name that in `net`",
            )
    given = [name for name in ("net", "train_net") if fields.has(name)]
    if len(given) > 1:
        raise ModelError("net and train_net stand together", hint="keep one of them")
    if not given or not fields.text(given[0]):
        raise ModelError("no net to train", hint="name its prototxt in `net`")
    return fields.text(given[0])


def _tests(fields: Fields) -> tuple[NetTest, ...]:
    """Give the nets to be scored: those of ``test_net``, then ``net`` for each ``test_iter`` that is left."""
    nets, iterations = list(fields.values["test_net"]), fields.integers("test_iter")
    if fields.has("net"):
        nets += [fields.text("net")] * (len(iterations) - len(nets))
    if len(nets) != len(iterations):
        raise ModelError(
            f"test_iter stands {len(iterations)} times for {len(nets)} test_net",
            hint="write it once for each net that is scored",
        )
    states = [_state(state, Phase.TEST) for state in fields.values["test_state"]]
    if len(states) not in (0, len(nets)):
        raise ModelError(
            f"test_state stands {len(states)} times for {len(nets)} test_iter",
            hint="write it once for each test_iter, or not at all",
        )
    if nets and not fields.integer("test_interval"):
        raise ModelError("test_iter without a test_interval", hint="add test_interval, or take test_iter out")
    states = states or [NetState(Phase.TEST)] * len(nets)
    return tuple(map(NetTest, nets, iterations, states))


def _state(fields: Fields, phase: Phase) -> NetState:
    return NetState(
        Phase(fields.text("phase")) if fields.has("phase") else phase,
        fields.integer("level"),
        frozenset(fields.values["stage"]),
    )


def _prefix(fields: Fields, path: Path) -> str:
    """Give the start of a snapshot's name, as Caffe makes it up where the solver gives none or a folder."""
    if not fields.has("snapshot_prefix"):
        return str(path.with_suffix(""))
    prefix = fields.text("snapshot_prefix")
    if "\0" in prefix:
        raise ModelError("snapshot_prefix holds a NUL", hint="no file can be called so")
    # Path.is_dir raises an error where a name is too long.
    return str(Path(prefix, path.stem)) if os.path.isdir(prefix) else prefix


def _notes(message: Any, prototxt: Prototxt) -> Iterator[str]:
    for field in prototxt.unknown:
        place = f" in {field.parent}" if field.parent else ""
        times = f", {field.count} times in all" if field.count > 1 else ""
        yield f"line {field.line}: unknown field '{field.name}'{place}{times}; it has no effect here"
    for name in IGNORED:
        if getattr(message, name) != message.DESCRIPTOR.fields_by_name[name].default_value:
            yield f"{name} has no effect here"
