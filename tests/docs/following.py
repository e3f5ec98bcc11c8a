"""Does what a page says: files, lines and commands, in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

COPIED = ("ristretto", "proto", "scripts", "tests", "docs", "setup.cfg", "pyproject.toml", "README.md")
STEP = re.compile(
    r"(?m)^`(?P<path>[\w./]+)`(?:, (?P<how>behind|in place of) `(?P<line>[^`]+)`|, (?P<end>at the end))?:\n\n"
    r"```\w*\n(?P<text>.*?)^```|^```sh\n(?P<commands>.*?)^```",
    re.S,
)


def copy_project(repo: Path, folder: Path) -> Path:
    """Copy what the pages change or run; large models stay behind."""
    ignored = shutil.ignore_patterns("__pycache__", "*.nbi", "*.nbc")
    for name in COPIED:
        source = repo / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    shutil.copytree(repo / "models" / "lenet", folder / "models" / "lenet", ignore=ignored)
    return folder


def follow(page: Path, project: Path) -> list[str]:
    """Do what a page says, from its top to its end; give what each block of commands printed.

    Raises
    ------
    AssertionError
        When a line that something goes behind does not stand there, or stands there twice; when a command fails.
    """
    printed = []
    for step in STEP.finditer(page.read_text("utf-8")):
        if step["commands"]:
            printed.append(run(step["commands"], project))
        else:
            change(project / step["path"], step["how"] or step["end"], step["line"], step["text"])
    assert printed, f"{page.name} has no commands"
    return printed


def change(path: Path, how: str | None, line: str | None, text: str) -> None:
    """Make a file, or put a text into one."""
    if how is None:
        assert not path.exists(), f"{path.name} is there already"
        path.write_text(text, "utf-8")
        return
    before = path.read_text("utf-8")
    if line is None:
        path.write_text(before + text, "utf-8")
        return
    assert before.split("\n").count(line) + before.split("\n").count(f"  {line}") == 1, f"{path.name}: {line}"
    whole = next(found for found in before.split("\n") if found in (line, f"  {line}"))
    path.write_text(before.replace(f"{whole}\n", (f"{whole}\n" if how == "behind" else "") + text, 1), "utf-8")


def run(commands: str, project: Path) -> str:
    """Run commands as a user would who has the project's environment; give what they print."""
    # Not the tests' own cache of kernels: a copy has other files.
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(project),
        "NUMBA_CACHE_DIR": str(project / "build" / "numba"),
        "COLUMNS": "160",
    }
    done = subprocess.run(
        ["bash", "-e", "-c", commands], cwd=project, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr
