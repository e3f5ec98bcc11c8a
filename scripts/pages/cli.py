"""docs/cli.md: every command and option, from the program's own descriptions."""

import argparse

from ristretto.cli.commands import COMMANDS
from ristretto.cli.help import ENVIRONMENT, EXIT_CODES

PATH = "docs/cli.md"
SOURCE = "what the command line says of itself"
HEAD = """# The command line

`scripts/gen-docs` writes this page from the program's own descriptions; `ristretto COMMAND --help` shows the same.
A flag may have one dash or two, `-` or `_` within, and its value behind a space or `=`, as in the original tool.

| exit code | meaning |
|---|---|
"""


def page() -> str:
    """Give the whole page."""
    lines = [HEAD + "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()), ""]
    lines += ["| environment variable | what it says |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in ENVIRONMENT.items()]
    lines += [""]
    for command in COMMANDS:
        parser = argparse.ArgumentParser(add_help=False)
        command.add_arguments(parser)
        lines += [f"## {command.NAME}", "", command.SUMMARY, ""]
        for group in parser._action_groups:
            if group._group_actions:
                lines += [f"**{group.title}**", "", *([group.description, ""] if group.description else [])]
                lines += options(group)
        lines += ["```text", command.EXAMPLES.strip(), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def options(group: argparse._ArgumentGroup) -> list[str]:
    """Give a table of a group's options; our own rather than argparse's text, whose shape changes with Python."""
    lines = ["| option | meaning |", "|---|---|"]
    for action in group._group_actions:
        value = action.metavar or (f"{{{','.join(action.choices)}}}" if action.choices else action.dest)
        if action.nargs == 0:
            value = ""
        value = value.replace("|", "\\|")
        words = [f"`{' '.join(filter(None, (flag, value)))}`" for flag in action.option_strings or [""]]
        meaning = (action.help or "") % vars(action)
        required = "; required" if action.required and action.option_strings else ""
        lines.append(f"| {', '.join(words)} | {meaning}{required} |")
    return [*lines, ""]
