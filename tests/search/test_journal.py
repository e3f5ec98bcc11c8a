"""The journal: what was kept comes back bit for bit, and nothing that is damaged, torn or of another program does."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ristretto.identity import hash_files
from ristretto.search import Journal, default_folder, journal

OLD = 10_000_000_000
"""Nanoseconds; a file that was changed so long ago is not being written."""


@pytest.fixture
def kept(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "kept")


def files(kept: Journal) -> list[Path]:
    return sorted(path for path in kept.folder.rglob("*") if path.is_file())


def same(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    return {name: (x.dtype, x.shape, x.tobytes()) for name, x in one.items()} == {
        name: (x.dtype, x.shape, x.tobytes()) for name, x in other.items()
    }


arrays = st.dictionaries(
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=5),
    st.sampled_from(("?", "u1", "<i8", "<f4", "<f8")).flatmap(
        lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9))
    ),
    max_size=4,
)


@given(arrays)
def test_arrays_come_back_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, found: dict[str, np.ndarray]) -> None:
    kept = Journal(tmp_path_factory.mktemp("journal"))
    assert kept.read("key") is None
    assert kept.write("key", found)
    for again in (kept, Journal(kept.folder.parent)):
        read = again.read("key")
        assert read is not None
        assert same(read, found)


def test_right_and_wrong_take_a_bit_each(kept: Journal) -> None:
    right = np.random.default_rng(0).random(80_000) < 0.5
    kept.write("key", {"seen": right})
    (file,) = files(kept)
    assert file.stat().st_size < 80_000 / 8 + 1500


def test_results_are_made_once(kept: Journal) -> None:
    made: list[int] = []

    def make() -> dict[str, np.ndarray]:
        made.append(1)
        return {"x": np.arange(3)}

    for _ in range(3):
        assert kept.fetch("one", make)["x"].tolist() == [0, 1, 2]
    kept.fetch("other", make)
    assert len(made) == 2
    assert len(files(kept)) == 2


def test_the_latest_takes_the_place(kept: Journal) -> None:
    for number in range(3):
        kept.write("key", {"x": np.array(number)})
    read = kept.read("key")
    assert read is not None
    assert read["x"] == 2
    assert len(files(kept)) == 1


@pytest.mark.parametrize("damage", ["cut", "emptied", "flipped", "longer", "another head", "nonsense"])
def test_what_is_damaged_is_not_there_and_said_once(tmp_path: Path, damage: str) -> None:
    said: list[str] = []
    kept = Journal(tmp_path, said.append)
    for key in ("one", "two"):
        kept.write(key, {"x": np.arange(100.0)})
        (file,) = (path for path in files(kept) if path.stat().st_mtime_ns != 0)
        content = bytearray(file.read_bytes())
        if damage == "flipped":
            content[-50] ^= 4
        damaged = {
            "cut": content[:-10],
            "emptied": b"",
            "flipped": content,
            "longer": content + b"0",
            "another head": b"another" + content,
            "nonsense": b"nonsense",
        }
        file.write_bytes(bytes(damaged[damage]))
        os.utime(file, ns=(0, 0))
        assert kept.read(key) is None
    assert len(said) == 1
    assert str(kept.folder) in said[0]
    assert kept.fetch("one", lambda: {"x": np.array(7)})["x"] == 7
    assert Journal(tmp_path).fetch("one", dict)["x"] == 7, "it was mended"


def test_a_folder_that_cannot_be_written_to_is_said_once_and_nothing_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    said: list[str] = []
    kept = Journal(tmp_path / "file", said.append)
    for number in range(3):
        assert kept.fetch(f"{number}", lambda number=number: {"x": np.array(number)})["x"] == number
        assert not kept.write("key", {"x": np.array(0)})
    assert len(said) == 1
    assert "cannot be kept" in said[0]
    assert journal.VARIABLE in said[0]


def test_a_write_that_fails_leaves_nothing_behind(kept: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.write("key", {"x": np.array(1)})

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert not kept.write("key", {"x": np.array(2)})
    monkeypatch.undo()
    assert len(files(kept)) == 1
    assert kept.fetch("key", dict)["x"] == 1


def test_threads_and_journals_side_by_side_see_whole_results_only(tmp_path: Path) -> None:
    wrong: list[Any] = []

    def work(number: int) -> None:
        kept = Journal(tmp_path, wrong.append)
        for turn in range(60):
            kept.write("key", {"x": np.full(1000, number)})
            read = kept.read("key")
            if read is None or len(set(read["x"].tolist())) != 1:
                wrong.append((number, turn))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(files(Journal(tmp_path))) == 1


def test_a_process_that_is_killed_while_it_writes_leaves_whole_results(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
import numpy as np
from ristretto.search import Journal
kept = Journal(Path(sys.argv[1]))
for number in range(10**9):
    kept.write(str(number % 50), {"x": np.full(20_000, number)})
    if number == 100:
        print("going", flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.3)
    process.kill()
    process.wait()
    process.stdout.close()
    said: list[str] = []
    kept = Journal(tmp_path, said.append)
    for key in range(50):
        read = kept.read(str(key))
        assert read is not None
        assert len(set(read["x"].tolist())) == 1
    assert said == []


def test_results_of_another_program_are_not_there(kept: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.write("key", {"x": np.array(1)})
    monkeypatch.setattr(journal, "_program", lambda: "another")
    assert kept.read("key") is None


def test_the_program_is_its_sources_its_libraries_and_the_processors_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {journal._program.__wrapped__()}
    monkeypatch.setattr(journal, "hash_files", lambda paths: digest_without(paths))
    found.add(journal._program.__wrapped__())
    monkeypatch.undo()
    monkeypatch.setattr(journal, "version", lambda library: "99" if library == "numpy" else "1")
    found.add(journal._program.__wrapped__())
    monkeypatch.undo()
    monkeypatch.setattr(journal.platform, "machine", lambda: "abacus")
    found.add(journal._program.__wrapped__())
    monkeypatch.undo()
    assert len(found) == 4
    assert journal._program.__wrapped__() in found


def digest_without(paths: list[Path]) -> str:
    """Give the digest of the sources as if one of them was not there."""
    assert any(path.name == "journal.py" for path in paths)
    assert any(path.parent.name == "kernels" for path in paths)
    return hash_files([path for path in paths if path.name != "journal.py"])


class Counting:
    """Notes which files are hashed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hashed: list[list[str]] = []
        monkeypatch.setattr(journal, "hash_files", self)

    def __call__(self, paths: list[Path], *part: Any) -> str:
        self.hashed.append([path.name for path in paths])
        return hash_files(paths, *part)


