from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from ristretto.caffe.datum import Datum
from ristretto.data import BatchSource, Preparation, feed
from ristretto.errors import DataError, ModelError
from ristretto.layers.data import Data, Transform
from ristretto.layers.dummy_data import DummyData
from ristretto.layers.hdf5_data import HDF5Data
from ristretto.layers.image_data import ImageData
from ristretto.layers.input import Input
from ristretto.layers.memory_data import MemoryData
from ristretto.net import Filler, Layer, Op, Phase

MakeLmdb = Callable[[Sequence[Datum]], Path]

PICTURES = np.random.default_rng(1).integers(0, 256, (6, 1, 8, 8), np.uint8)
LABELS = np.array([0, 0, 1, 1, 2, 2])
HALF = Transform(scale=0.5)


def layer(op: Op, *tops: str) -> Layer:
    return Layer("input", op, tops=tops or ("data", "label"))


TRAIN_VAL = layer(Data("nowhere", 2, "LMDB", transform=HALF))
DEPLOY = layer(Input(shapes=((2, 1, 8, 8),)), "data")


@pytest.fixture
def places(tmp_path: Path, make_lmdb: MakeLmdb) -> dict[str, Path]:
    """The same six gray pictures, each way."""
    lines = []
    for number, (picture, label) in enumerate(zip(PICTURES, LABELS, strict=True)):
        for folder in (f"classes/{label}", "flat"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture[0]).save(tmp_path / folder / f"{number}.png")
        lines.append(f"flat/{number}.png {label}\n")
    (tmp_path / "list.txt").write_text("".join(lines))
    np.savez(tmp_path / "arrays.npz", data=PICTURES, label=LABELS)
    np.save(tmp_path / "data.npy", PICTURES)
    np.save(tmp_path / "flat.npy", PICTURES[:, 0])
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["data"], file["label"] = PICTURES, LABELS
    (tmp_path / "files.txt").write_text("rows.h5\n")
    datums = [Datum(1, 8, 8, p.tobytes(), int(label)) for p, label in zip(PICTURES, LABELS, strict=True)]
    database = make_lmdb(datums)
    names = ("classes", "flat", "list.txt", "arrays.npz", "data.npy", "flat.npy", "rows.h5", "files.txt")
    return {name: tmp_path / name for name in names} | {"lmdb": database, "data.mdb": database / "data.mdb"}


LABELLED = ("lmdb", "data.mdb", "classes", "list.txt", "arrays.npz", "rows.h5", "files.txt")
BARE = ("flat", "data.npy", "flat.npy")


def gathered(source: BatchSource, blob: str) -> np.ndarray:
    return np.concatenate([batch[blob] for batch in source.batches(3)])


def refused(path: Path | str, *layers: Layer, **settings: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        list(feed(path, layers, phase=Phase.TEST, **settings).batches(2))
    assert "\n" not in caught.value.message
    return caught.value


@pytest.mark.parametrize("place", LABELLED)
def test_every_kind_feeds_a_data_layer_as_its_transform_says(places: dict[str, Path], place: str) -> None:
    source = feed(places[place], [TRAIN_VAL], phase=Phase.TEST)
    assert source.names == (str(places[place]),)
    assert source.shapes == {"data": (2, 1, 8, 8), "label": (2,)}
    assert gathered(source, "data").tolist() == (PICTURES / np.float32(2)).tolist()
    assert gathered(source, "label").tolist() == LABELS.tolist()


@pytest.mark.parametrize("place", LABELLED + BARE)
def test_every_kind_feeds_a_deploy_net(places: dict[str, Path], place: str) -> None:
    source = feed(places[place], [DEPLOY], phase=Phase.TEST, preparation=Preparation(scale=0.5), spare_labels="truth")
    assert source.shapes == {"data": (2, 1, 8, 8)} | ({"truth": (2,)} if place in LABELLED else {})
    assert gathered(source, "data").tolist() == (PICTURES / np.float32(2)).tolist()
    if place in LABELLED:
        assert gathered(source, "truth").tolist() == LABELS.tolist()
    assert set(feed(places[place], [DEPLOY], phase=Phase.TEST).shapes) == {"data"}


@pytest.mark.parametrize("place", BARE)
def test_labels_that_the_net_reads_must_be_there(places: dict[str, Path], place: str) -> None:
    error = refused(places[place], TRAIN_VAL)
    assert "'label'" in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("op", "transform"),
    [
        (ImageData("nowhere", 2, is_color=False, transform=HALF), HALF),
        (MemoryData(2, 1, 8, 8, HALF), HALF),
        (HDF5Data("nowhere", 2), Transform()),
    ],
)
@pytest.mark.parametrize("place", LABELLED)
def test_every_data_layer_can_be_fed(places: dict[str, Path], op: Op, transform: Transform, place: str) -> None:
    source = feed(places[place], [layer(op)], phase=Phase.TEST)
    assert gathered(source, "data").tolist() == (PICTURES * np.float32(transform.scale)).tolist()
    assert gathered(source, "label").tolist() == LABELS.tolist()


def test_labels_may_come_through_a_layer_of_their_own(places: dict[str, Path]) -> None:
    layers = [DEPLOY, Layer("truth", Data("elsewhere", 2, "LMDB"), tops=("truth",))]
    source = feed(places["lmdb"], layers, phase=Phase.TEST)
    assert gathered(source, "truth").tolist() == LABELS.tolist()


