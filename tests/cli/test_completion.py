"""``ristretto completion``: scripts that shells really complete with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ristretto.cli.commands import COMMANDS, build_parser
from ristretto.cli.completion import ANY_FILES, FOLDERS, SHELLS, SUFFIXES, script
from ristretto.cli.main import main
from tests.cli_examples import parser_of

VALUES = {"N", "BITS", "BLOB", "POINTS", "SHARE", "PIXELS"}


@pytest.fixture(scope="module")
def bash(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script for bash."""
    path = tmp_path_factory.mktemp("completion") / "ristretto.bash"
    path.write_text(script(build_parser(), "bash"))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files of all kinds."""
    for name in ("net.prototxt", "net.caffemodel", "old.caffemodel.h5", "s_iter_5.solverstate", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "nested").mkdir()
    return tmp_path


def complete(bash: Path, folder: Path, *words: str) -> set[str]:
    """Give what bash would offer for the last of the words."""
    quoted = " ".join(f"'{word}'" for word in words)
    code = (
        f"source {bash}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
        f"$(complete -p ristretto | sed 's/.*-F \\([^ ]*\\).*/\\1/') ristretto '{words[-1]}' '{words[-2]}'; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert not done.stderr
    return set(done.stdout.split())


def test_commands_are_completed(bash: Path, folder: Path) -> None:
    assert complete(bash, folder, "ristretto", "") >= {command.NAME for command in COMMANDS}
    assert complete(bash, folder, "ristretto", "qu") == {"quantize"}


def test_options_are_completed(bash: Path, folder: Path) -> None:
    assert complete(bash, folder, "ristretto", "quantize", "--trim") == {"--trimming_mode"}
    assert complete(bash, folder, "ristretto", "test", "--") >= {"--model", "--weights", "--executor", "--json"}


def test_names_to_choose_from_are_completed(bash: Path, folder: Path) -> None:
    assert complete(bash, folder, "ristretto", "quantize", "--preset", "") == {"accurate", "original"}
    assert complete(bash, folder, "ristretto", "completion", "") >= set(SHELLS)


@pytest.mark.parametrize(
    ("option", "offered"),
    [
        (("test", "--model"), {"net.prototxt", "nested"}),
        (("test", "--weights"), {"net.caffemodel", "old.caffemodel.h5", "nested"}),
        (("train", "--snapshot"), {"s_iter_5.solverstate", "nested"}),
        (("quantize", "--pareto"), {"nested"}),
        (
            ("train", "--log"),
            {"net.prototxt", "net.caffemodel", "old.caffemodel.h5", "s_iter_5.solverstate", "notes.txt", "nested"},
        ),
    ],
    ids=["prototxt", "caffemodel", "solverstate", "folder", "file"],
)
def test_files_are_completed_by_their_kind(
    bash: Path, folder: Path, option: tuple[str, ...], offered: set[str]
) -> None:
    assert {name.rstrip("/") for name in complete(bash, folder, "ristretto", *option, "")} == offered


def test_files_with_a_beginning_are_completed(bash: Path, folder: Path) -> None:
    assert complete(bash, folder, "ristretto", "test", "--model", "net.p") == {"net.prototxt"}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_printed_that_the_shell_reads(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    assert "quantize" in text
    if found := shutil.which(shell):
        subprocess.run([found, "-n"], input=text, text=True, check=True)


def test_every_file_that_an_option_names_is_of_a_known_kind() -> None:
    known = {*SUFFIXES, *FOLDERS, *ANY_FILES}
    for command in COMMANDS:
        for action in parser_of(command)._actions:
            about_files = any(word in f" {action.help} " for word in (" write ", " folder ", " goes", " file "))
            if action.nargs != 0 and action.choices is None and about_files and action.metavar not in VALUES:
                assert action.metavar in known, f"{command.NAME} {action.option_strings}: {action.metavar}"


def test_an_unknown_shell_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", "cmd.exe"])
    assert ended.value.code == 2
    assert "invalid choice: 'cmd.exe'" in capsys.readouterr().err
