"""Word layers: the layers of a net whose words hardware stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError, in_layer
from ristretto.export.base import Subject
from ristretto.export.paths import exact_fl, with_real_bias
from ristretto.export.stems import stems
from ristretto.export.table import TWOS_COMPLEMENT, WIDEST_WORD, Table
from ristretto.formats import EXACT, HALF_EVEN, Arithmetic, FixedPoint, Format
from ristretto.hardware import MacPath, Stage, trace
from ristretto.hardware.grid import bits_for
from ristretto.net import Geometry, Layer, LayerQuant, Shape
from ristretto.net.quant import PLACES


@dataclass(frozen=True, eq=False)
class WordLayer:
    """A layer of words.

    Parameters
    ----------
    layer : Layer
    stem : str
        Its name in files and in C.
    quant : LayerQuant
        Its formats, none of which stands for float.
    in_shape, out_shape : shape
        Of its first bottom and its first top for one batch.
    walk : Geometry or None
        How it walks its input, where it multiplies and accumulates.
    path : MacPath or None
        The way of its numbers through integers; None where products have no grid.
    tables : tuple of Table
        Weights, then the bias; none for a layer without weights.
    """

    layer: Layer
    stem: str
    quant: LayerQuant
    in_shape: Shape
    out_shape: Shape
    walk: Geometry | None
    path: MacPath | None
    tables: tuple[Table, ...]

    def format(self, place: str) -> Format:
        """Give the format of one of ``ristretto.net.quant.PLACES``."""
        fmt = getattr(self.quant, place)
        assert isinstance(fmt, Format)
        return fmt


@dataclass(frozen=True)
class LeftOut:
    """A layer that could have words, and has none; and why."""

    layer: str
    reason: str

    def __str__(self) -> str:
        return f"layer '{self.layer}' is left out: {self.reason}"


@dataclass(frozen=True, eq=False)
class Words:
    """All layers of words of a net.

    Parameters
    ----------
    layers : tuple of WordLayer
        In net order.
    left_out : tuple of LeftOut
    notes : tuple of str
        What the user should know of them.
    """

    layers: tuple[WordLayer, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...] = ()


def words_of(subject: Subject) -> Words:
    """Give the layers of words of a net.

    Raises
    ------
    ModelError
        When the net has none, when weights are missing, do not fit or hold NaN, when a layer asks for stochastic
        rounding, or when defects of the original are asked for.
    """
    net, arithmetic = subject.net, subject.arithmetic
    if arithmetic not in (EXACT, HALF_EVEN):
        raise ModelError("the original's defects cannot be said in integers", hint="export without emulating them")
    names = stems(layer.name for layer in net)
    wanted = [layer for layer in net if layer.op.part is not None or layer.quant is not None]
    reasons = {layer.name: reason for layer in wanted if (reason := _why_not(layer))}
    left_out = tuple(LeftOut(name, reason) for name, reason in reasons.items())
    if len(left_out) == len(wanted):
        raise ModelError(
            f"net '{net.name}' has no layer whose words are integers",
            hint=f"`ristretto quantize` makes a net with them{f'; {left_out[0]}' if left_out else ''}",
        )
    datapath = trace(net, subject.inputs, arithmetic)
    layers = []
    for layer in wanted:
        if layer.name in reasons:
            continue
        assert layer.quant is not None
        stage = datapath[layer.name]
        walk = layer.op.geometry(stage.shapes[0])
        with in_layer(layer.name, "its weights"):
            path = stage.mac if walk is None else _path(layer, walk, stage, arithmetic)
            tables = tuple(_tables(layer, names[layer.name], stage.shapes, path, arithmetic)) if walk else ()
        (top, *_) = datapath.shapes[layer.name]
        layers.append(WordLayer(layer, names[layer.name], layer.quant, stage.shapes[0], top, walk, path, tables))
    return Words(tuple(layers), left_out, (*map(str, left_out), *_rounded_biases(layers)))


def _why_not(layer: Layer) -> str:
    """Say why a layer has no words; empty where it has."""
    if layer.quant is None:
        return "it is in float"
    wide = [place for place in PLACES if (fmt := getattr(layer.quant, place)) is None or fmt.stands_for_float]
    return f"32 bits, which stand for float, in {', '.join(wide)}" if wide else ""


def _path(layer: Layer, walk: Geometry, stage: Stage, arithmetic: Arithmetic) -> MacPath | None:
    """Give the way of a multiply-accumulate layer's numbers."""
    assert layer.quant is not None
    assert layer.quant.params is not None
    has_format = layer.quant.params.covers_bias
    if stage.mac and (has_format or stage.mac.accumulator_bits <= WIDEST_WORD):
        return stage.mac
    return with_real_bias(layer, walk, stage.bottoms[0], arithmetic)


def _tables(
    layer: Layer, stem: str, bottoms: Sequence[Shape], path: MacPath | None, arithmetic: Arithmetic
) -> Iterator[Table]:
    """Give a layer's weights and its bias."""
    fmt = layer.quant.params if layer.quant else None
    assert fmt is not None
    fl = fmt.fl if isinstance(fmt, FixedPoint) else None
    # As the prototxt has it: old caffemodels put axes of length 1 in front.
    weights = layer.blobs[0].reshape(layer.op.blob_shapes(bottoms)[0])
    words = fmt.pack(fmt.encode(weights, arithmetic))
    yield Table(stem, "weights", words, layer.op.weight_axes, fmt.word_bits, fmt.packing, fl)
    if len(layer.blobs) < 2:
        return
    bias = layer.blobs[1].reshape(-1)
    if fmt.covers_bias:
        words = fmt.pack(fmt.encode(bias, arithmetic))
        yield Table(stem, "bias", words, ("output",), fmt.word_bits, fmt.packing, fl)
        return
    assert path is not None, "only powers of two leave a bias alone, and they have a grid"
    codes = path.bias or (0,) * bias.size
    bits = bits_for(min(codes), max(codes))
    assert bits <= WIDEST_WORD
    yield Table(stem, "bias", np.array(codes, np.int64), ("output",), bits, TWOS_COMPLEMENT, path.bias_fl)


def _rounded_biases(layers: Sequence[WordLayer]) -> Iterator[str]:
    """Tell of biases without a format that are too fine for the longest sums."""
    for each in layers:
        path = each.path
        if path is None or path.bias is None or each.format("params").covers_bias:
            continue
        exact = exact_fl([float(b) for b in each.layer.blobs[1].reshape(-1) if np.isfinite(b)])
        if exact > path.bias_fl:
            yield (
                f"layer '{each.layer.name}': its bias, which has no format, is rounded to fl {path.bias_fl}; "
                f"an exact one needs fl {exact}, and sums would be too long"
            )
