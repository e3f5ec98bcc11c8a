from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest
from PIL import Image

from ristretto.caffe.datum import Datum
from ristretto.caffe.schema import message_class
from ristretto.data import BatchSource, CachedSource, open_sources
from ristretto.data.datums import DatumPictures
from ristretto.data.lmdb_reader import LmdbRecords
from ristretto.data.pictures import PictureSource
from ristretto.data.transform import Transformer
from ristretto.errors import DataError
from ristretto.layers.data import Data, Transform
from ristretto.net import Layer, Phase

MakeLmdb = Callable[[Sequence[Datum]], Path]


def layer(source: Path | str, batch_size: int = 3, **settings: Any) -> Layer:
    transform = Transform(
        **{name: settings.pop(name) for name in list(settings) if name in Transform.__dataclass_fields__}
    )
    tops = settings.pop("tops", ("data", "label"))
    op = Data(str(source), batch_size, **{"backend": "LMDB", **settings}, transform=transform)
    return Layer("mnist", op, tops=tops)


def opened(source: Path | str, phase: Phase = Phase.TEST, **settings: Any) -> BatchSource:
    return open_sources([layer(source, **settings)], phase=phase)


def refused(source: Path | str, phase: Phase = Phase.TEST, **settings: Any) -> DataError:
    """The error of opening, or of reading 4 batches."""
    with pytest.raises(DataError) as caught:
        list(opened(source, phase, **settings).batches(4))
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value


def plain(count: int, channels: int = 1, height: int = 2, width: int = 2) -> list[Datum]:
    """Picture i is filled with i and labelled i * 10."""
    return [Datum(channels, height, width, bytes([i] * channels * height * width), i * 10) for i in range(count)]


def jpeg(seed: int, height: int = 20, width: int = 20) -> Datum:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "JPEG")
    return Datum(3, height, width, file.getvalue(), seed, encoded=True)


def test_batches_follow_the_keys_and_wrap(make_lmdb: MakeLmdb) -> None:
    source = opened(make_lmdb(plain(5)))
    assert source.shapes == {"data": (3, 1, 2, 2), "label": (3,)}
    batches = list(source.batches(4))
    assert [batch["data"][:, 0, 0, 0].tolist() for batch in batches] == [[0, 1, 2], [3, 4, 0], [1, 2, 3], [4, 0, 1]]
    assert [batch["label"].tolist() for batch in batches] == [[0, 10, 20], [30, 40, 0], [10, 20, 30], [40, 0, 10]]
    for batch in batches:
        assert {blob: array.shape for blob, array in batch.items()} == source.shapes
        assert all(array.dtype == np.float32 and array.flags.c_contiguous for array in batch.values())


def test_a_batch_may_be_larger_than_the_database(make_lmdb: MakeLmdb) -> None:
    (batch,) = opened(make_lmdb(plain(2)), batch_size=5).batches(1)
    assert batch["label"].tolist() == [0, 10, 0, 10, 0]


def test_every_pass_is_the_same_and_may_start_anywhere(make_lmdb: MakeLmdb) -> None:
    datums = [Datum(1, 6, 6, bytes(range(i, i + 36)), i) for i in range(7)]
    source = opened(make_lmdb(datums), Phase.TRAIN, crop_size=2, mirror=True)
    whole = [batch["data"].tobytes() for batch in source.batches(6)]
    assert [batch["data"].tobytes() for batch in source.batches(6)] == whole
    assert [batch["data"].tobytes() for batch in source.batches(2, 3)] == whole[3:5]
    left = source.batches(6)
    next(left)
    assert next(source.batches(1))["data"].tobytes() == whole[0]


def test_labels_may_be_left_out(make_lmdb: MakeLmdb) -> None:
    source = opened(make_lmdb(plain(3)), tops=("data",))
    assert source.shapes == {"data": (3, 1, 2, 2)}
    assert set(next(source.batches(1))) == {"data"}


def test_rand_skip_is_ignored_as_in_caffe(make_lmdb: MakeLmdb) -> None:
    (batch,) = opened(make_lmdb(plain(5)), rand_skip=3).batches(1)
    assert batch["label"].tolist() == [0, 10, 20]


