"""A run of float layers as one onnxruntime session."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from ristretto.errors import ModelError
from ristretto.execute.values import State
from ristretto.net import Layer, OnnxNode, Shape
from ristretto.net.op import Array

OPSET = 17
IR_VERSION = 8
"""Old enough for every onnxruntime that setup.cfg admits."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """A blob as it stands at one place in the net: the name that ONNX knows it by, and its shape."""

    name: str
    shape: Shape


@dataclass(frozen=True, eq=False)
class OnnxPiece:
    """Nodes that stand together: a layer, or what an export puts beside one and that works on blobs as a layer does.

    Parameters
    ----------
    name : str
        Of the layer, or of what stands beside it; its values are called after it.
    bottoms, tops : sequence of str
        Blobs that it reads and makes, ``b0`` and ``t0`` and so on in its nodes.
    shapes : sequence of shapes
        Of the tops.
    nodes : sequence of OnnxNode
    weights : mapping of str to array
        By the name that the nodes have for them, as ``w0``.
    """

    name: str
    bottoms: Sequence[str]
    tops: Sequence[str]
    shapes: Sequence[Shape]
    nodes: Sequence[OnnxNode]
    weights: Mapping[str, Array]

    @classmethod
    def of(cls, layer: Layer, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> OnnxPiece:
        """Give a layer in float that has a form in ONNX, with its weights as they are."""
        shaped = zip(layer.blobs, layer.op.blob_shapes(bottoms), strict=True)
        weights = {f"w{i}": blob.reshape(shape) for i, (blob, shape) in enumerate(shaped)}
        return cls(layer.name, layer.bottoms, layer.tops, tops, layer.op.onnx(bottoms) or (), weights)


@dataclass(frozen=True, eq=False)
class Segment:
    """Consecutive layers as an ONNX model.

    Parameters
    ----------
    model : ModelProto
        With the weights in it.
    inputs, outputs : mapping of str to str
        The model's name of each blob that it reads, and of each that it makes and that is read later.
    kept : sequence of str
        Values that it gives beside these, as ``LAYER.topK``; the model knows them by that name.
    fetched : sequence of str
        All that it gives, in order.
    """

    model: onnx.ModelProto
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    kept: Sequence[str]
    fetched: Sequence[str]

    @classmethod
    def build(
        cls,
        layers: Sequence[Layer],
        shapes: Mapping[str, Shape],
        tops: Mapping[str, tuple[Shape, ...]],
        wanted: Collection[str],
        keep: Collection[str],
    ) -> Segment:
        """Put layers together; `OnnxStep` tells what these are."""
        known = dict(shapes)
        pieces = []
        for layer in layers:
            pieces.append(OnnxPiece.of(layer, [known[blob] for blob in layer.bottoms], tops[layer.name]))
            known.update(zip(layer.tops, tops[layer.name], strict=False))
        return cls.assemble(pieces, shapes, wanted, keep)

    @classmethod
    def assemble(
        cls, pieces: Sequence[OnnxPiece], shapes: Mapping[str, Shape], wanted: Collection[str], keep: Collection[str]
    ) -> Segment:
        """Put pieces together, each behind those that make what it reads; the rest as for `build`."""
        current = {blob: Tensor(f"in:{blob}", shape) for blob, shape in shapes.items()}
        before = dict(current)
        nodes: list[onnx.NodeProto] = []
        weights: list[onnx.TensorProto] = []
        read: set[str] = set()
        kept: dict[str, Tensor] = {}
        for piece in pieces:
            bottoms = [current[blob] for blob in piece.bottoms]
            made = {top: Tensor(f"{piece.name}.top{i}", piece.shapes[i]) for i, top in enumerate(piece.tops)}
            read.update(blob for blob in piece.bottoms if current[blob] is before.get(blob))
            cls._add(piece, bottoms, list(made.values()), nodes, weights)
            current.update(made)
            kept.update({tensor.name: tensor for tensor in made.values() if tensor.name in keep})
        inputs = {blob: before[blob].name for blob in sorted(read)}
        results = {
            blob: current[blob] for blob in sorted(wanted) if blob in current and current[blob] is not before.get(blob)
        }
        fetched = {tensor.name: tensor for tensor in (*results.values(), *kept.values())}
        graph = helper.make_graph(
            nodes,
            "segment",
            [_declare(before[blob]) for blob in inputs],
            [_declare(tensor) for tensor in fetched.values()],
            weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        return cls(model, inputs, {blob: tensor.name for blob, tensor in results.items()}, sorted(kept), list(fetched))

    @staticmethod
    def _add(
        piece: OnnxPiece,
        bottoms: Sequence[Tensor],
        tops: Sequence[Tensor],
        nodes: list[onnx.NodeProto],
        weights: list[onnx.TensorProto],
    ) -> None:
        known = {f"b{i}": tensor.name for i, tensor in enumerate(bottoms)}
        known |= {f"t{i}": tensor.name for i, tensor in enumerate(tops)}
        for i, (local, blob) in enumerate(piece.weights.items()):
            known[local] = f"{piece.name}.blob{i}"
            weights.append(numpy_helper.from_array(np.ascontiguousarray(blob), known[local]))

        def name(local: str) -> str:
            # An empty name stands for an operand that is left out.
            return known.setdefault(local, f"{piece.name}/{local}") if local else ""

        for node in piece.nodes:
            for constant, array in node.constants.items():
                weights.append(numpy_helper.from_array(array, name(constant)))
            inputs, outputs = [name(i) for i in node.inputs], [name(o) for o in node.outputs]
            nodes.append(helper.make_node(node.op_type, inputs, outputs, domain=node.domain or None, **node.attributes))


class OnnxStep:
    """Runs consecutive layers in onnxruntime, on one thread: whole batches are spread over threads instead.

    Parameters
    ----------
    layers : sequence of Layer
        Consecutive layers, each with an ONNX form and its weights as they are to be used.
    shapes : mapping of str to shape
        The shapes of the blobs before the first of these layers.
    tops : mapping of str to tuple of shapes
        The shapes of each layer's tops.
    wanted : collection of str
        Blobs that are read after these layers.
    keep : collection of str
        Values to keep, as ``LAYER.topK``.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        shapes: Mapping[str, Shape],
        tops: Mapping[str, tuple[Shape, ...]],
        wanted: Collection[str],
        keep: Collection[str],
    ) -> None:
        segment = Segment.build(layers, shapes, tops, wanted, keep)
        self.inputs, self.outputs = segment.inputs, segment.outputs
        self.kept, self.fetched = segment.kept, segment.fetched
        self.span = f"layers '{layers[0].name}' to '{layers[-1].name}'"
        self.session = _session(segment.model, self.span)

    def run(self, state: State) -> None:
        """Run the session."""
        feeds = {name: np.asarray(state.blobs[blob], order="C") for blob, name in self.inputs.items()}
        try:
            values = self.session.run(self.fetched, feeds)
        except Exception as error:  # as below
            message = f"onnxruntime stops in {self.span}: {_first_line(error)}"
            raise ModelError(message, hint="do weights and data fit?") from error
        found: dict[str, Any] = dict(zip(self.fetched, values, strict=True))
        for blob, name in self.outputs.items():
            state.blobs[blob] = found[name]
        for name in self.kept:
            state.kept[name] = found[name]


def _declare(tensor: Tensor) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, list(tensor.shape))


def _session(model: onnx.ModelProto, span: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it would print stands in its exceptions
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no public base class of its own
        raise ModelError(f"onnxruntime refuses {span}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    """Give what an error says in one line; its kind where it says nothing, as a MemoryError may."""
    return str(error).partition("\n")[0] or type(error).__name__
