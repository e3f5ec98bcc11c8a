"""The verb `finetune` with files and options that do not fit: one error, before anything is done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ristretto import api
from ristretto.caffe.caffemodel import encode_weights
from ristretto.caffe.reader import load_weights, read_model
from ristretto.errors import ModelError, OutputError, RistrettoError
from ristretto.finetune.events import Event
from tests.api.tiny_training import ALL, END, NET, PLAIN, make_folder, solver, trained, tune


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path)


def refused(
    folder: Path, error: type[RistrettoError], match: str, options: api.Options = PLAIN, **settings: str
) -> None:
    """Make sure that nothing was done before the error."""
    before = sorted(folder.iterdir())
    events: list[Event] = []
    with pytest.raises(error, match=match):
        api.finetune(solver(folder, **settings), [folder / "start.caffemodel"], options=options, listener=events.append)
    assert events == []
    assert {*before, folder / "solver.prototxt"} == set(folder.iterdir())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (api.Options(activations="some"), "no treatment of activations is called 'some'"),
        (api.Options(rounding="up"), "no rounding is called 'up'"),
        (api.Options(device="tpu"), "no device is called 'tpu'"),
        (api.Options(distill=-0.5), "a share of -0.5"),
        (api.Options(distill=float("nan")), "a share of nan"),
        (api.Options(temperature=float("inf")), "a temperature of inf"),
        (api.Options(temperature=float("nan")), "a temperature of nan"),
        (api.Options(seed=-1), "a seed of -1"),
        (api.Options(seed=2**63), "a seed of 9223372036854775808"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: api.Options, told: str, folder: Path) -> None:
    refused(folder, RistrettoError, told, options)


def test_the_greatest_seed_is_one(folder: Path) -> None:
    assert trained(folder, replace(ALL, seed=2**63 - 1))


def test_a_net_without_a_loss_is_refused_before_it_is_scored(folder: Path) -> None:
    (folder / "net.prototxt").write_text("\n".join(x for x in NET.splitlines() if "SoftmaxWithLoss" not in x))
    refused(folder, ModelError, "net 'tiny' has no loss in the TRAIN phase")


def test_a_float_net_has_no_radix_points_to_learn(folder: Path) -> None:
    lines = [x for x in NET.splitlines() if "quantization_param" not in x]
    text = "\n".join(lines).replace("ConvolutionRistretto", "Convolution").replace("FcRistretto", "InnerProduct")
    (folder / "net.prototxt").write_text(text.replace('"xavier" } }', '"xavier" } } }'))
    refused(folder, ModelError, "no radix point to learn", api.Options(learn_fl=True))


def test_where_snapshots_go_is_looked_at_first(folder: Path) -> None:
    refused(folder, OutputError, "cannot write", snapshot_prefix=f'"{folder}/net.prototxt/tiny"')
    refused(folder, OutputError, "cannot write", snapshot_prefix=f'"{folder}/{"a" * 300}"')
    refused(folder, ModelError, "snapshot_prefix holds a NUL", snapshot_prefix='"a\\000b"')
    (folder / "new").mkdir()
    tune(folder, snapshot_prefix=f'"{folder}/new/deep/tiny"')
    assert (folder / "new/deep/tiny_iter_4.caffemodel").is_file()


def test_a_snapshot_that_would_take_an_inputs_place_is_refused(folder: Path) -> None:
    name = folder / f"tiny_iter_{END}.caffemodel"
    (folder / "start.caffemodel").rename(name)
    before = name.read_bytes()
    with pytest.raises(OutputError, match="is an input and would be overwritten"):
        api.finetune(solver(folder), [name])
    assert name.read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["db", "net.prototxt", "solver.prototxt", name.name]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"net": '"nowhere.prototxt"'}, "nowhere.prototxt does not exist"),
        ({"max_iter": ""}, "max_iter is missing"),
        ({"test_interval": "", "test_iter": "2"}, "test_iter without a test_interval"),
        ({"type": '"LARS"'}, "unknown type 'LARS'"),
        ({"iter_size": "0"}, "iter_size is 0"),
        ({"base_lr": "nan"}, "base_lr is nan"),
        ({"base_lr": "1e39"}, "base_lr is inf"),
        ({"lr_policy": '"step"'}, "needs gamma"),
        ({"clip_gradients": "0"}, "clip_gradients is 0"),
    ],
)
def test_solvers_that_make_no_sense_are_refused(settings: dict[str, str], told: str, folder: Path) -> None:
    refused(folder, RistrettoError, told, **settings)


def test_weights_of_another_net_are_refused(folder: Path) -> None:
    net = load_weights(read_model(folder / "net.prototxt").net, folder / "start.caffemodel")
    other = replace(net, layers=tuple(replace(x, name=f"other_{x.name}") for x in net))
    (folder / "start.caffemodel").write_bytes(encode_weights(other))
    refused(folder, ModelError, "no layer of net 'tiny' has weights in")
