"""What an earlier export has left in a folder: named, replaced or removed, and nothing else touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ristretto.errors import OutputError
from ristretto.export.folder import EarlierExport
from ristretto.export.manifest import crc32
from ristretto.outputs import Outputs, is_temporary


def lay_out(folder: Path, files: dict[str, bytes], **told: object) -> None:
    """Write files, and a manifest that lists them."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    listed = [{"path": name, "crc32": crc32(content)} for name, content in files.items()]
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"schema": "ristretto-manifest", "files": listed, **told}))


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_files_that_the_new_export_lacks_are_removed(tmp_path: Path) -> None:
    lay_out(tmp_path, {"a.mem": b"a", "golden/b.mem": b"b", "golden/deep/c.mem": b"c", "kept.mem": b"d"})
    (tmp_path / "notes.txt").write_text("the user's own")
    EarlierExport.found(tmp_path).remove_others({"kept.mem", "new.mem", "manifest.json"})
    assert names(tmp_path) == {"kept.mem", "manifest.json", "notes.txt"}
    assert not (tmp_path / "golden").exists()


def test_files_that_were_changed_since_stay(tmp_path: Path) -> None:
    lay_out(tmp_path, {"a.mem": b"a", "golden/b.mem": b"b", "c.mem": b"c"})
    (tmp_path / "a.mem").write_bytes(b"changed by hand")
    (tmp_path / "golden" / "own.txt").write_text("own")
    EarlierExport.found(tmp_path).remove_others(set())
    assert names(tmp_path) == {"a.mem", "golden/own.txt", "manifest.json"}


@pytest.mark.parametrize("out", ["new", "new/deeper"])
def test_a_folder_that_is_not_there_or_empty_will_do(tmp_path: Path, out: str) -> None:
    EarlierExport.found(tmp_path / out).remove_others(set())
    (tmp_path / out).mkdir(parents=True)
    EarlierExport.found(tmp_path / out).remove_others(set())


@pytest.mark.parametrize(
    ("left", "taken"),
    [(".manifest.json.070e6167.part", True), (".manifest.json.part", False), ("manifest.json.070e6167.part", False)],
)
def test_a_folder_with_what_a_killed_run_left_will_do(tmp_path: Path, left: str, taken: bool) -> None:
    (tmp_path / left).touch()
    if taken:
        assert EarlierExport.found(tmp_path).files == {}
        (tmp_path / "notes.txt").touch()
    with pytest.raises(OutputError, match="is not empty, and holds no earlier export"):
        EarlierExport.found(tmp_path)
    assert (tmp_path / left).exists()


def test_a_file_on_its_way_is_called_as_one(tmp_path: Path) -> None:
    for name in ("manifest.json", "n" * 200, "a b\nc"):
        with Outputs([tmp_path / name]):
            (path,) = tmp_path.iterdir()
            assert is_temporary(path)
            assert not is_temporary(tmp_path / name)


def test_a_manifest_reaches_no_file_outside_of_its_folder(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_bytes(b"x")
    folder = tmp_path / "words"
    lay_out(folder, {"in.mem": b"x"})
    (folder / "link.mem").symlink_to(outside)
    (folder / "up").symlink_to(tmp_path, target_is_directory=True)
    listed = [
        "../outside.txt",
        "up/outside.txt",
        str(outside),
        "link.mem",
        "a/../../outside.txt",
        "",
        ".",
        "nul\0",
        "in.mem/x",
    ]
    told = {"schema": "ristretto-manifest", "files": [{"path": name, "crc32": crc32(b"x")} for name in listed]}
    told["files"] += [7, {"path": 3, "crc32": "0"}, {"path": "in.mem"}]
    (folder / "manifest.json").write_text(json.dumps(told))
    EarlierExport.found(folder).remove_others(set())
    assert outside.read_bytes() == b"x"
    assert names(folder) == {"in.mem", "link.mem", "manifest.json"}


def test_a_folder_behind_a_link_is_cleaned_too(tmp_path: Path) -> None:
    lay_out(tmp_path / "real", {"a.mem": b"a"})
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    EarlierExport.found(tmp_path / "link").remove_others(set())
    assert names(tmp_path / "real") == {"manifest.json"}


def test_what_cannot_be_removed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(tmp_path, {"a.mem": b"a"})

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OutputError, match=r"cannot remove .*a\.mem.*: Permission denied"):
        EarlierExport.found(tmp_path).remove_others(set())


@pytest.mark.parametrize("content", ["{}", "[]", "null", '{"schema": "another"}', "{", '{"schema": 1}', "\xff"])
def test_another_manifest_is_no_earlier_export(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(OutputError) as caught:
        EarlierExport.found(tmp_path)
    assert caught.value.hint == "name a new folder"


def test_a_manifest_may_list_nothing_that_makes_sense(tmp_path: Path) -> None:
    for listed in ("null", "3", '"a.mem"', '{"a": 1}', "[[1]]"):
        (tmp_path / "manifest.json").write_text(f'{{"schema": "ristretto-manifest", "files": {listed}}}')
        EarlierExport.found(tmp_path).remove_others(set())


def test_a_folder_with_other_things_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(OutputError, match="is not empty, and holds no earlier export"):
        EarlierExport.found(tmp_path)
    with pytest.raises(OutputError, match=r"thesis\.tex is a file"):
        EarlierExport.found(tmp_path / "thesis.tex")
