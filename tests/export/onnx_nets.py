"""Nets for the tests of ONNX exports, and what runs the models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from ristretto.caffe.reader import load_weights, model_of, read_model
from ristretto.execute import FloatExecutor
from ristretto.export import EXPORTERS, Subject
from ristretto.export.onnx.agreement import Comparison, compare
from ristretto.export.onnx.exporter import OnnxExporter
from ristretto.export.onnx.model import Written
from ristretto.export.onnx.runners import Runner, in_qonnx
from ristretto.formats import EXACT, Arithmetic, FixedPoint, Format, MiniFloat, PowerOfTwo
from ristretto.net import LayerQuant, Net, Part, Phase

LENET = Path(__file__).resolve().parents[2] / "models" / "lenet"
Batch = Mapping[str, np.ndarray]


def lenet(prototxt: str = "train_val") -> Net:
    """Give LeNet with its weights."""
    return load_weights(read_model(LENET / f"{prototxt}.prototxt").net, LENET / "lenet.caffemodel").for_phase(
        Phase.TEST
    )


def digits(count: int = 3) -> dict[str, np.ndarray]:
    """Give pictures of the range that LeNet's have; every other number a multiple of 1/256, as grey values are."""
    rng = np.random.default_rng(7)
    x = rng.random((count, 1, 28, 28), np.float32)
    return {"data": np.where(rng.random(x.shape) < 0.5, x, np.floor(x * 256) / 256).astype(np.float32)}


def net_of(prototxt: str, seed: int = 1) -> Net:
    """Give the TEST net of a prototxt, with random weights."""
    net = model_of(prototxt, Path("net.prototxt")).net.for_phase(Phase.TEST)
    rng, shapes = np.random.default_rng(seed), net.shapes({})
    return replace(
        net,
        layers=tuple(
            replace(
                layer,
                blobs=tuple(
                    rng.normal(0, 0.5, shape).astype(np.float32)
                    for shape in layer.op.blob_shapes(net.bottom_shapes(layer, shapes))
                ),
            )
            for layer in net
        ),
    )


def condensed(net: Net, batch: Batch, conv: int, fc: int, activations: int) -> Net:
    """Quantize all of a net that can be, in dynamic fixed point that covers what a batch makes of it."""
    keep = [f"{layer.name}.top{i}" for layer in net for i in range(len(layer.tops))]
    shapes = {blob: array.shape for blob, array in batch.items()}
    kept = FloatExecutor(net, shapes, keep=keep).run(batch).kept

    def covering(bits: int, *arrays: np.ndarray) -> FixedPoint:
        return FixedPoint.covering(bits, max(float(np.abs(array).max()) for array in arrays))

    layers = []
    for layer in net:
        if layer.op.part:
            bits = conv if layer.op.part is Part.CONV_PARAMS else fc
            layer_in = covering(activations, kept[net.version(layer.bottoms[0], before=layer)])
            layer_out = covering(activations, kept[f"{layer.name}.top0"])
            layer = replace(layer, quant=LayerQuant(layer_in, layer_out, covering(bits, *layer.blobs)))
        layers.append(layer)
    return replace(net, layers=tuple(layers))


def in_formats(net: Net, params: Format, activations: Format | None = None) -> Net:
    """Quantize all of a net that can be, in the same formats; activations keep theirs where none are given."""
    layers = []
    for layer in net:
        if layer.op.part:
            quant = layer.quant or LayerQuant(None, None, None)
            if activations:
                quant = replace(quant, layer_in=activations, layer_out=activations)
            layer = replace(layer, quant=replace(quant, params=params))
        layers.append(layer)
    return replace(net, layers=tuple(layers))


QONNX = in_qonnx()
MINI = MiniFloat(4, 3)
POWERS = PowerOfTwo(-8, -1)


def exporter(kind: str) -> OnnxExporter:
    """Give an exporter to ONNX."""
    found = EXPORTERS[kind]()
    assert isinstance(found, OnnxExporter)
    return found


def written(
    kind: str,
    net: Net,
    inputs: Mapping[str, tuple[int, ...]],
    *,
    arithmetic: Arithmetic = EXACT,
    batch: int | None = None,
) -> Written:
    """Give a model that ONNX's checker accepts."""
    found = exporter(kind).write(Subject(net, inputs, arithmetic=arithmetic, batch=batch))
    onnx.checker.check_model(found.model, full_check=True)
    return found


def run(model: onnx.ModelProto, feeds: Batch) -> list[np.ndarray]:
    """Run a model in onnxruntime as a user does."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, dict(feeds)))


def compared(kind: str, net: Net, batch: Batch, runner: Runner, arithmetic: Arithmetic = EXACT) -> Comparison:
    """Compare a model with our integer executor; the labels are zeros."""
    inputs = {"label": (len(next(iter(batch.values()))),)}
    return compare(exporter(kind), Subject(net, inputs, arithmetic=arithmetic), batch, runner)


def hold_explained(comparison: Comparison) -> None:
    """Hold each layer to one code, and each difference to a cause."""
    assert comparison.places
    for place in comparison.places:
        assert place.further == 0, place
        assert place.unexplained == 0, place
        assert place.off_by_one == place.ties + place.sums, place
