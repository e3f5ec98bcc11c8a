"""How far a runtime's numbers are from ours, layer by layer, and why.

Every layer is given the same numbers, so that each difference has its cause in this layer. There are two:

- A tie. The number before the rounding lies half-way between two codes; ours goes away from zero, QuantizeLinear's to
  the even one.
- A sum. Runtimes add up in float32, whose sums are rounded where they need more than 24 bits. In whatever order n terms
  are added, the sum is off by at most ``n * u / (1 - n * u)`` times the sum of their sizes, where ``u = 2**-24``
  (Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, section 3.1). Where all terms lie on one grid
  and their sizes add up to at most 2**24 steps of it, it is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import TensorProto, helper

from ristretto.errors import ModelError
from ristretto.execute import IntegerExecutor
from ristretto.execute.exact import EXACT_IN_FLOAT32
from ristretto.execute.lower import trimmed_blobs
from ristretto.export.base import Subject
from ristretto.export.onnx.exporter import OnnxExporter
from ristretto.export.onnx.model import Written
from ristretto.export.onnx.pieces import trim_name
from ristretto.export.onnx.runners import Runner
from ristretto.formats import Arithmetic, Format
from ristretto.net import Layer, Net, Shape
from ristretto.net.op import Array
from ristretto.net.quant import LAYER_IN, LAYER_OUT, LayerQuant

UNIT_ROUNDOFF = 1 / EXACT_IN_FLOAT32


@dataclass(frozen=True)
class Agreement:
    """What a runtime makes of one place of a layer, beside what we make of it.

    Parameters
    ----------
    layer : str
    place : str
        ``layer_in``, the trim of its input; or ``layer_out``, its sums and their trim.
    numbers : int
    off_by_one, further : int
        Numbers whose code is a neighbour of ours, and those further away.
    ties, sums : int
        Differences that are a tie, and those that the rounding of float32 sums may make.
    unexplained : int
        Differences that are neither.
    """

    layer: str
    place: str
    numbers: int
    off_by_one: int
    further: int
    ties: int
    sums: int
    unexplained: int


@dataclass(frozen=True)
class OutputAgreement:
    """What a whole run gives at one output.

    Parameters
    ----------
    blob : str
    numbers : int
    differ : int
        Numbers that are not ours.
    largest : float
        The greatest difference, real units.
    step : float or None
        Of the output's format, real units; None for an output in float, or one whose steps are of unlike sizes.
    pictures, other_class : int
        Pictures, and those in which another number of the output is the greatest.
    """

    blob: str
    numbers: int
    differ: int
    largest: float
    step: float | None
    pictures: int
    other_class: int


@dataclass(frozen=True)
class Comparison:
    """All places of all quantized layers, and the outputs of a whole run."""

    places: tuple[Agreement, ...]
    outputs: tuple[OutputAgreement, ...]


def compare(exporter: OnnxExporter, subject: Subject, pictures: Mapping[str, Array], runner: Runner) -> Comparison:
    """Compare an exported model with our integer executor.

    Parameters
    ----------
    exporter : OnnxExporter
        For a quantized net.
    subject : Subject
    pictures : mapping of str to array
        One batch, by data blob, in real units; blobs that only scores read may be missing.
    runner : callable
        What runs the model.

    Returns
    -------
    Comparison
        Of every quantized layer, given our numbers, the trim of its input and its output; and of the outputs, when the
        runtime has run all by itself.
    """
    shapes = {blob: array.shape for blob, array in pictures.items()}
    written = exporter.write(replace(subject, inputs={**subject.inputs, **shapes}))
    net, arithmetic = written.trunk.net, subject.arithmetic
    batch = {blob: np.zeros(shape, np.float32) for blob, shape in written.inputs.items()}
    batch |= {blob: np.asarray(array, np.float32) for blob, array in pictures.items()}
    keep = [f"{layer.name}.top{i}" for layer in net for i in range(len(layer.tops))]
    ours = IntegerExecutor(net, written.inputs, keep=keep, arithmetic=arithmetic).run(batch)
    roundings = (arithmetic, written.rounding)
    places = []
    for layer, quant, x, trimmed in _met(net, ours.kept, arithmetic):
        if quant.layer_in:
            (theirs,) = runner(_part(written, layer.name, LAYER_IN, x.shape, x.shape), {"x": x})
            counts = _count(quant.layer_in, (trimmed, theirs), (x, np.zeros(1)), roundings)
            places.append(Agreement(layer.name, LAYER_IN, *counts))
        if quant.layer_out:
            top = ours.kept[f"{layer.name}.top0"]
            (theirs,) = runner(_part(written, layer.name, LAYER_OUT, x.shape, top.shape), {"x": trimmed})
            counts = _count(quant.layer_out, (top, theirs), _sums(layer, quant, trimmed, arithmetic), roundings)
            places.append(Agreement(layer.name, LAYER_OUT, *counts))
    feeds = {value.name: batch[value.name] for value in written.model.graph.input}
    made = zip(written.trunk.outputs, runner(written.model, feeds), strict=True)
    return Comparison(
        tuple(places), tuple(_output(net, blob, ours.kept[net.version(blob)], theirs) for blob, theirs in made)
    )


def _met(
    net: Net, kept: Mapping[str, Array], arithmetic: Arithmetic
) -> Iterator[tuple[Layer, LayerQuant, Array, Array]]:
    """Give each quantized layer, its formats, and its input before and after it is trimmed in place."""
    blobs: dict[str, Array] = {}
    for layer in net:
        if layer.quant:
            quant = layer.quant.under(arithmetic)
            x = blobs[layer.bottoms[0]]
            trimmed = quant.layer_in.trim(x, arithmetic) if quant.layer_in else x
            blobs[layer.bottoms[0]] = trimmed
            yield layer, quant, x, trimmed
        blobs.update({top: kept[f"{layer.name}.top{i}"] for i, top in enumerate(layer.tops)})


def _part(written: Written, layer: str, place: str, bottom: Shape, top: Shape) -> onnx.ModelProto:
    """Cut a layer out of a model, from ``x`` to ``y``: the trim of its input, alone or with all that follows.

    The trim of the input stays in front of what follows, as an optimizer looks for it; it finds nothing to round.
    """
    names = [trim_name(layer, LAYER_IN)]
    if place == LAYER_OUT:
        names += [layer, trim_name(layer, LAYER_OUT)]
    nodes, start = [], 0
    for piece in written.pieces:
        if piece.name in names:
            nodes += written.model.graph.node[start : start + len(piece.nodes)]
        start += len(piece.nodes)
    made = {value for node in nodes for value in node.output}
    weights = [weight for weight in written.model.graph.initializer if any(weight.name in node.input for node in nodes)]
    (source,) = {value for node in nodes for value in node.input if value} - made - {weight.name for weight in weights}
    ends = {source: "x", nodes[-1].output[0]: "y"}
    part = onnx.ModelProto()
    part.CopyFrom(written.model)
    for field in ("node", "initializer", "input", "output"):
        del getattr(part.graph, field)[:]
    part.graph.initializer.extend(weights)
    for node in nodes:
        copy = part.graph.node.add()
        copy.CopyFrom(node)
        copy.input[:] = [ends.get(value, value) for value in node.input]
        copy.output[:] = [ends.get(value, value) for value in node.output]
    for values, name, shape in ((part.graph.input, "x", bottom), (part.graph.output, "y", top)):
        values.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    return part


def _sums(layer: Layer, quant: LayerQuant, x: Array, arithmetic: Arithmetic) -> tuple[Array, Array]:
    """Give a layer's sums in float64, and by how much float32 sums may miss them; real units."""
    walk = layer.op.geometry(x.shape)
    if walk is None:
        raise ModelError(f"{layer.type} has no sums to compare", layer=layer.name)
    blobs = [blob.astype(np.float64) for blob in trimmed_blobs(layer, arithmetic)]
    (exact,) = layer.op.forward([x.astype(np.float64)], blobs)
    (sizes,) = layer.op.forward([np.abs(x.astype(np.float64))], [np.abs(blob) for blob in blobs])
    rounded = (walk.terms + 2) * UNIT_ROUNDOFF
    reach = rounded / (1 - rounded) * sizes
    if quant.layer_in and quant.params and quant.layer_in.on_one_grid and quant.params.on_one_grid:
        # Of the products and, where it is trimmed, the bias. A bias in float lies on no grid.
        step = min(_step(quant.layer_in), 1) * _step(quant.params)
        if quant.params.covers_bias or len(blobs) == 1:
            reach = np.where(sizes <= EXACT_IN_FLOAT32 * step, 0, reach)
    return exact, reach