def test_dummy_layers_keep_their_values(places: dict[str, Path]) -> None:
    dummy = Layer("dummy", DummyData(((3,),), (Filler(value=7),)), tops=("mask",))
    source = feed(places["lmdb"], [dummy, TRAIN_VAL], phase=Phase.TEST)
    assert source.shapes == {"data": (2, 1, 8, 8), "label": (2,), "mask": (3,)}
    assert gathered(source, "mask").tolist() == [7] * 9


def test_more_blobs_come_from_arrays_of_their_names(tmp_path: Path, places: dict[str, Path]) -> None:
    info = np.arange(18.0).reshape(6, 3)
    np.savez(tmp_path / "more.npz", data=PICTURES, im_info=info)
    inputs = layer(Input(shapes=((2, 1, 8, 8), (1, 3))), "data", "im_info")
    source = feed(tmp_path / "more.npz", [inputs], phase=Phase.TEST)
    assert source.shapes == {"data": (2, 1, 8, 8), "im_info": (1, 3)}
    assert [batch["im_info"].tolist() for batch in source.batches(2)] == [[[0, 1, 2]], [[3, 4, 5]]]
    assert "holds no array for the blob 'im_info', only 'data'" in refused(places["data.npy"], inputs).message
    assert "reads the blob 'im_info' too" in refused(places["flat"], inputs).message


def test_arrays_are_found_by_the_blobs_names_first(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", data=np.zeros((6, 1, 8, 8)), image=PICTURES, truth=LABELS, label=np.zeros(6))
    source = feed(tmp_path / "a.npz", [layer(Data("nowhere", 2, "LMDB"), "image", "truth")], phase=Phase.TEST)
    assert gathered(source, "image").tolist() == PICTURES.tolist()
    assert gathered(source, "truth").tolist() == LABELS.tolist()


def test_the_preparation_takes_the_place_of_the_prototxts_settings(places: dict[str, Path]) -> None:
    op = Data("nowhere", 2, "LMDB", transform=Transform(scale=0.5, mean_file="nowhere", crop_size=3))
    preparation = Preparation(batch_size=6, crop_size=4, mean_value=(10.0,), scale=2.0)
    source = feed(places["lmdb"], [layer(op)], phase=Phase.TEST, preparation=preparation)
    (batch,) = source.batches(1)
    assert batch["data"].tolist() == ((PICTURES[:, :, 2:6, 2:6] - np.float32(10)) * 2).tolist()


def test_picture_files_are_resized(places: dict[str, Path]) -> None:
    preparation = Preparation(resize_height=4, resize_width=4)
    source = feed(places["classes"], [TRAIN_VAL], phase=Phase.TEST, preparation=preparation)
    assert source.shapes["data"] == (2, 1, 4, 4)
    assert (
        "must stand together" in refused(places["classes"], TRAIN_VAL, preparation=Preparation(resize_height=4)).message
    )
    op = ImageData("nowhere", 2, new_height=5, new_width=6)
    assert feed(places["classes"], [layer(op)], phase=Phase.TEST).shapes["data"] == (2, 3, 5, 6)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_get_the_channels_that_the_net_declares(places: dict[str, Path], channels: int) -> None:
    inputs = layer(Input(shapes=((2, channels, 8, 8),)), "data")
    assert feed(places["flat"], [inputs], phase=Phase.TEST).shapes["data"] == (2, channels, 8, 8)


@pytest.mark.parametrize("place", LABELLED + BARE)
def test_pictures_of_another_size_than_declared_are_refused(places: dict[str, Path], place: str) -> None:
    error = refused(places[place], layer(Input(shapes=((2, 1, 9, 8),)), "data"))
    assert "gives the blob 'data' the shape (2, 1, 8, 8), and the net asks for (2, 1, 9, 8)" in error.message
    assert "--resize_height" in error.hint


def test_what_cannot_be_fed_is_told(tmp_path: Path, places: dict[str, Path]) -> None:
    (tmp_path / "notes.md").write_text("hello")
    (tmp_path / "bare").mkdir()
    assert "does not exist" in refused(tmp_path / "gone", DEPLOY).message
    assert "is of no known kind" in refused(tmp_path / "notes.md", DEPLOY).message
    assert "holds no pictures" in refused(tmp_path / "bare", DEPLOY).message
    assert "no data layer" in refused(places["lmdb"], Layer("d", DummyData(((1,),)), tops=("a",))).message
    with pytest.raises(ModelError, match="layer 'input': it declares no shape"):
        feed(places["lmdb"], [layer(Input())], phase=Phase.TEST)
    assert (
        "no_mean does not exist"
        in refused(places["lmdb"], DEPLOY, preparation=Preparation(mean_file="no_mean")).message
    )
    for name in ("broken.npz", "broken.npy", "broken.h5", "broken.txt", "broken.mdb"):
        (tmp_path / name).write_bytes(b"\x89broken")
        assert name in refused(tmp_path / name, DEPLOY).message


@pytest.mark.parametrize("name", ["lmdb", "arrays.npz", "data.npy"])
def test_only_picture_files_are_resized(places: dict[str, Path], name: str) -> None:
    error = refused(places[name], TRAIN_VAL, preparation=Preparation(resize_height=4, resize_width=4))
    assert "only those are resized" in error.message
