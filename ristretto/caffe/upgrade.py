"""Nets and solvers of older formats, as messages of today's.

The rules are those by which Caffe reads such files. Where Caffe would pass over something with a word in its log, the
result says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ristretto.caffe.upgrade_v0 import from_v0
from ristretto.caffe.upgrade_v1 import from_v1, move_transforms
from ristretto.errors import ModelError

BATCH_NORM = "BatchNorm"
BATCH_NORM_BLOBS = 3
"""Mean, variance and their scale: none is learned, and today Caffe sees to that by itself."""

RATES_FIXED = "the rates of BatchNorm's three param blocks are 0"

_INPUT_DIMS = 4

FORMS = {"V0": '`layers { layer { type: "conv" } }` of 2013', "V1": "`layers { type: CONVOLUTION }` of 2014"}
"""What the layers of a version look like in a prototxt."""

SOLVER_TYPES = {
    "SGD": "SGD",
    "NESTEROV": "Nesterov",
    "ADAGRAD": "AdaGrad",
    "RMSPROP": "RMSProp",
    "ADADELTA": "AdaDelta",
    "ADAM": "Adam",
}
"""By the old `solver_type`: today's `type`."""


@dataclass(frozen=True)
class Change:
    """One kind of change.

    Parameters
    ----------
    what : str
        From what to what.
    layers : tuple of str
        The layers it was made in; empty for one of the whole file.
    """

    what: str
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Upgraded:
    """A net in today's format.

    Parameters
    ----------
    message : NetParameter
        The source itself when there was nothing to change.
    version : str
        The source's: ``V0``, ``V1``, or ``V2``, which is today's.
    origins : tuple of int
        For each layer its place in the source; -1 for one that was made.
    changes : tuple of Change
    left_out : tuple of str
        What the source says and the result does not, a line each.
    """

    message: Any
    version: str
    origins: tuple[int, ...]
    changes: tuple[Change, ...]
    left_out: tuple[str, ...] = ()

    @property
    def is_legacy(self) -> bool:
        """Whether the source's layers are of an older form, so that its text cannot stay."""
        return self.version != "V2"


def upgrade_net(source: Any, where: str, *, of_weights: bool = False) -> Upgraded:
    """Upgrade a net, from whatever version.

    Parameters
    ----------
    source : NetParameter
        It stays as it is.
    where : str
        The file's name, for errors.
    of_weights : bool
        Whether it is the net inside a caffemodel, whose inputs may have no shapes: they are dropped then, as in Caffe.

    Returns
    -------
    Upgraded

    Raises
    ------
    ModelError
        When the layers are of several versions, a V0 type is unknown, or the inputs and their shapes do not fit.
    """
    if source.layers and source.layer:
        raise ModelError(
            f"{where} has layers of two formats, `layers` and `layer`",
            hint="Caffe would run the `layers` alone; keep those of one kind",
        )
    net, version = source, "V2"
    changes: list[Change] = []
    left_out: list[str] = []
    origins = list(range(len(source.layer)))
    if source.layers:
        layers, origins = list(source.layers), list(range(len(source.layers)))
        version = "V1"
        if any(layer.HasField("layer") for layer in layers):
            version = "V0"
            layers, origins, left_out, padded = from_v0(layers)
            if padded:
                changes.append(Change("padding layers are the pad of what read them", tuple(padded)))
        net, moved = _today(source, layers)
        names = tuple(layer.name for layer in net.layer)
        changes.insert(0, Change(f"{version} layers, {FORMS[version]}, are `layer` blocks", names))
        if moved:
            changes.append(Change("scale, mean_file, crop_size, mirror stand in transform_param", tuple(moved)))
    if source.input:
        net, made = _with_input_layer(net, where, of_weights)
        origins = [-1] * made + origins
        changes.append(Change("inputs are an Input layer" if made else "inputs without a shape are gone"))
    fixed = _copy(net)
    if old := tuple(layer.name for layer in fixed.layer if fix_rates(layer.type, layer.param)):
        net = fixed
        changes.append(Change(RATES_FIXED, old))
    return Upgraded(net, version, tuple(origins), tuple(changes), tuple(left_out))


def _copy(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _today(source: Any, layers: Iterable[Any]) -> tuple[Any, list[str]]:
    """Give the net with V1 layers as today's, and the names of those whose transform settings moved."""
    net = _copy(source)
    net.ClearField("layers")
    moved = []
    for item in layers:
        layer = _copy(item)
        if move_transforms(layer):
            moved.append(layer.name)
        net.layer.add().CopyFrom(from_v1(layer))
    return net, moved


def _with_input_layer(source: Any, where: str, of_weights: bool) -> tuple[Any, int]:
    """Give the net with an Input layer in the place of its inputs, and the number of layers made: 1, or 0."""
    if source.input_shape and source.input_dim:
        raise ModelError(f"{where} has both input_shape and input_dim", hint="keep one of them")
    dims = list(source.input_dim)
    shapes = [list(shape.dim) for shape in source.input_shape] or [
        dims[start : start + _INPUT_DIMS] for start in range(0, len(dims), _INPUT_DIMS)
    ]
    if (shapes or not of_weights) and (len(shapes) != len(source.input) or len(dims) % _INPUT_DIMS):
        raise ModelError(
            f"{where} has {len(source.input)} inputs, {len(source.input_shape)} input_shape and {len(dims)} input_dim",
            hint=f"an input takes one input_shape, or {_INPUT_DIMS} input_dim",
        )
    net = _copy(source)
    for field in ("input", "input_shape", "input_dim", "layer"):
        net.ClearField(field)
    if shapes:
        layer = net.layer.add(name="input", type="Input", top=source.input)
        for shape in shapes:
            layer.input_param.shape.add(dim=shape)
    net.layer.MergeFrom(source.layer)
    return net, len(shapes[:1])


def fix_rates(kind: str, params: Sequence[Any]) -> bool:
    """Set the rates of a BatchNorm layer with a ``param`` block for each blob to 0, as Caffe does.

    Parameters
    ----------
    kind : str
        The layer's type; another one is left alone.
    params : sequence of ParamSpec
        Changed in place.

    Returns
    -------
    bool
        Whether one was not 0.
    """
    if kind != BATCH_NORM or len(params) != BATCH_NORM_BLOBS:
        return False
    changed = any(param.lr_mult or param.decay_mult for param in params)
    for param in params:
        param.lr_mult = param.decay_mult = 0
    return changed


def upgrade_solver(source: Any, where: str) -> tuple[Any, tuple[Change, ...]]:
    """Upgrade a solver: ``solver_type: ADAM`` becomes ``type: "Adam"``.

    Parameters
    ----------
    source : SolverParameter
        It stays as it is.
    where : str
        The file's name, for errors.

    Returns
    -------
    SolverParameter, tuple of Change

    Raises
    ------
    ModelError
        When it has both fields.
    """
    if not source.HasField("solver_type"):
        return source, ()
    if source.HasField("type"):
        raise ModelError(f"{where} has both solver_type and type", hint="keep `type`")
    solver = _copy(source)
    old = source.SolverType.Name(source.solver_type)
    solver.type = SOLVER_TYPES[old]
    solver.ClearField("solver_type")
    return solver, (Change(f'solver_type: {old} is type: "{solver.type}"'),)
