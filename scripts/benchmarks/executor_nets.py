"""The nets that the executor's benchmark runs: weights, pictures, formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from page import ROOT

from ristretto.api import load
from ristretto.caffe.prototxt import encode
from ristretto.caffe.writer import rewritten_text
from ristretto.calibrate import CalibrationStats, LayerStats, calibrate
from ristretto.formats import FixedPoint
from ristretto.net import Filler, Layer, LayerQuant, Net, Phase, QuantSpec, Shape
from ristretto.passes import FoldBatchNorm, InitWeights, QuantizeLayers

SEED = 2016

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Widths:
    """Word widths of a whole net, bits: of activations and of weights."""

    activations: int
    params: int

    def __str__(self) -> str:
        return f"{self.activations} x {self.params}"


WIDTHS = (Widths(8, 8), Widths(12, 10), Widths(16, 16))
"""Bytes; what only just fits int32 sums; the widest words that run in integers."""


@dataclass(frozen=True)
class Case:
    """A net of ``models/`` and the batch that it is run with.

    Parameters
    ----------
    name : str
        Of its folder.
    title : str
    batch : int
        Pictures. As many as keep one float run on one core near half a second: the benchmark is to be repeated.
    """

    name: str
    title: str
    batch: int


CASES = (
    Case("lenet", "LeNet", 100),
    Case("cifar10_full", "CIFAR-10 full", 100),
    Case("caffenet", "CaffeNet", 25),
    Case("squeezenet_v1.0", "SqueezeNet v1.0", 25),
    Case("googlenet", "GoogLeNet", 8),
    Case("resnet50", "ResNet-50", 4),
    Case("mobilenet_v1", "MobileNet v1", 25),
)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A net with weights, and what it makes of one batch.

    Parameters
    ----------
    net : Net
        The float net, BatchNorm folded.
    prototxt : bytes
        Its text, for those who read Caffe's files.
    blob : str
        The blob that takes the pictures.
    pictures : float32 array (batch, channels, height, width)
        Random numbers between -1 and 1.
    stats : CalibrationStats
        Of these pictures.
    """

    net: Net
    prototxt: bytes
    blob: str
    pictures: FloatArray
    stats: CalibrationStats

    @property
    def inputs(self) -> Mapping[str, Shape]:
        """The shape of the batch."""
        return {self.blob: self.pictures.shape}

    def quantized(self, widths: Widths) -> Net:
        """Give the net with dynamic fixed point everywhere, radix points where nothing saturates."""
        formats = {name: LayerQuant(*_covering(layer, widths)) for name, layer in self.stats.layers.items()}
        return QuantizeLayers(QuantSpec("dynamic_fixed_point", formats))(self.net)

    def layers_in_int32(self, widths: Widths) -> tuple[int, int]:
        """Give how many layers have sums of products that fit int32 whatever the picture, and how many there are."""
        net = self.quantized(widths)
        shapes = net.shapes(self.inputs)
        fits = []
        for name, stats in self.stats.layers.items():
            layer_in, _, params = _covering(stats, widths)
            walk = stats.layer.op.geometry(net.bottom_shapes(net[name], shapes)[0])
            assert walk is not None
            rows = stats.layer.op.weight_rows(params.encode(stats.layer.blobs[0]), walk).astype(np.int64)
            fits.append(int(np.abs(rows).sum(axis=1).max()) * -layer_in.low_code < 1 << 31)
        return sum(fits), len(fits)


def prepare(case: Case) -> Prepared:
    """Read a net, give it weights where none come with it, fold it, and run its batch.

    New weights are He's (Caffe's ``msra``), which keep activations near 1 through a net of any depth; those that some
    of the prototxts ask for die out on the way.
    """
    folder = ROOT / "models" / case.name
    weights = folder / f"{case.name}.caffemodel"
    read, whole = load(folder / "deploy.prototxt", weights if weights.exists() else None)
    net = whole.for_phase(Phase.TEST)
    if not weights.exists():
        net = InitWeights(SEED)(replace(net, layers=tuple(map(_with_he_fillers, net))))
    net = FoldBatchNorm()(net)
    (data,) = net.data_layers
    shape = net.shapes({})[data.name][0]
    pictures = np.random.default_rng(SEED).uniform(-1, 1, (case.batch, *shape[1:])).astype(np.float32)
    (blob,) = data.tops
    prototxt = encode(rewritten_text(read.prototxt, read.net, net))
    return Prepared(net, prototxt, blob, pictures, calibrate(net, {blob: pictures.shape}, [{blob: pictures}]))


def _with_he_fillers(layer: Layer) -> Layer:
    if layer.op.part is None:
        return layer
    biases = len(layer.fillers) - 1
    return replace(layer, fillers=(Filler("msra"), *[Filler("gaussian", std=0.01)] * biases))


def _covering(stats: LayerStats, widths: Widths) -> tuple[FixedPoint, FixedPoint, FixedPoint]:
    """Give the formats of input, output and weights that cover all that calibration saw."""
    return (
        FixedPoint.covering(widths.activations, stats.layer_in.range.magnitude),
        FixedPoint.covering(widths.activations, stats.layer_out.range.magnitude),
        FixedPoint.covering(widths.params, stats.params.magnitude),
    )
