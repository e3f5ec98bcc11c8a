"""The nets of models/: sizes as published, names as released, both prototxts one net."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import pytest

from ristretto import api
from ristretto.caffe.prototxt import parse, scan
from ristretto.caffe.reader import read_model
from ristretto.caffe.solver_file import read_solver
from ristretto.caffe.writer import rewritten_text
from ristretto.formats import FixedPoint
from ristretto.net import LayerQuant, Net, Phase, QuantSpec
from ristretto.passes import InitWeights, QuantizeLayers


class Size(NamedTuple):
    """What a net costs: counts, and the millions of multiply-accumulates that others publish for it."""

    parameters: int
    statistics: int
    macs: int
    published: float


SIZES = {
    "alexnet": Size(60_965_224, 0, 724_406_816, 724),
    "caffenet": Size(60_965_224, 0, 724_406_816, 724),
    "cifar10_full": Size(89_578, 0, 12_298_240, 12.3),
    "cifar10_quick": Size(145_578, 0, 12_354_176, 12.35),
    "googlenet": Size(6_998_552, 0, 1_582_671_872, 1_580),
    "lenet": Size(431_080, 0, 2_293_000, 2.29),
    "mobilenet_v1": Size(4_231_976, 2 * 10_944 + 27, 568_740_352, 569),
    "nin_imagenet": Size(7_595_176, 0, 1_100_188_800, 1_100),
    "resnet50": Size(25_557_032 + 64, 2 * 26_560 + 53, 3_857_973_248, 3_860),
    "squeezenet_v1.0": Size(1_248_424, 0, 861_339_936, 860),
    "squeezenet_v1.1": Size(1_235_496, 0, 387_747_520, 388),
    "vgg16": Size(138_357_544, 0, 15_470_264_320, 15_470),
}
"""Statistics are BatchNorm's: a mean and a variance for each channel, and a factor for each layer.

25,557,032 is ResNet-50 as other frameworks have it; Caffe's release adds a bias to conv1.
"""
CIFAR = ("cifar10_full", "cifar10_quick")
OURS = [name for name in SIZES if name != "lenet"]
"""LeNet has data, weights and tests of its own."""
SAMPLES = {
    "alexnet": "conv1 relu1 norm1 pool1 conv2 relu2 norm2 pool2",
    "caffenet": "conv1 relu1 pool1 norm1 conv2 relu2 pool2 norm2",
    "cifar10_full": "conv1 pool1 relu1 norm1 conv2 relu2 pool2 norm2 conv3 relu3 pool3 ip1 prob",
    "cifar10_quick": "conv1 pool1 relu1 conv2 relu2 pool2 conv3 relu3 pool3 ip1 ip2 prob",
    "googlenet": "conv1/7x7_s2 conv1/relu_7x7 pool1/3x3_s2 pool1/norm1 conv2/3x3_reduce conv2/relu_3x3_reduce",
    "mobilenet_v1": "conv1 conv1/bn conv1/scale relu1 conv2_1/dw conv2_1/dw/bn conv2_1/dw/scale relu2_1/dw conv2_1/sep",
    "nin_imagenet": "conv1 relu0 cccp1 relu1 cccp2 relu2 pool0 conv2 relu3 cccp3 relu5 cccp4 relu6 pool2",
    "resnet50": "conv1 bn_conv1 scale_conv1 conv1_relu pool1 res2a_branch1 bn2a_branch1 scale2a_branch1 res2a_branch2a",
    "squeezenet_v1.0": "conv1 relu_conv1 pool1 fire2/squeeze1x1 fire2/relu_squeeze1x1 fire2/expand1x1",
    "squeezenet_v1.1": "conv1 relu_conv1 pool1 fire2/squeeze1x1 fire2/relu_squeeze1x1 fire2/expand1x1",
    "vgg16": "conv1_1 relu1_1 conv1_2 relu1_2 pool1 conv2_1 relu2_1 conv2_2 relu2_2 pool2 conv3_1",
}
"""The first layers behind the data, as the releases name them."""


def deploy(repo: Path, name: str) -> Net:
    return read_model(repo / "models" / name / "deploy.prototxt").net.for_phase(Phase.TEST)


def scored(repo: Path, name: str, phase: Phase = Phase.TEST) -> Net:
    return read_model(repo / "models" / name / "train_val.prototxt").net.for_phase(phase)


def numbers(net: Net, shapes: dict[str, tuple[tuple[int, ...], ...]], kinds: set[str] | None = None) -> int:
    """Count the numbers in the blobs of some layer types, or of all but BatchNorm."""
    wanted = [x for x in net if not x.op.is_data and (x.type in kinds if kinds else x.type != "BatchNorm")]
    blobs = [blob for layer in wanted for blob in layer.op.blob_shapes(net.bottom_shapes(layer, shapes))]
    return sum(math.prod(blob) for blob in blobs)


def test_every_net_is_listed(repo: Path) -> None:
    assert {path.parent.name for path in (repo / "models").glob("*/*.prototxt")} == set(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_counts_are_the_published_ones(repo: Path, name: str) -> None:
    net, size = deploy(repo, name), SIZES[name]
    shapes = net.shapes({})
    macs = sum(layer.op.macs(net.bottom_shapes(layer, shapes)) for layer in net if not layer.op.is_data)
    found = numbers(net, shapes), numbers(net, shapes, {"BatchNorm"}), macs
    assert found == size[:3]
    assert macs / 1e6 == pytest.approx(size.published, rel=5e-3)
    assert shapes["prob"][0][:2] == (1, 10 if name in (*CIFAR, "lenet") else 1000)
    assert net.outputs == ("prob",)


@pytest.mark.parametrize("name", OURS)
def test_inspect_lists_all_that_is_stored(repo: Path, name: str) -> None:
    found = api.inspect(repo / "models" / name / "deploy.prototxt")
    assert sum(row.parameters or 0 for row in found.layers) == sum(SIZES[name][:2])
    assert sum(row.macs or 0 for row in found.layers) == SIZES[name].macs
    assert not found.notes
    scores = api.inspect(repo / "models" / name / "train_val.prototxt")
    assert len(scores.layers) >= len(found.layers)
    assert [note for note in scores.notes if "shapes are unknown" in note], "its data are not here"


@pytest.mark.parametrize("name", SAMPLES)
def test_names_are_those_of_the_releases(repo: Path, name: str) -> None:
    found = [layer.name for layer in deploy(repo, name) if not layer.op.is_data]
    assert found[: len(SAMPLES[name].split())] == SAMPLES[name].split()


@pytest.mark.parametrize("name", OURS)
def test_both_prototxts_have_one_trunk(repo: Path, name: str) -> None:
    """Operations, blobs and fillers, in order; so one caffemodel fits both."""
    both = []
    for net in (deploy(repo, name), scored(repo, name)):
        ends = {x.name for x in net if x.op.is_data or x.type == "Softmax" or x.op.higher_is_better is not None}
        trunk = [x for x in net if x.name not in ends and not x.name.startswith(("loss1/", "loss2/"))]
        both.append([(x.name, x.op, x.bottoms, x.tops, x.fillers) for x in trunk])
    assert both[0] == both[1]
    assert len(both[0]) > 9


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("name", OURS)
def test_train_val_scores_what_its_data_layers_give(repo: Path, name: str, phase: Phase) -> None:
    net = scored(repo, name, phase)
    (data,) = net.data_layers
    size = 32 if name in CIFAR else data.op.transform.crop_size
    shapes = net.shapes({"data": (data.op.batch_size, 3, size, size), "label": (data.op.batch_size,)})
    assert {shapes[x][0] for x in shapes if net[x].op.higher_is_better is not None} == {()}
    assert data.op.source.startswith("examples/")
    assert deploy(repo, name).data_layers[0].op.declared_shape(0) == (1, 3, size, size)
    kinds = {layer.op.higher_is_better for layer in net} - {None}
    assert kinds == ({True, False} if phase is Phase.TEST else {False}) or "squeezenet" in name or "nin" in name


def test_googlenet_trains_two_more_classifiers(repo: Path) -> None:
    net = scored(repo, "googlenet")
    shapes = net.shapes({"data": (50, 3, 224, 224), "label": (50,)})
    assert numbers(net, shapes) == 13_378_280
    assert net.outputs == tuple(
        sorted([f"loss{i}/top-{k}" for i in (1, 2, 3) for k in (1, 5)] + ["loss1/loss1", "loss2/loss1", "loss3/loss3"])
    )
    text = (repo / "models" / "googlenet" / "train_val.prototxt").read_text("utf-8")
    weights = {item.name: list(item.loss_weight) for item in parse(text, "").layer if item.loss_weight}
    assert weights == {"loss1/loss": [pytest.approx(0.3)], "loss2/loss": [pytest.approx(0.3)]}


@pytest.mark.parametrize("name", SIZES)
def test_nothing_in_the_prototxts_is_unknown(repo: Path, name: str) -> None:
    for file in ("train_val", "deploy"):
        path = repo / "models" / name / f"{file}.prototxt"
        assert not scan(path.read_text("utf-8"), str(path)).unknown
        assert not read_model(path).notes


@pytest.mark.parametrize("name", SIZES)
def test_a_quantized_prototxt_differs_in_types_and_formats_only(repo: Path, tmp_path: Path, name: str) -> None:
    model = read_model(repo / "models" / name / "train_val.prototxt")
    formats = LayerQuant(FixedPoint(8, 2), FixedPoint(8, 1), FixedPoint(8, 7))
    spec = QuantSpec("dynamic_fixed_point", {layer.name: formats for layer in model.net if layer.op.part})
    text = rewritten_text(model.prototxt, model.net, QuantizeLayers(spec)(model.net))
    (tmp_path / "q.prototxt").write_text(text, "utf-8")
    again = read_model(tmp_path / "q.prototxt").net
    assert [layer.op for layer in again] == [layer.op for layer in model.net]
    assert {layer.name: layer.quant for layer in again if layer.quant} == spec.layers
    kept = {line for line in text.splitlines() if "type:" not in line}
    assert {line for line in model.prototxt.text.splitlines() if "type:" not in line} <= kept


@pytest.mark.parametrize("name", ["cifar10_quick", "mobilenet_v1", "squeezenet_v1.1"])
def test_fillers_give_every_layer_weights(repo: Path, name: str) -> None:
    """No weight blob of a convolution or an inner product is all 0, as Caffe makes it without a filler."""
    net = InitWeights()(deploy(repo, name))
    assert all(layer.blobs[0].any() for layer in net if layer.op.part)
    assert sum(blob.size for layer in net for blob in layer.blobs) == sum(SIZES[name][:2])


@pytest.mark.parametrize("name", OURS)
def test_pages_state_the_counts(repo: Path, name: str) -> None:
    size = SIZES[name]
    own, listed = ((repo / "models" / page).read_text("utf-8") for page in (f"{name}/README.md", "README.md"))
    assert f"| parameters | {size.parameters:,} |" in own
    assert f"| multiply-accumulates for a picture | {size.macs:,} |" in own
    assert f"({name}/README.md) | {size.parameters:,} | {size.macs:,} |" in listed
    if size.statistics:
        assert f"{size.statistics:,} numbers" in " ".join(own.split())


def test_solvers_name_nets_that_are_there(repo: Path) -> None:
    found = sorted((repo / "models").glob("*/*.prototxt"))
    solvers = [path for path in found if path.name.startswith(("solver", "finetune"))]
    assert [f"{path.parent.name}/{path.name}" for path in solvers] == [
        "cifar10_full/finetune.prototxt",
        "cifar10_full/finetune_narrow.prototxt",
        "cifar10_full/solver.prototxt",
        "lenet/finetune.prototxt",
        "lenet/solver.prototxt",
    ]
    for path in solvers:
        solver = read_solver(path)
        assert solver.notes == ()
        assert (repo / solver.train_net).parent == path.parent
        assert (repo / solver.train_net).is_file()
