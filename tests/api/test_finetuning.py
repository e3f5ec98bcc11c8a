"""The verb `finetune`: a tiny net on pictures that are cropped and mirrored by chance."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from ristretto import api
from ristretto.api.training_start import input_files
from ristretto.caffe.caffemodel import encode_weights
from ristretto.caffe.reader import load_weights, read_model
from ristretto.caffe.solver_file import read_solver
from ristretto.errors import TrainingError
from ristretto.finetune.events import Saved, Scored, Updated
from ristretto.finetune.snapshot import read_snapshot
from ristretto.formats import FixedPoint
from ristretto.layers.data import Data, Transform
from ristretto.layers.image_data import ImageData
from ristretto.net import Net
from tests.api.tiny_training import ALL, END, NET, make_folder, solver, trained, tune, weights, written
from tests.listener import Listener


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path)


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        (api.Options(), {}),
        (ALL, {"iter_size": "2"}),
        (ALL, {"snapshot_format": "HDF5", "type": '"Adam"', "iter_size": "3"}),
    ],
    ids=["plain", "all", "hdf5"],
)
def test_training_goes_on_exactly_from_every_snapshot(
    options: api.Options, settings: dict[str, str], folder: Path
) -> None:
    tune(folder, options, **settings)
    end = written(folder, END)
    assert len(end) == 2 + options.learn_fl
    ending = ".h5" if settings.get("snapshot_format") else ""
    for iteration in range(1, END):
        for name in end:
            (folder / name).unlink()
        events = tune(folder, options, f"tiny_iter_{iteration}.solverstate{ending}", **settings)
        assert [each.iteration for each in events if isinstance(each, Updated)] == list(range(iteration + 1, END + 1))
        assert written(folder, END) == end


def test_one_seed_gives_the_same_bytes_and_another_others(folder: Path) -> None:
    one, again, other = (trained(folder, replace(ALL, seed=seed)) for seed in (3, 3, 4))
    assert one == again != other


@pytest.mark.parametrize("fixed", [("crop_size: 6 mirror: true", "crop_size: 6"), ("mirror: true", "")])
def test_a_seed_decides_on_crops_and_mirrors(fixed: tuple[str, str], folder: Path) -> None:
    """Nothing else is drawn: without a dropout, and with weights rounded to the nearest."""
    bare = "\n".join(line for line in NET.splitlines() if "Dropout" not in line)
    found = [trained(folder, api.Options(seed=seed), bare.replace(*fixed)) for seed in (1, 2)]
    assert found[0] != found[1]


def test_without_anything_to_draw_a_seed_changes_nothing(folder: Path) -> None:
    bare = "\n".join(line for line in NET.splitlines() if "Dropout" not in line)
    # The whole pictures, with as many places for the kernel as a crop has.
    text = bare.replace("crop_size: 6", "").replace("mirror: true", "")
    text = text.replace("kernel_size: 3", "kernel_size: 3 dilation: 2")
    found = [trained(folder, api.Options(seed=seed), text) for seed in (1, 2)]
    assert found[0] == found[1]


def test_a_seed_of_data_layers_is_that_of_their_transform() -> None:
    asked = Transform(crop_size=3, mirror=True, scale=0.5)
    for op in (Data("db", 2, transform=asked), ImageData("list", 2, shuffle=True, transform=asked)):
        assert op.seeded(9) == replace(op, transform=replace(asked, seed=9))
        assert op.seeded(9) != op


def test_the_random_seed_of_the_solver_counts_where_none_is_given(folder: Path) -> None:
    found = []
    for options, seed in (
        (api.Options(), "5"),
        (api.Options(seed=5), "6"),
        (api.Options(), "-1"),
        (api.Options(seed=0), "6"),
    ):
        tune(folder, options, random_seed=seed)
        found.append(written(folder, END))
    assert found[0] == found[1]
    assert found[2] == found[3] != found[0]


def test_scores_are_those_of_the_snapshots(folder: Path) -> None:
    events = tune(folder)
    kinds = [(type(each), each.iteration) for each in events]
    assert kinds == [
        (Scored, 0),
        *((kind, iteration) for iteration in (1, 2) for kind in (Updated, Saved)),
        (Scored, 2),
        *((kind, iteration) for iteration in (3, 4) for kind in (Updated, Saved)),
        (Scored, 4),
    ]
    for event in events:
        if isinstance(event, Scored):
            model = f"tiny_iter_{event.iteration}" if event.iteration else "start"
            found = api.test(folder / "net.prototxt", folder / f"{model}.caffemodel", iterations=2)
            assert event.scores == {**{k: float(v) for k, v in found.outputs.items()}, **found.companions}


def test_scoring_before_the_first_update_may_be_left_out(folder: Path) -> None:
    events = tune(folder, test_initialization="false")
    assert [each.iteration for each in events if isinstance(each, Scored)] == [2, 4]
    # What goes on from there is scored there: it is not before the first update.
    events = tune(folder, snapshot="tiny_iter_2.solverstate", test_initialization="false")
    assert [each.iteration for each in events if isinstance(each, Scored)] == [2, 4]


def test_test_nets_are_those_that_the_solver_names(folder: Path) -> None:
    (folder / "other.prototxt").write_text(NET.replace('top: "accuracy"', 'top: "right"'))
    settings = {"net": "", "train_net": f'"{folder}/net.prototxt"', "test_iter": "1\ntest_iter: 2"}
    names = [f'"{folder}/{name}.prototxt"' for name in ("other", "net")]
    events = tune(folder, **settings, test_net=f"{names[0]}\ntest_net: {names[1]}")
    first, second = (each for each in events if isinstance(each, Scored) and each.iteration == END)
    assert (first.net, second.net) == (0, 1)
    assert "right" in first.scores and "accuracy" in second.scores
    found = api.test(folder / "other.prototxt", folder / f"tiny_iter_{END}.caffemodel", iterations=1)
    assert first.scores["loss"] == found.outputs["loss"]


def test_what_is_learned_stands_in_the_prototxt(folder: Path) -> None:
    """Weights that all saturate get a wider range, and no more than numbers change in the text."""
    (folder / "net.prototxt").write_text(NET.replace("fl_params: 3", "fl_params: 7"))
    made = api.finetune(
        solver(folder, max_iter="200", test_interval="1000", snapshot="0"),
        [folder / "start.caffemodel"],
        options=api.Options(learn_fl=True),
        threads=1,
    )
    before, after = (folder / "net.prototxt").read_text(), made.text
    assert before != after
    strip = [[word for word in text.split() if not word.lstrip("-").isdigit()] for text in (before, after)]
    assert strip[0] == strip[1]
    (folder / "learned.prototxt").write_bytes(made.encoded())
    found = read_model(folder / "learned.prototxt").net
    assert [layer.quant for layer in found] == [layer.quant for layer in made.net]
    for layer in found:
        if layer.quant:
            assert isinstance(layer.quant.params, FixedPoint)
            assert layer.quant.params.bw == 4
            assert layer.quant.params.fl < 7


def test_a_net_rounded_by_chance_is_scored_with_the_nearest_codes(folder: Path) -> None:
    text = NET.replace("quantization_param {", "quantization_param { rounding_scheme: STOCHASTIC ")
    (folder / "net.prototxt").write_text(text)
    events = tune(folder)
    (folder / "nearest.prototxt").write_text(NET)
    last = events[-1]
    assert isinstance(last, Scored)
    found = api.test(folder / "nearest.prototxt", folder / f"tiny_iter_{END}.caffemodel", iterations=2)
    assert last.scores["loss"] == found.outputs["loss"]
    (folder / "net.prototxt").write_text(NET)
    tune(folder)
    nearest = (folder / f"tiny_iter_{END}.caffemodel").read_bytes()
    assert trained(folder, api.Options(rounding="stochastic")) == trained(folder, api.Options(), text) != nearest


def test_stopping_writes_a_snapshot_and_gives_no_scores(folder: Path) -> None:
    asked = count(1)
    made = api.finetune(
        solver(folder, snapshot="0"), [folder / "start.caffemodel"], threads=1, stop=lambda: next(asked) == 3
    )
    assert (made.iteration, made.complete, made.scores) == (3, False, ())
    assert sorted(written(folder, 3)) == ["tiny_iter_3.caffemodel", "tiny_iter_3.solverstate"]
    assert not written(folder, 4)


def test_a_stop_in_the_last_update_is_the_end(folder: Path) -> None:
    made = api.finetune(
        solver(folder), [folder / "start.caffemodel"], threads=1, stop=lambda: True, options=api.Options(max_iter=1)
    )
    assert made.complete
    assert len(made.scores) == 1


def test_later_weights_decide_and_what_none_has_is_filled(folder: Path) -> None:
    net = read_model(folder / "net.prototxt").net
    other = load_weights(net, folder / "start.caffemodel")
    for name, keeps in (("conv", "conv"), ("ip", "ip")):
        part = replace(other, layers=tuple(x if x.name == keeps else replace(x, blobs=()) for x in other))
        (folder / f"{name}.caffemodel").write_bytes(encode_weights(part))
    (folder / "second.caffemodel").write_bytes(weights(folder, 8))
    still = {"base_lr": "0", "snapshot": "0"}

    def started(*names: str) -> tuple[Net, list[str]]:
        listener = Listener()
        paths = [folder / f"{name}.caffemodel" for name in names]
        made = api.finetune(solver(folder, **still), paths, threads=1, watcher=listener)
        return made.net, listener.notes

    both, notes = started("conv", "second", "ip")
    second = load_weights(net, folder / "second.caffemodel")
    np.testing.assert_array_equal(both["conv"].blobs[0], second["conv"].blobs[0])
    np.testing.assert_array_equal(both["ip"].blobs[0], other["ip"].blobs[0])
    assert not notes
    filled, notes = started("conv")
    assert notes == ["layer 'ip' starts from fillers: no caffemodel holds its weights"]
    np.testing.assert_array_equal(filled["conv"].blobs[0], other["conv"].blobs[0])
    assert filled["ip"].blobs[0].any()


def test_the_weights_of_the_solver_are_taken_where_none_are_given(folder: Path) -> None:
    asked = solver(folder, base_lr="0", snapshot="0", weights='"start.caffemodel"')
    made = api.finetune(asked, threads=1, options=api.Options(starts_from_weights=True))
    start = load_weights(made.net, folder / "start.caffemodel")
    np.testing.assert_array_equal(made.net["conv"].blobs[0], start["conv"].blobs[0])
    with pytest.raises(TrainingError, match="no weights to start from"):
        api.finetune(solver(folder), options=api.Options(starts_from_weights=True))


def test_a_layer_of_test_alone_keeps_its_weights(folder: Path) -> None:
    more = """layer { name: "more" type: "InnerProduct" bottom: "ip" top: "more" include { phase: TEST }
      inner_product_param { num_output: 1 } }"""
    (folder / "net.prototxt").write_text(NET + more)
    made = load_weights(read_model(folder / "net.prototxt").net, folder / "start.caffemodel")
    own = (np.float32([[1.5, -2.5]]), np.float32([0.25]))
    made = replace(made, layers=tuple(replace(x, blobs=own) if x.name == "more" else x for x in made))
    (folder / "start.caffemodel").write_bytes(encode_weights(made))
    found = api.finetune(solver(folder, snapshot="0"), [folder / "start.caffemodel"], threads=1)
    np.testing.assert_array_equal(found.net["more"].blobs[0], own[0])


def test_every_file_that_is_read_is_named(folder: Path) -> None:
    tune(folder, api.Options(learn_fl=True))
    asked = solver(folder, weights='"start.caffemodel"')
    state = folder / "tiny_iter_2.solverstate"
    start = folder / "start.caffemodel"
    found = {Path(each).name for each in input_files(read_solver(asked), [start], None, read_snapshot(state))}
    assert found == {
        "solver.prototxt",
        "net.prototxt",
        "start.caffemodel",
        "tiny_iter_2.solverstate",
        "tiny_iter_2.caffemodel",
        "tiny_iter_2.radix_points.npz",
    }
    given = input_files(read_solver(asked), ["a.caffemodel"], "b.prototxt", None)
    assert [Path(each).name for each in given] == ["solver.prototxt", "b.prototxt", "a.caffemodel"]


def test_distillation_needs_the_float_net_when_it_goes_on(folder: Path) -> None:
    tune(folder, api.Options(distill=1.0))
    with pytest.raises(TrainingError, match="no float net to learn from"):
        api.finetune(solver(folder), snapshot=folder / "tiny_iter_2.solverstate", options=api.Options(distill=1.0))