def age(path: Path, nanoseconds: int = OLD) -> None:
    then = time.time_ns() - nanoseconds
    os.utime(path, ns=(then, then))


def test_a_file_is_hashed_once_while_it_does_not_change(
    kept: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal._program()
    counting = Counting(monkeypatch)
    # The time at which a file's entry in its folder changed cannot be set.
    monkeypatch.setattr(journal, "SETTLED", -OLD)
    data = tmp_path / "data"
    data.write_bytes(b"12")
    age(data)
    first = kept.hash_files([data])
    assert first == hash_files([data])
    assert Journal(tmp_path / "kept").hash_files([data]) == first
    assert len(counting.hashed) == 1
    data.write_bytes(b"123")
    age(data)
    assert kept.hash_files([data]) == hash_files([data]) != first
    data.write_bytes(b"321")
    age(data, 2 * OLD)
    assert kept.hash_files([data]) == hash_files([data])
    assert len(counting.hashed) == 3


def test_a_file_of_the_same_size_and_time_that_was_written_since_is_another(
    kept: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "SETTLED", -OLD)
    data = tmp_path / "data"
    data.write_bytes(b"12")
    age(data)
    stamp = data.stat().st_mtime_ns
    first = kept.hash_files([data])
    time.sleep(0.02)
    data.write_bytes(b"21")
    os.utime(data, ns=(stamp, stamp))
    assert kept.hash_files([data]) == hash_files([data]) != first


def test_a_file_that_was_changed_just_now_is_not_trusted(
    kept: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal._program()
    counting = Counting(monkeypatch)
    data = tmp_path / "data"
    data.write_bytes(b"12")
    for _ in range(2):
        kept.hash_files([data])
    assert len(counting.hashed) == 2
    assert files(kept) == []


def test_parts_of_a_file_are_remembered_apart(kept: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SETTLED", -OLD)
    data = tmp_path / "data"
    data.write_bytes(b"12")
    found = [kept.hash_files([data], part, lambda part=part: part * 64) for part in ("a", "b", "a")]
    assert found == ["a" * 64, "b" * 64, "a" * 64]
    assert kept.hash_files([data], "a", lambda: "c" * 64) == "a" * 64
    with pytest.raises(FileNotFoundError):
        kept.hash_files([tmp_path / "none"])


def test_of_large_results_the_latest_stay(kept: Journal) -> None:
    kept.room = 5 * journal.LARGE
    large = {"x": np.zeros(journal.LARGE // 8 + 100)}
    kept.write("small", {"x": np.array(1)})
    os.utime(files(kept)[0], ns=(0, 0))
    for number in range(4):
        kept.write(f"{number}", large)
        (latest,) = (path for path in files(kept) if path.stat().st_mtime_ns > 10**12)
        os.utime(latest, ns=(number + 1, number + 1))
    # The first was of use again; of the others the second is the oldest.
    assert kept.read("0") is not None
    kept.write("4", large)
    assert [kept.read(key) is not None for key in ("0", "1", "2", "3", "4")] == [True, False, True, True, True]
    assert kept.read("small") is not None


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"RISTRETTO_CACHE_DIR": "/a", "NUMBA_CACHE_DIR": "/b"}, Path("/a")),
        ({"RISTRETTO_CACHE_DIR": "", "NUMBA_CACHE_DIR": "/b"}, None),
        ({"NUMBA_CACHE_DIR": "/b", "XDG_CACHE_HOME": "/c"}, Path("/b/ristretto")),
        ({"XDG_CACHE_HOME": "/c"}, Path("/c/ristretto")),
        ({"XDG_CACHE_HOME": "", "HOME": "/d"}, Path("/d/.cache/ristretto")),
        ({"HOME": "/d"}, Path("/d/.cache/ristretto")),
    ],
)
def test_the_environment_says_where_results_are_kept(
    environment: dict[str, str], folder: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RISTRETTO_CACHE_DIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert default_folder() == folder


def test_without_a_home_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RISTRETTO_CACHE_DIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert default_folder() is None
