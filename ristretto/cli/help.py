"""What ``--help`` looks like: a page for each command, as a manual has it."""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

WIDEST = 100
"""Columns: longer lines are hard to read, however wide the terminal is."""
FILES, CHOOSING, RUNNING = "files", "choosing", "running"
"""Titles of groups that several commands have."""
EXIT_CODES = {
    0: "done",
    1: "error: one line says what and where, one what to do",
    2: "wrong usage",
    3: "written, but the margin is missed",
    4: "compared, and not the same",
    130: "interrupted by Ctrl-C",
}
ENVIRONMENT = {
    "RISTRETTO_CACHE_DIR": "where finished trials are kept (~/.cache/ristretto); empty: nowhere",
    "RISTRETTO_TIER": "the vector instructions to compile kernels for, of those that `ristretto info` lists",
    "NUMBA_CACHE_DIR": "where compiled kernels are kept (beside the package, else in the user's cache folder)",
}
WORDS = re.compile(r"[->]\S* [^->\s]\S*|\S+")
"""Of a command line: what stays on one line, an option with its value."""
PAGES = {
    "quantize": ("quickstart.md", "number-formats.md", "widths.md", "refining.md", "cluster.md"),
    "finetune": ("finetuning.md",),
    "train": ("finetuning.md",),
    "sweep": ("results.md", "number-formats.md"),
    "test": ("number-formats.md", "results.md"),
    "build": ("ci-jobs.md",),
    "check": ("ci-jobs.md",),
    "diff": ("ci-jobs.md",),
    "export": ("hardware.md", "onnx.md"),
    "hardware": ("hardware.md",),
    "report": ("report.md",),
    "completion": ("completion.md",),
    "fold": ("quickstart.md",),
    "info": ("architecture.md",),
}
"""The pages of docs/ that tell more of a command; docs/cli.md tells of all."""


class Command(Protocol):
    """A module of this package that is a command.

    `EXAMPLES` begins with lines of examples; paragraphs that say more of the command follow.
    """

    NAME: str
    SUMMARY: str
    EXAMPLES: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Run the command; give its exit code."""


class Formatter(argparse.HelpFormatter):
    """Fills paragraphs, and leaves lines that are indented as they are."""

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, max_help_position=26, width=columns())

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = []
        for paragraph in text.split("\n\n"):
            if any(line.startswith(" ") for line in paragraph.splitlines()):
                paragraphs.append(paragraph)
            else:
                paragraphs.append(textwrap.fill(" ".join(paragraph.split()), width))
        return "\n\n".join(textwrap.indent(paragraph, indent) for paragraph in paragraphs)


def columns() -> int:
    """Give how wide a page may be here."""
    return max(40, min(shutil.get_terminal_size().columns - 2, WIDEST))


def section(parser: argparse.ArgumentParser, title: str) -> argparse._ArgumentGroup:
    """Give the group of options with a title; it is made when it is first asked for."""
    for group in parser._action_groups:
        if group.title == title:
            return group
    return parser.add_argument_group(title)


def broken(words: Sequence[str], first: str, later: str, end: str) -> str:
    """Give words on as few lines as the page is wide enough for, which begin and end as is said."""
    lines = [first]
    for word in words:
        if lines[-1].strip() and len(f"{lines[-1]}{word}{end}") > columns():
            lines.append(later)
        lines[-1] += f"{word} "
    return end.join(line.rstrip() for line in lines)


def listed(title: str, rows: Mapping[str, str]) -> str:
    """Give a heading, and names with what they mean."""
    width = max(map(len, rows))
    lines = [
        textwrap.fill(
            f"{name:<{width}}  {meaning}", columns(), initial_indent="  ", subsequent_indent=" " * (width + 4)
        )
        for name, meaning in rows.items()
    ]
    return "\n".join([f"{title}:", *lines])


def prose(command: Command) -> str:
    """Give what a command says of itself: the paragraphs behind its examples."""
    return "\n\n".join(command.EXAMPLES.strip().split("\n\n")[1:])


def examples(command: Command) -> list[str]:
    """Give a command's examples, each one line of a shell and the comment on it, if it has one."""
    lines = command.EXAMPLES.strip().split("\n\n")[0].replace("\\\n", "").splitlines()
    return [re.sub(r"(?<=\S) {2,}(?!#)", " ", line.strip()) for line in lines if line.startswith(" ")]


def describe(parser: argparse.ArgumentParser, command: Command) -> None:
    """Give a command's parser its page: usage, description, and what stands behind the options."""
    required = [action for action in parser._actions if action.required and action.option_strings]
    places = [action for action in parser._actions if not action.option_strings]
    words = [f"{action.option_strings[0]} {action.metavar or _choices(action)}" for action in required]
    words += ["[options]", *(str(action.metavar) for action in places)]
    parser.usage = broken([parser.prog, *words], " " * len("usage: "), "    ", "\n").lstrip()
    parser.description = "\n\n".join(filter(None, [command.SUMMARY, prose(command)]))
    parser.epilog = "\n\n".join(filter(None, [_examples(command), _codes(command), _see_also(command)]))


def _choices(action: argparse.Action) -> str:
    return action.dest.upper() if action.choices is None else f"{{{','.join(map(str, action.choices))}}}"


def _examples(command: Command) -> str:
    lines = []
    for example in examples(command):
        line, _, comment = example.partition("  # ")
        lines += [f"  # {comment.strip()}"] if comment else []
        lines.append(broken(WORDS.findall(line.strip()), "  ", "      ", " \\\n"))
    return "\n".join(["examples:", *lines])


def _codes(command: Command) -> str:
    own = [code for name, code in vars(command).items() if name.isupper() and type(code) is int and code in EXIT_CODES]
    codes = sorted({0, 1, 2, 130, *own})
    return listed("exit codes", {str(code): EXIT_CODES[code] for code in codes})


def _see_also(command: Command) -> str:
    pages = ", ".join(f"docs/{page}" for page in (*PAGES.get(command.NAME, ()), f"cli.md#{command.NAME}"))
    return f"see also: {pages}"
