from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from ristretto.caffe.datum import read_datum
from ristretto.data import BatchSource, open_sources
from ristretto.data.image_files import read_folder
from ristretto.data.lmdb_reader import LmdbRecords
from ristretto.errors import DataError
from ristretto.layers.data import Transform
from ristretto.layers.image_data import ImageData
from ristretto.net import Layer, Phase


def save(path: Path, seed: int, height: int = 12, width: int = 10, *, gray: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (height, width) if gray else (height, width, 3)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8)).save(path)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Five pictures, and a list of them."""
    for number in range(5):
        save(tmp_path / f"pictures/no {number}.png", number)
    (tmp_path / "list.txt").write_text("".join(f"pictures/no {number}.png {number * 10}\n" for number in range(5)))
    return tmp_path / "list.txt"


def opened(source: Path | str, phase: Phase = Phase.TEST, **settings: Any) -> BatchSource:
    tops = settings.pop("tops", ("data", "label"))
    batch_size = settings.pop("batch_size", 2)
    search = settings.pop("search_path", (Path(source).parent,))
    layer = Layer("album", ImageData(str(source), batch_size, **settings), tops=tops)
    return open_sources([layer], phase=phase, search_path=search)


def refused(source: Path | str, **settings: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        list(opened(source, **settings).batches(4))
    assert "\n" not in caught.value.message
    return caught.value


def labels(source: BatchSource, count: int) -> list[list[float]]:
    return [batch["label"].tolist() for batch in source.batches(count)]


def test_batches_follow_the_list_and_wrap(album: Path) -> None:
    source = opened(album)
    assert source.names == (str(album),)
    assert source.shapes == {"data": (2, 3, 12, 10), "label": (2,)}
    assert source.period == 5
    assert labels(source, 4) == [[0, 10], [20, 30], [40, 0], [10, 20]]


@pytest.mark.parametrize("is_color", [True, False])
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp"])
@pytest.mark.parametrize("size", [(0, 0), (7, 9), (6, 5)])
def test_pictures_are_what_opencv_gives_caffe(
    tmp_path: Path, is_color: bool, suffix: str, size: tuple[int, int]
) -> None:
    path = tmp_path / f"a.{suffix}"
    save(path, 1)
    (tmp_path / "list").write_text("a.bmp 1" if suffix == "bmp" else f"a.{suffix} 1")
    read = cv2.imread(str(path), cv2.IMREAD_COLOR if is_color else cv2.IMREAD_GRAYSCALE)
    expected = cv2.resize(read, size[::-1]) if size[0] else read
    expected = expected.reshape(*expected.shape[:2], -1).transpose(2, 0, 1).astype(np.float32)
    source = opened(tmp_path / "list", batch_size=1, is_color=is_color, new_height=size[0], new_width=size[1])
    (batch,) = source.batches(1)
    # Gray from a colour PNG or BMP: OpenCV's weights and Pillow's differ by one level in places.
    slack = 1 if not is_color and suffix != "jpg" else 0
    assert np.abs(batch["data"][0] - expected).max() <= slack


def test_gray_pictures_are_made_coloured(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 1, gray=True)
    (tmp_path / "list").write_text("a.png 1")
    assert opened(tmp_path / "list").shapes["data"] == (2, 3, 12, 10)
    assert opened(tmp_path / "list", is_color=False).shapes["data"] == (2, 1, 12, 10)


def test_the_transform_comes_after_the_resizing(album: Path) -> None:
    transform = Transform(crop_size=4, mean_value=(1.0, 2.0, 3.0), scale=0.5)
    whole = next(opened(album, new_height=8, new_width=6).batches(1))["data"]
    part = next(opened(album, new_height=8, new_width=6, transform=transform).batches(1))["data"]
    mean = np.float32([1, 2, 3]).reshape(3, 1, 1)
    assert part.tolist() == ((whole[:, :, 2:6, 1:5] - mean) * np.float32(0.5)).tolist()


def test_root_folder_stands_before_every_path(album: Path) -> None:
    (album.parent / "short.txt").write_text("0.png 7\n1.png 8\n")
    source = opened(album.parent / "short.txt", root_folder=f"{album.parent}/pictures/no ")
    assert labels(source, 1) == [[7, 8]]


def test_paths_are_found_from_the_prototxts_folder(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (album.parent / "nets").mkdir()
    (album.parent / "elsewhere").mkdir()
    monkeypatch.chdir(album.parent / "elsewhere")
    assert labels(opened("list.txt", search_path=(album.parent / "nets",)), 1) == [[0, 10]]


def test_absolute_paths_and_other_lines_may_mix(album: Path) -> None:
    mixed = album.parent / "mixed.txt"
    mixed.write_text(f"pictures/no 1.png\t-1\r\n\n{album.parent}/pictures/no 2.png   2\n")
    assert labels(opened(mixed), 1) == [[-1, 2]]


def test_shuffling_is_new_in_every_epoch_and_the_same_in_every_pass(album: Path) -> None:
    source = opened(album, shuffle=True, batch_size=5)
    assert source.period is None
    epochs = labels(source, 4)
    assert all(sorted(epoch) == [0, 10, 20, 30, 40] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert labels(source, 4) == labels(opened(album, shuffle=True, batch_size=5), 4) == epochs
    assert [batch["label"].tolist() for batch in source.batches(1, 3)] == epochs[3:]


def test_rand_skip_moves_the_start(album: Path) -> None:
    starts = {labels(opened(album, rand_skip=most), 1)[0][0] for most in (1, 2, 3, 4, 5)}
    assert len(starts) > 1
    first = labels(opened(album, rand_skip=5, batch_size=5), 2)
    assert sorted(first[0]) == [0, 10, 20, 30, 40]
    assert first[0] == first[1]


def test_labels_may_be_left_out(album: Path) -> None:
    assert set(opened(album, tops=("data",)).shapes) == {"data"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("pictures/no 0.png", "line 1 of"),
        ("pictures/no 0.png 1\nlonely\n", "line 2 of"),
        ("pictures/no 0.png 1.5", "line 1 of"),
        ("gone.png 1", "gone.png does not exist in any of"),
        ("pictures/no 0.png 1\ngone.png 1", "gone.png: cannot be read: No such file"),
        ("pictures/no 0.png 1\nlist.txt 1", "list.txt: its picture does not decode"),
        ("pictures/no 0.png 1\npictures 1", "pictures: cannot be read: Is a directory"),
        ("pictures/no 0.png 1\nlarge.png 1", "large.png: comes out as 3x13x10, the first as 3x12x10"),
        ("pictures/no 0.png 1\na\0b.png 1", "cannot be read: embedded null byte"),
        ("\udcff\udcfe", "line 1 of"),
    ],
)
def test_a_list_that_does_not_do_is_refused(album: Path, text: str, says: str) -> None:
    save(album.parent / "large.png", 1, 13)
    album.write_bytes(text.encode(errors="surrogateescape"))
    message = refused(album).message
    assert says in message


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + bytes(50), b"BM" + bytes(60), b"P6 9 9 255 "])
def test_files_that_are_no_pictures_are_refused(album: Path, data: bytes) -> None:
    (album.parent / "pictures/no 1.png").write_bytes(data)
    assert "no 1.png: its picture does not decode" in refused(album).message


def test_settings_that_make_no_sense_are_refused(album: Path) -> None:
    assert "image_data_param has no source" in refused("").message
    assert "3 tops where ImageData makes 1 or 2" in refused(album, tops=("a", "b", "c")).message
    assert "no/list does not exist" in refused("no/list").message
    album.write_text("pictures/no 0.png 1")
    assert "rand_skip leaves out" in refused(album, rand_skip=1000).message


def test_folders_are_classes_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/10.JPG", "a/x.png", "c d/y.bmp", "b/notes.txt", ".hidden/z.png", "b/._2.png"):
        save(tmp_path / name, 1) if name.endswith(".png") else (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "bare").mkdir()
    entries, labelled = read_folder(tmp_path)
    assert labelled
    assert [(Path(path).relative_to(tmp_path).as_posix(), label) for path, label in entries] == [
        ("a/x.png", 0), ("b/10.JPG", 1), ("b/2.png", 1), ("c d/y.bmp", 3),
    ]  # fmt: skip


def test_a_flat_folder_has_no_labels(album: Path) -> None:
    entries, labelled = read_folder(album.parent / "pictures")
    assert not labelled
    assert [Path(path).name for path, _ in entries] == [f"no {number}.png" for number in range(5)]


def test_folders_of_other_things_are_refused(album: Path) -> None:
    save(album.parent / "both/a.png", 1)
    save(album.parent / "both/b/a.png", 1)
    (album.parent / "bare").mkdir()
    for name, says in (("both", "pictures and folders"), ("bare", "no pictures"), ("gone", "No such file")):
        with pytest.raises(DataError, match=says):
            read_folder(album.parent / name)


@pytest.mark.shared
def test_real_photographs_equal_what_the_fork_fed_squeezenet(shared: Path, tmp_path: Path) -> None:
    with np.load(shared / "golden" / "squeezenet_dfp.npz") as blobs:
        expected = blobs["input"]
    records = LmdbRecords(shared / "data/imagenet/imagenet_dev500_lmdb")
    for number in range(len(expected)):
        (tmp_path / f"{number}.jpg").write_bytes(read_datum(records.read(number)[1]).data)
    (tmp_path / "list.txt").write_text("".join(f"{number}.jpg 0\n" for number in range(len(expected))))
    transform = Transform(crop_size=227, mean_value=(104.0, 117.0, 123.0))
    (batch,) = opened(tmp_path / "list.txt", batch_size=len(expected), transform=transform).batches(1)
    assert batch["data"].tobytes() == expected.tobytes()
