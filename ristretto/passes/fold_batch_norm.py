"""FoldBatchNorm: works factors and summands for each channel into the weights before them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ristretto.errors import ModelError, in_layer
from ristretto.net import Layer, Net, Phase
from ristretto.passes.states import nets_of_states

SHOWN = 3
"""Names of layers that a remark spells out."""

BEHIND = "the layer before it stays"
DIFFERENT = "the phases differ in it, or in what stands before it"


@dataclass(frozen=True, eq=False)
class Fold:
    """Layers that go into the one before them.

    Parameters
    ----------
    into : tuple of Layer
        The layer whose weights take them up: all layers of one name.
    layers : tuple of Layer
        What goes; of a layer that each phase has in its own way, all.
    top : str
        The blob that is then the layer's top.
    factors, summands : float64 arrays, (channels,)
        What all of them do together.
    """

    into: tuple[Layer, ...]
    layers: tuple[Layer, ...]
    top: str
    factors: NDArray[np.float64]
    summands: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Plan:
    """What can be folded in a net, and what cannot.

    Parameters
    ----------
    folds : tuple of Fold
    left : mapping of str to tuple of str
        Why layers stay, and their names.
    """

    folds: tuple[Fold, ...]
    left: Mapping[str, tuple[str, ...]]

    @property
    def summary(self) -> str:
        """Say how many layers there are to fold, and of which types."""
        layers = {layer.name: layer.op.type for fold in self.folds for layer in fold.layers}
        types = " and ".join(sorted(set(layers.values())))
        return f"{len(layers)} {types} layer{'s' if len(layers) > 1 else ''}"

    @property
    def remarks(self) -> tuple[str, ...]:
        """Say which layers stay, and why."""
        remarks = []
        for reason, names in self.left.items():
            shown = ", ".join(f"'{name}'" for name in names[:SHOWN])
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            remarks.append(f"layer {shown}{more} not folded: {reason}")
        return tuple(remarks)


@dataclass(frozen=True)
class FoldBatchNorm:
    """Folds BatchNorm, Scale and Bias layers into the multiply-accumulate layer before them.

    They go in any order and number, as long as each is the only reader of what it reads. BatchNorm goes with the
    statistics that training stored: where the net of the TRAIN phase normalized by the batch, the folded one does not.
    Factors and summands are joined in float64; the weights are rounded once.

    A layer is folded when it is the same in all phases that have it, and what follows is too. The blob that the last
    layer made becomes the top of the one before, so that later readers find it.
    """

    def plan(self, net: Net) -> Plan:
        """Find what can be folded.

        Parameters
        ----------
        net : Net
            Of all phases or of one, with weights.
        """
        nets = nets_of_states(net)
        folds: list[Fold] = []
        reasons: dict[str, str] = {}
        for name in dict.fromkeys(layer.name for layer in net if layer.op.output_channels is not None):
            fold, stays = _fold(net, nets, name)
            folds += [fold] if fold else []
            reasons |= stays
        gone = {id(layer) for fold in folds for layer in fold.layers}
        left: dict[str, list[str]] = {}
        for name, layer in {layer.name: layer for layer in net if layer.op.is_affine and id(layer) not in gone}.items():
            left.setdefault(reasons.get(name) or _no_chain(nets, layer), []).append(name)
        return Plan(tuple(folds), {reason: tuple(names) for reason, names in left.items()})

    def __call__(self, net: Net) -> Net:
        """Give the folded net; the same one where there is nothing to fold.

        Raises
        ------
        ModelError
            When a layer's weights are missing or do not fit, or the folded ones are not finite.
        """
        folds = self.plan(net).folds
        if not folds:
            return net
        gone = {id(layer) for fold in folds for layer in fold.layers}
        changed = {id(layer): _folded(layer, fold) for fold in folds for layer in fold.into}
        return replace(net, layers=tuple(changed.get(id(layer), layer) for layer in net if id(layer) not in gone))


def _chain(net: Net, layer: Layer) -> list[Layer]:
    """Give the layers behind one that multiply and add, each the only reader of what the one before makes."""
    chain: list[Layer] = []
    while len(layer.tops) == 1:
        readers = net.consumers(layer)
        if len(readers) != 1 or not readers[0].op.is_affine or len(readers[0].bottoms) != 1:
            break
        layer = readers[0]
        chain.append(layer)
    return chain


def _fold(net: Net, nets: Sequence[Net], name: str) -> tuple[Fold | None, dict[str, str]]:
    """Give what goes into the layers of a name, and of what follows them and stays, the reasons."""
    places = [(state, layer) for state in nets for layer in state if layer.name == name]
    chains = [_chain(state, layer) for state, layer in places]
    longest = max(chains, key=len, default=[])
    if not longest:
        return None, {}
    into = _all_named(net, name)
    reason = _refused(net, into, [layer for _, layer in places])
    channels = into[0].op.output_channels
    factors: NDArray[np.float64] = np.ones(1)
    summands: NDArray[np.float64] = np.zeros(1)
    gone: list[Layer] = []
    top = ""
    for step in range(len(longest)):
        reason = reason or _differs(net, chains, step)
        if reason or channels is None:
            break
        _check_fit(into, channels)
        # Of one phase alone there is nothing to choose; else TEST decides, as the net is folded to be run.
        decide = [
            chain[step]
            for (state, _), chain in zip(places, chains, strict=True)
            if len(nets) == 1 or (state.state and state.state.phase is Phase.TEST)
        ]
        numbers = _numbers(_distinct(decide), channels)
        if isinstance(numbers, str):
            reason = numbers
            break
        factors, summands = numbers[0] * factors, numbers[0] * summands + numbers[1]
        gone += _distinct(chain[step] for chain in chains)
        top = gone[-1].tops[0]
    stays: dict[str, str] = {}
    for chain in chains:
        rest = [layer.name for layer in chain if not any(layer is other for other in gone)]
        stays |= dict.fromkeys(rest, BEHIND) | dict.fromkeys(rest[:1], reason)
    return (Fold(into, tuple(gone), top, factors, summands) if gone else None), stays


def _refused(net: Net, into: Sequence[Layer], used: Sequence[Layer]) -> str:
    """Say why nothing can go into the layers of a name, of which those that are used take part in some state, if so."""
    channels = {layer.op.output_channels for layer in into}
    # One of the name may be of another kind, a data layer say.
    if len(_distinct(used)) < len(into) or len(channels) > 1 or None in channels:
        return DIFFERENT
    if any(layer.quant for layer in into):
        return "the layer before it is quantized"
    if any(set(layer.shared) & set(other.shared) for layer in into for other in net if other.name != into[0].name):
        return "the layer before it shares its weights"
    return ""


def _check_fit(into: Sequence[Layer], channels: int) -> None:
    """Raise a ModelError where weights are too few: what a prototxt says alone must not decide on memory."""
    for layer in into:
        if layer.blobs and layer.blobs[0].size < channels:
            raise ModelError(
                f"weights of shape {layer.blobs[0].shape} for {channels} outputs",
                layer=layer.name,
                hint="does the caffemodel belong to this prototxt?",
            )


def _differs(net: Net, chains: Sequence[Sequence[Layer]], step: int) -> str:
    """Say that the states do not have the same layer at a step of their chains, if so."""
    layers = _distinct(chain[step] for chain in chains if len(chain) > step)
    same = len({(layer.name, layer.bottoms, layer.tops) for layer in layers}) == 1
    everywhere = all(len(chain) > step for chain in chains) and len(layers) == len(_all_named(net, layers[0].name))
    return "" if same and everywhere else DIFFERENT


def _numbers(layers: Sequence[Layer], channels: int) -> tuple[NDArray[np.float64], NDArray[np.float64]] | str:
    """Give factors and summands of a layer from all forms that it has in the TEST phase, or why there are none."""
    if not layers:
        return "it takes part in training alone"
    if len({layer.op for layer in layers}) > 1:
        return DIFFERENT
    for layer in layers:
        if not layer.blobs:
            raise ModelError("no weights", layer=layer.name, hint="does the caffemodel belong to this prototxt?")
    with np.errstate(divide="ignore", invalid="ignore"):
        blobs = [np.asarray(blob, np.float64) for blob in layers[0].blobs]
        numbers = layers[0].op.channelwise(blobs, channels)
        if numbers:
            return numbers.joined(channels)
    return "its numbers are not one for each channel, or they are the batch's"


def _no_chain(nets: Sequence[Net], layer: Layer) -> str:
    """Say why a layer follows none that could take it up."""
    if len(layer.bottoms) != 1:
        return "it reads several blobs"
    before = [state.producer(layer.bottoms[0], before=layer) for state in nets if layer in state.layers]
    if any(producer is not None and producer.op.is_affine for producer in before):
        return BEHIND
    if any(producer is not None and producer.op.output_channels is not None for producer in before):
        return "other layers read the same blob"
    return "the layer before it has no weights that could take it up"


def _folded(layer: Layer, fold: Fold) -> Layer:
    with in_layer(layer.name):
        op, blobs = layer.op.scaled(layer.blobs, fold.factors, fold.summands)
    # What is beyond float32 becomes infinite, and is refused as such.
    with np.errstate(over="ignore"):
        rounded = tuple(blob.astype(np.float32) for blob in blobs)
    for blob in rounded:
        if not np.isfinite(blob).all():
            names = ", ".join(f"'{name}'" for name in dict.fromkeys(gone.name for gone in fold.layers))
            raise ModelError(f"its weights are not finite with {names} folded in", layer=layer.name)
        blob.flags.writeable = False
    return replace(layer, op=op, blobs=rounded, tops=(fold.top,))


def _all_named(net: Net, name: str) -> tuple[Layer, ...]:
    return tuple(layer for layer in net if layer.name == name)


def _distinct(layers: Iterable[Layer]) -> list[Layer]:
    return list({id(layer): layer for layer in layers}.values())
