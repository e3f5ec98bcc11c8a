"""Outputs: whole or not at all, never over an input, nothing left behind."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from ristretto.errors import DataError, OutputError
from ristretto.outputs import Outputs


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder: files with their content, folders with None."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def write(folder: Path, *names: str, inputs: tuple[Path, ...] = ()) -> None:
    with Outputs([folder / name for name in names], inputs) as outputs:
        for name in names:
            outputs.write(folder / name, name.encode())


def test_files_appear_when_the_work_is_done(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"before")
    with Outputs([str(tmp_path / "new"), tmp_path / "old"]) as outputs:
        outputs.write(str(tmp_path / "new"), b"one")
        outputs.write(tmp_path / "old", b"two")
        assert not (tmp_path / "new").exists()
        assert (tmp_path / "old").read_bytes() == b"before"
    assert tree(tmp_path) == {"new": b"one", "old": b"two"}


def test_what_is_written_last_counts(tmp_path: Path) -> None:
    with Outputs([tmp_path / "a"]) as outputs:
        outputs.write(tmp_path / "a", b"a long first version")
        outputs.write(tmp_path / "a", b"short")
    assert tree(tmp_path) == {"a": b"short"}


def test_a_file_that_was_never_written_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"before")
    with Outputs([tmp_path / "new", tmp_path / "old"]):
        pass
    assert tree(tmp_path) == {"old": b"before"}


@pytest.mark.parametrize("error", [DataError("broken"), KeyboardInterrupt(), RuntimeError()])
def test_a_failure_leaves_everything_as_it_was(tmp_path: Path, error: BaseException) -> None:
    (tmp_path / "old").write_bytes(b"before")
    with pytest.raises(type(error)), Outputs([tmp_path / "old", tmp_path / "deep/er/new"]) as outputs:
        outputs.write(tmp_path / "old", b"half")
        outputs.write(tmp_path / "deep/er/new", b"half")
        raise error
    assert tree(tmp_path) == {"old": b"before"}


def test_missing_folders_are_made_and_stay_with_their_files(tmp_path: Path) -> None:
    write(tmp_path, "deep/er/a", "deep/b")
    assert tree(tmp_path) == {"deep": None, "deep/b": b"deep/b", "deep/er": None, "deep/er/a": b"deep/er/a"}


def test_folders_that_others_have_used_meanwhile_stay(tmp_path: Path) -> None:
    with pytest.raises(DataError), Outputs([tmp_path / "deep/er/a"]):
        (tmp_path / "deep/other").write_bytes(b"x")
        raise DataError("broken")
    assert tree(tmp_path) == {"deep": None, "deep/other": b"x"}


def test_one_name_that_cannot_be_reserved_gives_up_the_others(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(OutputError, match=r"cannot write .*file/b: Not a directory"):
        write(tmp_path, "deep/a", "file/b")
    assert tree(tmp_path) == {"file": b"x"}


@pytest.mark.parametrize("name", ["in", "./in", "../{}/in", "link", "hard", "linked/in"])
def test_an_input_is_refused_by_whatever_name(tmp_path: Path, name: str) -> None:
    source = tmp_path / "in"
    source.write_bytes(b"precious")
    (tmp_path / "link").symlink_to(source)
    (tmp_path / "hard").hardlink_to(source)
    (tmp_path / "linked").symlink_to(tmp_path)
    before = tree(tmp_path)
    with pytest.raises(OutputError, match="is an input and would be overwritten"):
        write(tmp_path, name.format(tmp_path.name), inputs=(source,))
    assert tree(tmp_path) == before


def test_an_input_by_a_link_is_the_file_behind_it(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"precious")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    with pytest.raises(OutputError, match="is an input"):
        write(tmp_path, "in", inputs=(tmp_path / "link",))


def test_an_input_that_is_missing_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is an input"):
        write(tmp_path, "in", inputs=(tmp_path / "in",))


def test_an_input_folder_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "lmdb").mkdir()
    with pytest.raises(OutputError, match="is an input"):
        write(tmp_path, "lmdb/data.mdb", inputs=(tmp_path / "lmdb",))
    write(tmp_path, "lmdb.json", inputs=(tmp_path / "lmdb",))


@pytest.mark.parametrize("other", ["a", "./a", "link/a"])
def test_two_outputs_of_one_name_are_refused(tmp_path: Path, other: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OutputError, match="is named for two outputs"):
        Outputs([tmp_path / "a", os.path.join(tmp_path, other)])


def test_a_folder_is_no_output(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder"):
        Outputs([tmp_path])


def test_a_pipe_or_a_device_is_no_output(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="pipe is no plain file"):
        Outputs([tmp_path / "pipe"])
    with pytest.raises(OutputError, match="null is no plain file"):
        Outputs([os.devnull])


def test_links_that_lead_in_a_circle_are_named(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(OutputError, match=r"cannot write .*a"):
        write(tmp_path, "a")
    with pytest.raises(OutputError, match=r"cannot write .*a/x"):
        write(tmp_path, "a/x")


def test_a_link_stays_and_the_file_behind_it_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/real")
    write(tmp_path, "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder/real").read_bytes() == b"link"


def test_a_file_that_may_not_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write anything, so the question is answered for it."""
    (tmp_path / "locked").write_bytes(b"before")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match=r"cannot write .*locked: Permission denied"):
        write(tmp_path, "locked")
    assert tree(tmp_path) == {"locked": b"before"}


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*args: object, **kwargs: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(OutputError, match=r"cannot write .*new: Permission denied") as caught:
        write(tmp_path, "deep/new")
    assert caught.value.hint
    assert tree(tmp_path) == {}


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "a").write_bytes(b"before")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"cannot write .*a: No space left on device") as caught:
        write(tmp_path, "a")
    assert caught.value.hint == "is the disk full?"
    assert tree(tmp_path) == {"a": b"before"}