def test_the_name_is_the_prototxts(make_lmdb: MakeLmdb, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_lmdb(plain(1))
    monkeypatch.chdir(path.parent)
    assert opened(path.name).names == (path.name,)


def test_pictures_of_several_sizes_are_cropped(make_lmdb: MakeLmdb) -> None:
    path = make_lmdb([*plain(2, 1, 4, 6), *plain(2, 1, 3, 3)])
    source = opened(path, batch_size=4, crop_size=3)
    assert source.shapes["data"] == (4, 1, 3, 3)
    assert next(source.batches(1))["data"].shape == (4, 1, 3, 3)


@pytest.mark.parametrize("phase", Phase)
def test_threads_change_nothing(make_lmdb: MakeLmdb, phase: Phase) -> None:
    path = make_lmdb([jpeg(i, 20 + i, 25) for i in range(9)])
    transform = Transform(crop_size=16, mirror=True, mean_value=(104.0, 117.0, 123.0))
    results = set()
    for threads in (1, 2, 7):
        pictures = DatumPictures(LmdbRecords(path), "db", transform)
        source = PictureSource(pictures, 4, ("data", "label"), Transformer(transform, phase), threads=threads)
        results.add(b"".join(batch["data"].tobytes() + batch["label"].tobytes() for batch in source.batches(5)))
    assert len(results) == 1


@pytest.mark.parametrize(("force", "channels"), [({}, 3), ({"force_color": True}, 3), ({"force_gray": True}, 1)])
def test_channels_of_encoded_pictures_may_be_forced(make_lmdb: MakeLmdb, force: dict[str, bool], channels: int) -> None:
    assert opened(make_lmdb([jpeg(1)]), **force).shapes["data"] == (3, channels, 20, 20)


def test_gray_pictures_have_one_channel_unless_forced(make_lmdb: MakeLmdb) -> None:
    file = io.BytesIO()
    Image.new("L", (4, 4), 7).save(file, "PNG")
    path = make_lmdb([Datum(1, 4, 4, file.getvalue(), encoded=True)])
    assert opened(path).shapes["data"] == (3, 1, 4, 4)
    assert opened(path, force_color=True).shapes["data"] == (3, 3, 4, 4)


def test_raw_and_encoded_may_stand_side_by_side(make_lmdb: MakeLmdb) -> None:
    raw = Datum(3, 20, 20, bytes(1200), 7)
    for datums in ([jpeg(1), raw], [raw, jpeg(1)]):
        (batch,) = opened(make_lmdb(datums), batch_size=2).batches(1)
        assert sorted(batch["label"].tolist()) == [1, 7]


def test_a_file_without_folder_is_opened(tmp_path: Path, make_lmdb: MakeLmdb) -> None:
    file = tmp_path / "digits.mdb"
    (make_lmdb(plain(3)) / "data.mdb").rename(file)
    assert next(opened(file).batches(1))["label"].tolist() == [0, 10, 20]


def mean_file(folder: Path, shape: tuple[int, ...], value: float = 1.0) -> Path:
    message = message_class("BlobProto")(data=[value] * int(np.prod(shape)))
    message.shape.dim.extend(shape)
    path = folder / "mean.binaryproto"
    path.write_bytes(message.SerializeToString())
    return path


def test_mean_file_is_subtracted(tmp_path: Path, make_lmdb: MakeLmdb) -> None:
    mean = mean_file(tmp_path, (1, 1, 4, 4), 0.5)
    (batch,) = opened(make_lmdb(plain(3, 1, 4, 4)), mean_file=str(mean), crop_size=2, scale=2.0).batches(1)
    assert batch["data"][:, 0].tolist() == [[[2 * (i - 0.5)] * 2] * 2 for i in range(3)]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"batch_size": 0}, "layer 'mnist': batch_size is 0"),
        ({"tops": ()}, "layer 'mnist': 0 tops"),
        ({"tops": ("a", "b", "c")}, "layer 'mnist': 3 tops"),
        ({"crop_size": 3}, "crop_size 3 is larger than the picture, 2x2"),
        ({"mean_value": (1.0, 2.0)}, "2 mean_value for 1 channels"),
        ({"mean_file": "no/mean"}, "layer 'mnist': no/mean does not exist in any of"),
        ({"force_color": True, "force_gray": True}, "force_color stands beside force_gray"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make_lmdb: MakeLmdb, settings: dict[str, Any], says: str) -> None:
    assert says in refused(make_lmdb(plain(3)), **settings).message