def _count(
    fmt: Format, numbers: tuple[Array, Array], sums: tuple[Array, Array], roundings: tuple[Arithmetic, Arithmetic]
) -> tuple[int, int, int, int, int, int]:
    """Count numbers, and differences by size and cause, as an `Agreement` has them.

    Given are our numbers and theirs, the sums before the trim and how far theirs may be from these, and where halves go
    with us and with them.
    """
    (ours, theirs), (exact, reach), (rounding, other) = numbers, sums, roundings
    apart = np.abs(fmt.encode(ours).astype(np.int64) - fmt.encode(theirs).astype(np.int64))
    differ = ours != theirs
    tie = differ & (ours == fmt.trim(exact, rounding)) & (theirs == fmt.trim(exact, other))
    low, high = fmt.trim(exact - reach, other), fmt.trim(exact + reach, other)
    summed = differ & ~tie & (low <= theirs) & (theirs <= high)
    found = (apart == 1, apart > 1, tie, summed, differ & ~tie & ~summed)
    one, further, ties, moved, unexplained = (int(places.sum()) for places in found)
    return ours.size, one, further, ties, moved, unexplained


def _output(net: Net, blob: str, ours: Array, theirs: Array) -> OutputAgreement:
    producer = net.producer(blob)
    quant = producer.quant if producer else None
    fmt = quant.layer_out if quant else None
    gap = np.abs(ours.astype(np.float64) - theirs)
    step = _step(fmt) if fmt and fmt.on_one_grid else None
    first = [array.reshape(len(array), -1).argmax(axis=1) for array in (ours, theirs)]
    return OutputAgreement(
        blob,
        ours.size,
        int((ours != theirs).sum()),
        float(gap.max(initial=0)),
        step,
        len(ours),
        int((first[0] != first[1]).sum()),
    )


def _step(fmt: Format) -> float:
    """Give the distance between neighbours, of a format on one grid."""
    return float(fmt.decode(np.array(1)) - fmt.decode(np.array(0)))
