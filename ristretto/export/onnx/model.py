"""A whole net as one ONNX model, in a dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import onnx

from ristretto import __version__
from ristretto.errors import ModelError
from ristretto.execute.onnx_segment import OnnxPiece, Segment
from ristretto.export.base import Subject
from ristretto.export.onnx.batch import any_batch, open_shape, with_batch
from ristretto.export.onnx.dialect import Dialect
from ristretto.export.onnx.pieces import pieces_of
from ristretto.export.onnx.trunk import Trunk, trunk_of
from ristretto.formats import Arithmetic
from ristretto.net import Net, Shape
from ristretto.passes import SpellOutSharing

IR_VERSIONS = {17: 8, 21: 10}
"""What belongs to a version of the operations."""
MOST_BYTES = (1 << 31) - 1
"""Of one file, as protobuf has it."""
MORE = 1
"""Pictures more than the batch has, to see what depends on their number."""

Shapes = Mapping[str, tuple[Shape, ...]]
OpenShape = list[int | str]


@dataclass(frozen=True, eq=False)
class Written:
    """A model, and what it was made of.

    Parameters
    ----------
    model : ModelProto
    trunk : Trunk
        The net that it holds; blobs that share memory are copied where one of them changes.
    pieces : sequence of OnnxPiece
        Whose nodes stand in the model, in this order.
    inputs : mapping of str to shape
        Of the data layers' tops.
    rounding : Arithmetic
        How whoever runs it trims activations.
    notes : tuple of str
        What the user should know of it.
    """

    model: onnx.ModelProto
    trunk: Trunk
    pieces: Sequence[OnnxPiece]
    inputs: Mapping[str, Shape]
    rounding: Arithmetic
    notes: tuple[str, ...]


def write(subject: Subject, dialect: Dialect, *, open_batch: bool) -> Written:
    """Give the model of a net.

    Parameters
    ----------
    subject : Subject
    dialect : Dialect
    open_batch : bool
        Whether the number of pictures is left open where the net allows it; a subject that says how many wins.

    Raises
    ------
    ModelError
        When a layer has no form in ONNX, a format none in the dialect, or the model would be too large.
    """
    net = subject.net
    inputs = subject.inputs if subject.batch is None else with_batch(net, subject.inputs, subject.batch)
    shared = trunk_of(net, net.shapes(inputs))

    def spelled_out(inputs: Mapping[str, Shape]) -> Net:
        return SpellOutSharing(shared.net.shapes(inputs), subject.arithmetic)(shared.net)

    trunk = replace(shared, net=spelled_out(inputs))
    shapes = trunk.net.shapes(inputs)
    pieces = pieces_of(trunk.net, shapes, dialect)
    fed = {top: shape for layer in net.data_layers for top, shape in zip(layer.tops, shapes[layer.name], strict=True)}
    _refuse_too_large(pieces)
    notes = trunk.notes
    opened: Opened | None = None
    if open_batch and subject.batch is None:
        try:
            opened = Opened.of(trunk, spelled_out, fed, pieces, dialect)
            pieces = opened.pieces
        except ModelError as error:
            notes += (f"the number of pictures is fixed: {error}",)
    segment = Segment.assemble(pieces, fed, trunk.outputs, ())
    model = segment.model
    _name(model, segment, net.name, dialect)
    if opened:
        opened.declare(model)
    return Written(model, trunk, pieces, fed, dialect.rounding, notes)


@dataclass(frozen=True, eq=False)
class Opened:
    """What a model for any number of pictures is made of.

    Parameters
    ----------
    pieces : sequence of OnnxPiece
    shapes : mapping of str to sequence
        Of the blobs that go in, with names for open axes.
    given : sequence of sequences
        Of those that come out, in order.
    """

    pieces: list[OnnxPiece]
    shapes: Mapping[str, OpenShape]
    given: Sequence[OpenShape]

    @classmethod
    def of(
        cls,
        trunk: Trunk,
        spelled_out: Callable[[Mapping[str, Shape]], Net],
        fed: Mapping[str, Shape],
        pieces: Sequence[OnnxPiece],
        dialect: Dialect,
    ) -> Opened:
        """Compare a net's pieces with those for some pictures more.

        Raises
        ------
        ModelError
            When a layer goes with one number of pictures only.
        """
        count = next((shape[0] for shape in fed.values() if shape), 0)
        more = with_batch(trunk.net, fed, count + MORE)
        other = spelled_out(more)
        shapes, others = trunk.net.shapes(fed), other.shapes(more)
        common = any_batch(pieces, pieces_of(other, others, dialect))
        counts = (count, count + MORE)
        going_in = {blob: open_shape(shape, more[blob], counts) for blob, shape in fed.items()}
        ends = [(_shape_of(trunk.net, blob, shapes), _shape_of(trunk.net, blob, others)) for blob in trunk.outputs]
        coming_out = [open_shape(shape, other, counts) for shape, other in ends]
        return cls(common, going_in, coming_out)

    def declare(self, model: onnx.ModelProto) -> None:
        """Write the open axes into what a model says of its inputs and outputs, which stand in order of their blobs."""
        ends = [(value, self.shapes[value.name]) for value in model.graph.input]
        ends += [(value, shape) for value, shape in zip(model.graph.output, self.given, strict=True)]
        for value, shape in ends:
            for axis, size in zip(value.type.tensor_type.shape.dim, shape, strict=True):
                if isinstance(size, str):
                    axis.Clear()
                    axis.dim_param = size


def _shape_of(net: Net, blob: str, shapes: Shapes) -> Shape:
    """Give the shape that a blob has at the end."""
    producer = net.producer(blob)
    assert producer is not None, "it is one of the net's outputs"
    return shapes[producer.name][producer.tops.index(blob)]


def _name(model: onnx.ModelProto, segment: Segment, net: str, dialect: Dialect) -> None:
    """Give blobs that go in or come out their names in Caffe, every node a name, and the model its maker's."""
    graph = model.graph
    wanted = {value: blob for blob, value in segment.inputs.items()}
    # A blob that a net changes in place and gives back keeps its name for what goes in.
    wanted |= {value: blob for blob, value in segment.outputs.items() if blob not in segment.inputs}
    names = dict(wanted)
    made = {value for node in graph.node for value in (*node.input, *node.output)}
    for value in sorted(made - set(wanted)):
        names[value] = value
        while names[value] in {*wanted.values(), *(made - {value})}:
            names[value] += "'"

    for node in graph.node:
        node.input[:] = [names[value] for value in node.input]
        node.output[:] = [names[value] for value in node.output]
        node.name = node.output[0]
    for listed in (graph.input, graph.output, graph.initializer):
        for value in listed:
            value.name = names.get(value.name, value.name)
    graph.name = net or "net"
    model.producer_name, model.producer_version = "ristretto-cnn", __version__
    model.ir_version = IR_VERSIONS[dialect.opset]
    del model.opset_import[:]
    for domain, version in {"": dialect.opset, **dialect.domains}.items():
        model.opset_import.append(onnx.helper.make_opsetid(domain, version))


def _refuse_too_large(pieces: Sequence[OnnxPiece]) -> None:
    weights = sum(array.nbytes for piece in pieces for array in piece.weights.values())
    if weights > MOST_BYTES:
        raise ModelError(
            f"weights of {weights:,} bytes do not fit into one ONNX file", hint="protobuf ends at 2 GiB; cut the net"
        )