def test_mean_file_that_does_not_fit_is_refused(tmp_path: Path, make_lmdb: MakeLmdb) -> None:
    path = make_lmdb(plain(3))
    wrong = mean_file(tmp_path, (1, 1, 3, 2))
    message = refused(path, mean_file=str(wrong)).message
    assert f"mean_file {wrong} of the shape 1x3x2 for a picture of the shape 1x2x2" in message
    assert (
        "mean_file stands beside" in refused(path, mean_file=f"{tmp_path}/mean.binaryproto", mean_value=(1.0,)).message
    )
    (tmp_path / "mean.binaryproto").write_bytes(b"\x22\x7f")
    assert (
        "mean.binaryproto is truncated or no BlobProto"
        in refused(path, mean_file=f"{tmp_path}/mean.binaryproto").message
    )


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (Datum(1, 2, 2, b"\x00" * 3), "3 values for the shape 1x2x2"),
        (Datum(1, 2, 3, b"\x00" * 6), "comes out as 1x2x3, the first as 1x2x2"),
        (Datum(3, 2, 2, b"\x00" * 12), "comes out as 3x2x2, the first as 1x2x2"),
        (Datum(1, 2, 2, b"no picture", encoded=True), "its picture does not decode"),
    ],
)
@pytest.mark.parametrize("place", [0, 4])
def test_a_bad_record_is_named(make_lmdb: MakeLmdb, bad: Datum, says: str, place: int) -> None:
    datums = plain(6)
    datums[place] = bad
    path = make_lmdb(datums)
    if place == 0 and "comes out" in says:
        says, place = "comes out as 1x2x2", 1
    message = refused(path).message
    assert says in message
    assert f"record {place} (key '0000000{place}') of {path}: " in message


def test_a_bad_record_among_encoded_ones_is_named(make_lmdb: MakeLmdb) -> None:
    datums = [jpeg(i) for i in range(8)]
    for place in (4, 6):
        datums[place] = Datum(3, 20, 20, datums[place].data[:200], encoded=True)
    assert "record 4 (key '00000004')" in refused(make_lmdb(datums)).message


def test_a_record_that_is_no_datum_is_named(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 20) as database, database.begin(write=True) as transaction:
        transaction.put(b"k\n\xff", b"\xff\xff\xff")
    message = refused(tmp_path / "db").message
    assert r"layer 'mnist': record 0 (key 'k\n\xff') of " in message
    assert message.endswith("no Datum message")


def test_missing_and_empty_are_refused(tmp_path: Path, make_lmdb: MakeLmdb) -> None:
    assert "layer 'mnist': no/where does not exist in any of" in refused("no/where").message
    assert "layer 'mnist': data_param has no source" in refused("").message
    assert "is empty" in refused(make_lmdb([])).message
    (tmp_path / "folder").mkdir()
    assert "data.mdb: No such file" in refused(tmp_path / "folder").message
    (tmp_path / "file").write_text("a,b,c")
    assert f"{tmp_path / 'file'} is no LMDB" in refused(tmp_path / "file").message


def test_the_other_backend_is_told(tmp_path: Path, make_lmdb: MakeLmdb) -> None:
    path = make_lmdb(plain(3))
    error = refused(path, backend="LEVELDB")
    assert error.message == f"layer 'mnist': backend is LEVELDB, and {path} is of the kind LMDB"
    assert "backend: LMDB" in error.hint
    leveldb = tmp_path / "leveldb"
    leveldb.mkdir()
    (leveldb / "CURRENT").write_text("MANIFEST-000002\n")
    error = refused(leveldb)
    assert error.message == f"layer 'mnist': backend is LMDB, and {leveldb} is of the kind LEVELDB"
    assert "backend: LEVELDB" in error.hint


