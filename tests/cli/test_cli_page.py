"""``docs/cli.md``: every command and every option, as the command line has them."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ristretto.cli.commands import COMMANDS, build_parser


def section(repo: Path, command: str) -> str:
    sections = re.split(r"(?m)^## ", (repo / "docs" / "cli.md").read_text("utf-8"))[1:]
    (found,) = (text for text in sections if text.splitlines()[0] == command)
    return found


def parser_of(command: str) -> argparse.ArgumentParser:
    (commands,) = (a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    parser = commands.choices[command]
    assert isinstance(parser, argparse.ArgumentParser)
    return parser


@pytest.mark.parametrize("command", [command.NAME for command in COMMANDS])
def test_every_option_is_in_it(repo: Path, command: str) -> None:
    text = section(repo, command)
    for action in parser_of(command)._actions:
        for word in action.option_strings or [str(action.metavar)]:
            assert word in {"-h", "--help"} or re.search(rf"(?m)^\| .*`{re.escape(word)}[ `]", text), word


def test_it_has_no_other_command(repo: Path) -> None:
    headings = re.findall(r"(?m)^## (.+)$", (repo / "docs" / "cli.md").read_text("utf-8"))
    assert headings == [command.NAME for command in COMMANDS]


def test_it_is_what_the_script_writes(repo: Path) -> None:
    done = subprocess.run([sys.executable, repo / "scripts" / "gen-docs", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
