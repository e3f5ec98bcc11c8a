"""The part of a net that an ONNX model can hold: all but the scores and losses at its ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ristretto.errors import ModelError
from ristretto.net import Layer, Net, Shape


@dataclass(frozen=True, eq=False)
class Trunk:
    """A net whose layers all have a form in ONNX.

    Parameters
    ----------
    net : Net
        Of one phase.
    outputs : tuple of str
        The blobs that it gives, in alphabetical order: those that none of its layers reads.
    left_out : tuple of Layer
        Scores, losses, what is computed from these, and other layers at the end that ONNX has no form for.
    """

    net: Net
    outputs: tuple[str, ...]
    left_out: tuple[Layer, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """Say what is left out, in one line, or in none."""
        if not self.left_out:
            return ()
        names = ", ".join(f"'{layer.name}' ({layer.type})" for layer in self.left_out)
        return (f"left out, as ONNX has no such thing: {names}; the model gives {', '.join(self.outputs)}",)


def trunk_of(net: Net, shapes: dict[str, tuple[Shape, ...]]) -> Trunk:
    """Cut off what ONNX has no form for.

    Parameters
    ----------
    net : Net
        Of one phase.
    shapes : dict of str to tuple of shapes
        Of every layer's tops.

    Raises
    ------
    ModelError
        When a layer without a form in ONNX has readers that are no scores, or when nothing is left.
    """
    formless = {
        layer.name for layer in net if not layer.op.is_data and layer.op.onnx(net.bottom_shapes(layer, shapes)) is None
    }
    left_out = _behind_scores(net, formless)
    needed: set[str] = set()
    for layer in reversed(net.layers):
        if layer.name in left_out:
            continue
        if layer.name in formless:
            if needed.isdisjoint(layer.tops):
                left_out.add(layer.name)
                continue
            raise ModelError(f"{layer.type} has no form in ONNX", layer=layer.name, hint="cut the net before it")
        needed.update(layer.bottoms)
    kept = replace(net, layers=tuple(layer for layer in net if layer.name not in left_out))
    cut = tuple(layer for layer in net if layer.name in left_out)
    fed = {top for layer in net.data_layers for top in layer.tops}
    made = {top for layer in kept if not layer.op.is_data for top in layer.tops}
    outputs = tuple(blob for blob in kept.outputs if blob in made and blob not in _silenced(cut))
    if not outputs:
        raise ModelError(
            "nothing is left to export", hint=f"no layer with a form in ONNX reads {', '.join(sorted(fed))}"
        )
    return Trunk(kept, outputs, cut)


def _behind_scores(net: Net, formless: set[str]) -> set[str]:
    """Name the scores and losses, and what is computed from them."""
    found: set[str] = set()
    made: set[str] = set()
    for layer in net:
        is_score = layer.name in formless and layer.op.higher_is_better is not None
        if is_score or not made.isdisjoint(layer.bottoms):
            found.add(layer.name)
            made.update(layer.tops)
    return found


def _silenced(cut: Iterable[Layer]) -> set[str]:
    """Give the blobs that a layer reads only so that they are no outputs: it makes nothing, and is no score."""
    return {blob for layer in cut if not layer.tops and layer.op.higher_is_better is None for blob in layer.bottoms}
