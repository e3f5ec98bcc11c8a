"""Cuts a net into steps: runs of float layers for onnxruntime, single layers for everything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ristretto.execute.executor import Step
from ristretto.execute.reference import ReferenceStep
from ristretto.net import Layer, Net, Shape


def segment(
    net: Net,
    layers: Iterable[Layer],
    shapes: Mapping[str, tuple[Shape, ...]],
    keep: frozenset[str],
    outputs: Iterable[str],
) -> list[Step]:
    """Join float layers that stand side by side, and run each run of them in onnxruntime where it can be.

    Parameters
    ----------
    net : Net
        Of one phase.
    layers : iterable of Layer
        Those that are run, in the net's order.
    shapes : mapping of str to tuple of shapes
        The shapes of every layer's tops.
    keep : frozenset of str
        Values to keep, as ``LAYER.topK``.
    outputs : iterable of str
        Blobs that are wanted at the end.
    """
    steps: list[Step] = []
    run: list[Layer] = []
    ends = frozenset(outputs)

    def flush() -> None:
        if run:
            steps.append(_onnx_step(net, run, shapes, keep, ends))
        run.clear()

    for layer in layers:
        if _has_onnx_form(net, layer, shapes):
            run.append(layer)
        else:
            flush()
            steps.append(ReferenceStep(layer))
    flush()
    return steps


def _has_onnx_form(net: Net, layer: Layer, shapes: Mapping[str, tuple[Shape, ...]]) -> bool:
    return layer.op.onnx(net.bottom_shapes(net[layer.name], shapes)) is not None


def _onnx_step(
    net: Net,
    run: Sequence[Layer],
    shapes: Mapping[str, tuple[Shape, ...]],
    keep: frozenset[str],
    outputs: frozenset[str],
) -> Step:
    # onnx and onnxruntime take a third of a second to load; an integer net does without.
    from ristretto.execute.onnx_segment import OnnxStep

    names = [layer.name for layer in net]
    first, last = names.index(run[0].name), names.index(run[-1].name)
    before: dict[str, Shape] = {}
    for layer in net.layers[:first]:
        before.update(zip(layer.tops, shapes[layer.name], strict=False))
    wanted = set(outputs)
    for layer in net.layers[last + 1 :]:
        wanted.update(layer.bottoms)
    return OnnxStep(run, before, shapes, wanted, keep)
