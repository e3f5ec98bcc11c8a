"""Cuts a net into steps: runs of float layers for onnxruntime, single layers for everything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ristretto.execute.executor import Step
from ristretto.execute.reference import ReferenceStep
from ristretto.net import Layer, Net, Shape

Piece = Step | Layer
"""A step, or a float layer that is free to be joined with its neighbours."""


def segment(
    net: Net,
    pieces: Iterable[Piece],
    shapes: Mapping[str, tuple[Shape, ...]],
    keep: frozenset[str],
    *,
    join_without_macs: bool,
) -> list[Step]:
    """Join float layers that stand side by side, and run each run of them in onnxruntime where it can be.

    Parameters
    ----------
    net : Net
        Of one phase.
    pieces : iterable of Step or Layer
        In the net's order.
    shapes : mapping of str to tuple of shapes
        The shapes of every layer's tops.
    keep : frozenset of str
        Values to keep, as ``LAYER.topK``.
    join_without_macs : bool
        Whether a run without any multiply-accumulate goes to onnxruntime too. Between integer layers it does not:
        there the reference forwards are the meaning of the net, to the last bit.
    """
    steps: list[Step] = []
    run: list[Layer] = []

    def flush() -> None:
        if run and (join_without_macs or any(layer.op.part is not None for layer in run)):
            steps.append(_onnx_step(net, run, shapes, keep))
        else:
            steps.extend(ReferenceStep(layer) for layer in run)
        run.clear()

    for piece in pieces:
        if not isinstance(piece, Layer):
            flush()
            steps.append(piece)
        elif _has_onnx_form(net, piece, shapes):
            run.append(piece)
        else:
            flush()
            steps.append(ReferenceStep(piece))
    flush()
    return steps


def _has_onnx_form(net: Net, layer: Layer, shapes: Mapping[str, tuple[Shape, ...]]) -> bool:
    return layer.op.onnx(net.bottom_shapes(net[layer.name], shapes)) is not None


def _onnx_step(net: Net, run: Sequence[Layer], shapes: Mapping[str, tuple[Shape, ...]], keep: frozenset[str]) -> Step:
    # onnx and onnxruntime take a third of a second to load; an integer net does without.
    from ristretto.execute.onnx_segment import OnnxStep

    names = [layer.name for layer in net]
    first, last = names.index(run[0].name), names.index(run[-1].name)
    before: dict[str, Shape] = {}
    for layer in net.layers[:first]:
        before.update(zip(layer.tops, shapes[layer.name], strict=False))
    wanted = set(net.outputs)
    for layer in net.layers[last + 1 :]:
        wanted.update(layer.bottoms)
    return OnnxStep(run, before, shapes, wanted, keep)
