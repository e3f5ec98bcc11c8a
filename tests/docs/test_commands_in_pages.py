"""Commands and options that pages show: the command line takes them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ristretto.cli.arguments import normalise
from ristretto.cli.commands import COMMANDS, build_parser
from tests.cli_examples import parse, parser_of

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "models").rglob("*.md")])
FENCE = re.compile(r"(?ms)^```(?P<kind>\w*)\n(?P<text>.*?)^```")
INLINE = re.compile(r"`(--[a-zA-Z][\w-]*)[^`]*`")
OF_OTHERS = {
    "--check": "scripts/gen-docs",
    "--dashboard_address": "Dask",
    "--memory_limit": "Dask",
    "--nanny_port": "Dask",
    "--nthreads": "Dask",
    "--worker_port": "Dask",
    "--fast": "scripts/test",
    "--net": "scripts/bench",
    "--rounds": "scripts/bench",
    "--detection": "other forks of Caffe",
    "--net_type": "other forks of Caffe",
    "--score_number": "other forks of Caffe",
    "--help": "every command",
    "--version": "the program",
}
"""Options that are not the commands', and whose they are."""
ORIGINAL = ["model", "weights", "trimming_mode", "model_quantized", "gpu", "iterations", "error_margin"]
"""The flags of the original's ``quantize`` (tools/ristretto.cpp)."""


def commands(page: Path) -> list[str]:
    """Give every command line of ours in a page's blocks of shell."""
    found = []
    for fence in FENCE.finditer(page.read_text("utf-8")):
        if fence["kind"] in ("", "sh", "bash"):
            lines = fence["text"].replace("\\\n", " ").splitlines()
            found += [line for line in lines if re.match(r"(\w+=\S* )*ristretto [a-z]", line)]
    return found


@pytest.fixture(scope="module")
def known_options() -> set[str]:
    """The options of all commands."""
    return {word for command in COMMANDS for action in parser_of(command)._actions for word in action.option_strings}


def test_pages_have_commands() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 30


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.name)
def test_commands_are_taken(page: Path) -> None:
    for line in commands(page):
        assert parse(line) in {command.NAME for command in COMMANDS}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_exist(page: Path, known_options: set[str]) -> None:
    known = known_options | set(OF_OTHERS)
    named = {match.replace("-", "_").replace("__", "--", 1) for match in INLINE.findall(page.read_text("utf-8"))}
    assert not named - known, f"{page.name} names options that no command has"


def test_the_flags_of_the_original_are_taken_and_gone_through(repo: Path) -> None:
    page = (repo / "docs" / "migration.md").read_text("utf-8")
    values = {"trimming_mode": "minifloat", "gpu": "0", "iterations": "1000", "error_margin": "1"}
    for dash in ("-", "--"):
        words = [f"{dash}{flag}={values.get(flag, 'x')}" for flag in ORIGINAL]
        assert build_parser().parse_args(normalise(["quantize", *words])).trimming_mode == "minifloat"
    for flag in ORIGINAL:
        assert re.search(rf"(?m)^\| `--{flag}`", page), flag


def test_the_switches_for_defects_exist(repo: Path) -> None:
    page = (repo / "docs" / "migration.md").read_text("utf-8")
    rows = [line.split(" | ") for line in page[page.index("## Defect by defect") :].splitlines() if line[:2] == "| "]
    assert len(rows) > 12
    for *_, switches in rows[1:]:
        shown = re.findall(r"`(--[^`]+)`", switches)
        assert shown or switches.startswith("no switch"), switches
        for switch in shown:
            build_parser().parse_args(
                [*shlex.split("quantize --model a --weights b --model_quantized c"), *switch.split()]
            )
