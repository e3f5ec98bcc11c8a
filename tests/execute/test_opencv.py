"""Whole nets: our float outputs against OpenCV's reading of the same two files, and 8-bit codes against real units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import pytest
from google.protobuf import text_format

from ristretto.caffe.caffemodel import encode_weights
from ristretto.caffe.prototxt import parse
from ristretto.caffe.reader import load_weights, read_model
from ristretto.caffe.schema import message_class
from ristretto.execute import FloatExecutor, IntegerExecutor, SimulateExecutor
from ristretto.formats import FixedPoint
from ristretto.net import LayerQuant, Net, Phase
from ristretto.passes import InitWeights

MODELS = Path(__file__).resolve().parents[2] / "models"
ZOO = sorted(path.parent.name for path in MODELS.glob("*/deploy.prototxt"))
SLOW = {"alexnet", "caffenet", "resnet50", "vgg16"}
WITH_WEIGHTS = {"lenet"}
REAL = ["cifar10_full", "lenet", "lenet_v1", "resnet20_cifar10", "squeezenet_v1.0"]
AGREEMENT = 1e-4
"""Of the greatest number in a blob."""


@dataclass(eq=False)
class Whole:
    """A net with weights and one small batch of random pictures.

    Parameters
    ----------
    prototxt : bytes
        A deploy net, for OpenCV.
    net : Net
        The same, of the TEST phase.
    x : float32 array, (n, c, h, w)
        The batch.
    """

    prototxt: bytes
    net: Net
    x: np.ndarray

    @property
    def scores(self) -> str:
        """The layer before the Softmax, whose numbers are not yet pressed into 0 to 1."""
        last = self.net.layers[-1]
        assert last.type == "Softmax"
        return self.net.version(last.bottoms[0]).rpartition(".")[0]

    @cached_property
    def around(self) -> dict[str, tuple[str, str]]:
        """Of each layer that can be quantized: what it reads and what it makes, as ``LAYER.topK``."""
        layers = [layer for layer in self.net if layer.op.part]
        return {
            layer.name: (self.net.version(layer.bottoms[0], before=layer), f"{layer.name}.top0") for layer in layers
        }

    @cached_property
    def values(self) -> dict[str, np.ndarray]:
        """All those, and the last two blobs, by the float executor."""
        keep = {value for pair in self.around.values() for value in pair}
        keep |= {f"{name}.top0" for name in (self.scores, self.net.layers[-1].name)}
        return dict(FloatExecutor(self.net, self.inputs, keep=keep).run({self.top: self.x}).kept)

    @property
    def top(self) -> str:
        (data,) = self.net.data_layers
        return data.tops[0]

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        return {self.top: self.x.shape}

    def opencvs(self) -> dict[str, np.ndarray]:
        """The scores and the last blob, by OpenCV."""
        weights = np.frombuffer(encode_weights(self.net), np.uint8)
        theirs = cv2.dnn.readNetFromCaffe(np.frombuffer(self.prototxt, np.uint8), weights)
        theirs.setInput(self.x)
        names = [self.scores, self.net.layers[-1].name]
        return dict(zip((f"{name}.top0" for name in names), theirs.forward(names), strict=True))

    def hold(self) -> None:
        """Compare with OpenCV."""
        theirs = self.opencvs()
        for name, expected in theirs.items():
            ours = self.values[name]
            assert abs(ours.ravel() - expected.ravel()).max() <= AGREEMENT * abs(expected).max(), name
        # A net whose signal dies on the way would agree with anything.
        scores = theirs[f"{self.scores}.top0"].reshape(len(self.x), -1)
        assert (scores.std(axis=1) > 0.05 * abs(scores).max()).all()

    def in_8_bits(self) -> Net:
        """The net with formats that cover what the float executor met, and the weights."""

        def covering(numbers: np.ndarray) -> FixedPoint:
            greatest = float(abs(numbers).max())
            return FixedPoint(8, 7 - int(np.ceil(np.log2(greatest))))

        quants = {
            name: LayerQuant(*(covering(self.values[value]) for value in pair), covering(self.net[name].blobs[0]))
            for name, pair in self.around.items()
        }
        return replace(self.net, layers=tuple(replace(layer, quant=quants.get(layer.name)) for layer in self.net))


def pictures(shape: tuple[int, ...], reach: float) -> np.ndarray:
    return np.random.default_rng(2016).uniform(-reach, reach, shape).astype(np.float32)


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in ZOO]
)
def whole(request: pytest.FixtureRequest) -> Iterator[Whole]:
    """One net of models/ at a time: VGG-16 takes 4 GB in the two programs."""
    folder = MODELS / request.param
    read = read_model(folder / "deploy.prototxt").net
    if request.param in WITH_WEIGHTS:
        net = load_weights(read, folder / f"{request.param}.caffemodel").for_phase(Phase.TEST)
    else:
        net = InitWeights(seed=1)(read.for_phase(Phase.TEST))
    shape = net.data_layers[0].op.declared_shape(0)
    assert shape is not None
    reach = 1 if request.param == "lenet" else 2 if request.param == "mobilenet_v1" else 120
    yield Whole((folder / "deploy.prototxt").read_bytes(), net, pictures(shape, reach))


def test_float_outputs_are_opencvs(whole: Whole) -> None:
    whole.hold()


def test_codes_equal_real_units_in_8_bits(whole: Whole) -> None:
    """Bit for bit, at the output of every quantized layer."""
    net = whole.in_8_bits()
    keep = {made for _, made in whole.around.values()}
    simulated = SimulateExecutor(net, whole.inputs, keep=keep).run({whole.top: whole.x})
    computed = IntegerExecutor(net, whole.inputs, keep=keep).run({whole.top: whole.x})
    for value in keep:
        np.testing.assert_array_equal(computed.kept[value], simulated.kept[value], err_msg=value)
        assert len(np.unique(computed.kept[value])) > 4, value
    np.testing.assert_array_equal(computed.outputs["prob"], simulated.outputs["prob"])


@pytest.mark.shared
@pytest.mark.parametrize("name", REAL)
def test_float_outputs_of_trained_nets_are_opencvs(shared: Path, tmp_path: Path, name: str) -> None:
    folder = shared / "data" / "models" / name
    (weights,) = folder.glob("*.caffemodel")
    deploy = folder / "deploy.prototxt"
    if not deploy.exists():
        deploy = tmp_path / "deploy.prototxt"
        deploy.write_text(deployed((folder / "train_val.prototxt").read_text("utf-8"), "dim: [1, 3, 32, 32]"), "utf-8")
    net = load_weights(read_model(deploy).net, weights).for_phase(Phase.TEST)
    (data,) = net.data_layers
    shape = data.op.declared_shape(0)
    assert shape is not None
    Whole(deploy.read_bytes(), net, pictures((2, *shape[1:]), 1 if "lenet" in name else 120)).hold()


def deployed(train_val: str, shape: str) -> str:
    """Give a deploy net: an Input in place of the data layers, a Softmax in place of scores and losses."""
    source = parse(train_val, "")
    data = next(layer.top[0] for layer in source.layer if layer.type == "Data")
    trunk = [layer for layer in source.layer if layer.type not in ("Data", "Accuracy", "SoftmaxWithLoss")]
    ends = f"""layer {{ name: "{data}" type: "Input" top: "{data}" input_param {{ shape {{ {shape} }} }} }}
        layer {{ name: "prob" type: "Softmax" bottom: "{trunk[-1].top[0]}" top: "prob" }}"""
    first, last = parse(ends, "").layer
    return str(text_format.MessageToString(message_class("NetParameter")(layer=[first, *trunk, last])))
