"""``ristretto completion``."""

from __future__ import annotations

import argparse

import shtab

NAME = "completion"
SUMMARY = "Print what a shell needs to complete commands, options and file names."
EXAMPLES = """examples:
  ristretto completion bash > ~/.local/share/bash-completion/completions/ristretto
  ristretto completion zsh > ~/.zfunc/_ristretto      # with fpath+=~/.zfunc before compinit in ~/.zshrc
  ristretto completion tcsh > ~/.ristretto.tcsh       # and in ~/.tcshrc: source ~/.ristretto.tcsh

What follows an option is completed by its kind: files that end in .prototxt, .caffemodel or .solverstate, folders,
names to choose from. The script says what this version has: print it anew after an upgrade."""

SHELLS = ("bash", "zsh", "tcsh")
SUFFIXES = {
    "PROTOTXT": ("prototxt",),
    "CAFFEMODEL": ("caffemodel", "caffemodel.h5"),
    "SOLVERSTATE": ("solverstate", "solverstate.h5"),
    "TOML": ("toml",),
}
"""How files end, by what an option calls its value."""
FOLDERS = ("DIR",)
ANY_FILES = ("FILE", "PATH", "IN", "OUT", "A", "B")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=f"which shell: {', '.join(SHELLS)}")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; give its exit code."""
    from ristretto.cli.commands import build_parser  # It lists this command.

    print(script(build_parser(), arguments.shell))
    return 0


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Give the script for a shell."""
    mark(parser)
    functions = [_bash_function(name, suffixes) for name, suffixes in SUFFIXES.items()]
    return shtab.complete(parser, shell, preamble="\n".join(functions) if shell == "bash" else "")


def mark(parser: argparse.ArgumentParser) -> None:
    """Say of every option of a parser, and of its commands, what its value may be completed to."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                mark(sub)
        elif completed := _completed(str(action.metavar)):
            action.complete = completed  # type: ignore[attr-defined]


def _completed(metavar: str) -> object:
    if metavar in SUFFIXES:
        patterns = [f"*.{suffix}" for suffix in SUFFIXES[metavar]]
        return {
            "bash": f"_ristretto_{metavar.lower()}_file",
            "zsh": f"_files -g '({'|'.join(patterns)})'",
            "tcsh": f"f:{{{','.join(patterns)}}}" if len(patterns) > 1 else f"f:{patterns[0]}",
        }
    if metavar in FOLDERS:
        return shtab.DIRECTORY
    return shtab.FILE if metavar in ANY_FILES else None


def _bash_function(metavar: str, suffixes: tuple[str, ...]) -> str:
    """Give the function that lists files of a kind, and the folders that may hold more of them.

    shtab's script takes what it gives for names of files because its own name ends so.
    """
    kinds = "; ".join(f"compgen -f -X '!*.{suffix}' -- \"$1\"" for suffix in suffixes)
    return f'_ristretto_{metavar.lower()}_file() {{ {kinds}; compgen -d -- "$1"; }}'