def test_a_name_that_was_taken_meanwhile_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*b: "), Outputs([tmp_path / "b"]) as outputs:
        outputs.write(tmp_path / "b", b"b")
        (tmp_path / "b").mkdir()
    assert tree(tmp_path) == {"b": None}


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_permissions_of_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write(tmp_path, "a")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~umask


def test_a_replaced_file_hands_on_its_permissions(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"before")
    (tmp_path / "a").chmod(0o600)
    write(tmp_path, "a")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert (tmp_path / "a").read_bytes() == b"a"


def test_the_umask_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It belongs to all threads: to look at it one must change it."""
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask was changed"))
    write(tmp_path, "a")


def test_the_longest_name_that_a_folder_takes(tmp_path: Path) -> None:
    write(tmp_path, "n" * 255)
    assert list(tree(tmp_path)) == ["n" * 255]
    write(tmp_path, "ü" * 127)
    with pytest.raises(OutputError, match="File name too long"):
        write(tmp_path, "n" * 256)


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """Never half of it: the name changes hands at once."""
    path, sizes, done = tmp_path / "a", set(), threading.Event()
    path.write_bytes(b"x" * 100_000)

    def read() -> None:
        while not done.is_set():
            sizes.add(len(path.read_bytes()))

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(20):
        with Outputs([path]) as outputs:
            outputs.write(path, b"y" * (100_000 if i % 2 else 300_000))
    done.set()
    reader.join()
    assert sizes <= {100_000, 300_000}
    assert sizes


def test_files_may_be_added_when_their_number_is_known(tmp_path: Path) -> None:
    with Outputs([tmp_path / "a"], inputs=[tmp_path / "source"]) as outputs:
        (tmp_path / "source").write_bytes(b"kept")
        outputs.write(tmp_path / "a", b"one")
        outputs.add(tmp_path / "deep/b")
        outputs.write(tmp_path / "deep/b", b"two")
        for path in ("a", "deep/b", "source"):
            with pytest.raises(OutputError):
                outputs.add(tmp_path / path)
        assert not (tmp_path / "deep/b").exists()
    assert tree(tmp_path) == {"a": b"one", "deep": None, "deep/b": b"two", "source": b"kept"}


def test_a_failure_takes_added_files_away(tmp_path: Path) -> None:
    with pytest.raises(DataError), Outputs([tmp_path / "a"]) as outputs:
        outputs.add(tmp_path / "deep/b")
        outputs.write(tmp_path / "deep/b", b"two")
        raise DataError("broken")
    assert tree(tmp_path) == {}
