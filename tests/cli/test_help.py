"""``--help``: a page for each command, whose examples the command line takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ristretto.cli.commands import COMMANDS
from ristretto.cli.help import EXIT_CODES, PAGES, WIDEST, Command, broken, examples, prose
from ristretto.cli.main import main
from tests.cli_examples import parse, parser_of

EVERY = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.NAME)
DEFAULT = re.compile(r"\([^()]+\)")
"""What stands in parentheses says what an option is when it is left out."""
ASKED_FOR = {"--json", "--plot", "--data", "--keep", "--gpu", "--distill"}
"""Options that do nothing when they are left out, besides those that name a file or a folder."""
FILES = {"PROTOTXT", "CAFFEMODEL", "SOLVERSTATE", "TOML", "FILE", "DIR", "PATH", "ADDRESS", "IN", "OUT"}


@EVERY
def test_examples_are_taken(command: Command) -> None:
    assert command.NAME in [parse(example) for example in examples(command)]


def test_an_example_with_an_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(AssertionError, match="refused"):
        parse("ristretto fold ... --model_uot x")


@EVERY
def test_every_option_says_what_it_does_and_what_it_is_by_default(command: Command) -> None:
    for action in parser_of(command)._actions:
        name = (action.option_strings or [str(action.metavar)])[0]
        assert action.help, name
        assert action.help[0].islower() or action.help[0] in "'-0123456789" or not action.help[:2].islower(), name
        assert not action.help.endswith("."), name
        if not action.option_strings or action.nargs == 0 or action.required or action.metavar in FILES:
            continue
        if name not in ASKED_FOR:
            assert DEFAULT.search(action.help), f"{command.NAME} {name} does not say what it is when it is left out"


@EVERY
def test_a_page_has_all_its_parts(command: Command, capsys: pytest.CaptureFixture[str], repo: Path) -> None:
    assert main_help(command, capsys) == main_help(command, capsys, "help", command.NAME)
    page = main_help(command, capsys)
    assert page.startswith(f"usage: ristretto {command.NAME}")
    heads = re.findall(r"(?m)^([a-z][a-z -]*):", page)
    assert [head for head in heads if head in ("usage", "options", "examples", "exit codes", "see also")] == [
        "usage",
        "options",
        "examples",
        "exit codes",
        "see also",
    ]
    unfolded = " ".join(page.split())
    assert " ".join(command.SUMMARY.split()) in unfolded
    assert command.SUMMARY.endswith(".")
    assert " ".join(prose(command).split()) in unfolded or not prose(command)
    for place in re.findall(r"docs/([\w.-]+)", page[page.index("see also:") :]):
        assert (repo / "docs" / place).is_file(), place


def main_help(command: Command, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*words] or [command.NAME, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@EVERY
@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_page_keeps_to_the_width(
    command: Command, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    fits = min(width, WIDEST + 2)
    # One long word has nowhere to break.
    lines = [line for line in main_help(command, capsys).splitlines() if len(line) > fits and len(line.split()) > 3]
    assert not lines


def test_the_first_page_lists_commands_exit_codes_and_environment(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["help"])
    page = capsys.readouterr().out
    for command in COMMANDS:
        assert re.search(rf"(?m)^    {command.NAME}\b", page)
    for code, meaning in EXIT_CODES.items():
        assert re.search(rf"(?m)^  {code} +{re.escape(meaning)}$", page)


def test_pages_belong_to_commands() -> None:
    assert {*PAGES} <= {command.NAME for command in COMMANDS}


def test_lines_are_broken_between_words() -> None:
    assert (
        broken(["a" * 30, "b" * 30, "c" * 50], "> ", "... ", " \\\n") == f"> {'a' * 30} {'b' * 30} \\\n... {'c' * 50}"
    )