@pytest.mark.parametrize(
    ("batch_size", "settings", "period"),
    [
        (3, {}, 5),
        (5, {}, 1),
        (10, {}, 1),
        (2, {"crop_size": 1}, 5),
        (5, {"mirror": True}, None),
    ],
)
def test_batches_repeat_with_the_records(
    make_lmdb: MakeLmdb, batch_size: int, settings: dict[str, Any], period: int | None
) -> None:
    source = opened(make_lmdb(plain(5)), batch_size=batch_size, **settings)
    assert source.period == period
    batches = [batch["label"].tolist() for batch in source.batches(12)]
    assert all(batches[k] == batches[k % period] for k in range(12) if period)


def test_random_crops_do_not_repeat(make_lmdb: MakeLmdb) -> None:
    assert opened(make_lmdb(plain(5)), Phase.TRAIN, crop_size=1).period is None
    assert opened(make_lmdb(plain(5)), Phase.TRAIN).period == 5


def test_decoding_runs_ahead_and_stops_when_it_is_left(make_lmdb: MakeLmdb, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    load = DatumPictures.load
    monkeypatch.setattr(DatumPictures, "load", lambda self, place: (loaded.append(place), load(self, place))[1])
    batches = opened(make_lmdb([jpeg(i) for i in range(100)]), batch_size=2).batches(50)
    next(batches)
    batches.close()
    assert set(range(2)) <= set(loaded)
    assert len(loaded) <= 1 + 3 * 2


REAL = {
    "lenet_dfp": ("mnist/mnist_test_lmdb", {"scale": 0.00390625}),
    "cifar10_full_dfp": ("cifar10/cifar10_test_lmdb", {"mean_file": "models/cifar10_full/mean.binaryproto"}),
    "squeezenet_dfp": ("imagenet/imagenet_dev500_lmdb", {"crop_size": 227, "mean_value": (104.0, 117.0, 123.0)}),
}


@pytest.mark.shared
@pytest.mark.parametrize("golden", REAL)
def test_equals_what_the_fork_fed_its_nets(shared: Path, golden: str) -> None:
    database, settings = REAL[golden]
    if "mean_file" in settings:
        settings = {"mean_file": str(shared / "data" / str(settings["mean_file"]))}
    with np.load(shared / "golden" / f"{golden}.npz") as blobs:
        expected = blobs["input"]
    (batch,) = opened(shared / "data" / database, batch_size=len(expected), **settings).batches(1)
    assert batch["data"].tobytes() == expected.tobytes()


@pytest.mark.shared
def test_all_digits(shared: Path) -> None:
    source = CachedSource(opened(shared / "data/mnist/mnist_test_lmdb", batch_size=100), 1 << 30)
    first = list(source.batches(101))
    labels = np.concatenate([batch["label"] for batch in first])
    assert labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(labels[:10000].astype(int)).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert (first[100]["data"] == first[0]["data"]).all()
    assert all((a["data"] == b["data"]).all() for a, b in zip(first, source.batches(101), strict=True))


@pytest.mark.shared
def test_encoded_pictures_train_the_same_twice(shared: Path) -> None:
    settings: dict[str, Any] = {"batch_size": 8, "crop_size": 227, "mirror": True}
    passes = []
    for _ in range(2):
        source = opened(shared / "data/imagenet/imagenet_dev500_lmdb", Phase.TRAIN, **settings)
        passes.append([batch["data"].tobytes() for batch in source.batches(3)])
    assert passes[0] == passes[1]
    assert next(source.batches(1))["label"].tolist() == [0, 2, 4, 6, 8, 10, 12, 14]


def test_a_batch_beyond_reason_is_refused(make_lmdb: MakeLmdb) -> None:
    assert "batches of 65537 pictures" in refused(make_lmdb(plain(3)), batch_size=65537).message
