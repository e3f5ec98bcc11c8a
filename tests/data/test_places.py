from __future__ import annotations

from pathlib import Path

import pytest

from ristretto.data.places import find
from ristretto.errors import DataError


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("here", "nets/lenet", "data"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def test_current_folder_comes_first(house: Path) -> None:
    (house / "nets/lenet/mean").write_text("other")
    (house / "here/mean").write_text("this")
    assert find("mean", [house / "nets/lenet"]).read_text() == "this"


def test_then_the_search_path_from_near_to_far(house: Path) -> None:
    (house / "nets/mean").write_text("far")
    assert find("mean", [house / "nets/lenet"]).read_text() == "far"
    (house / "nets/lenet/mean").write_text("near")
    assert find("mean", [house / "nets/lenet"]).read_text() == "near"
    (house / "data/mean").write_text("first")
    assert find("mean", [house / "data", house / "nets/lenet"]).read_text() == "first"


def test_the_search_path_may_be_relative(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (house / "data/db").mkdir()
    monkeypatch.chdir(house / "nets")
    assert find("data/db", [Path("lenet")]).samefile(house / "data/db")
    assert find("../nets/../data/db", [Path("lenet")]).samefile(house / "data/db")


def test_absolute_paths_are_taken_as_they_are(house: Path) -> None:
    (house / "here/mean").write_text("this")
    assert find(str(house / "data"), []) == house / "data"
    with pytest.raises(DataError, match="does not exist") as caught:
        find(str(house / "mean"), [house / "here"])
    assert caught.value.hint


def test_what_was_tried_is_listed_once_in_one_line(house: Path) -> None:
    with pytest.raises(DataError) as caught:
        find("no/where", [house / "nets/lenet", house / "nets", house / "here"])
    message = caught.value.message
    assert message.startswith("no/where does not exist in any of ")
    assert "\n" not in message
    assert caught.value.hint
    tried = message.removeprefix("no/where does not exist in any of ").split(", ")
    near = [str(house / name) for name in ("here", "nets/lenet", "nets")]
    assert tried[:4] == [*near, str(house)]
    assert tried[-1] == "/"
    assert len(tried) == len(set(tried))
