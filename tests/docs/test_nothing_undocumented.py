"""What the program has and no page tells of."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import ristretto
from ristretto.cli.commands import COMMANDS
from ristretto.cli.help import ENVIRONMENT
from ristretto.model import FinetunedModel, Model, QuantizedModel


def variables(folder: Path, *patterns: str) -> set[str]:
    """Give the environment variables of ours that files name."""
    files = [path for pattern in patterns for path in folder.glob(pattern) if path.is_file()]
    assert files
    text = "\n".join(path.read_text("utf-8") for path in files if path.suffix in ("", ".py"))
    return set(re.findall(r"\bRISTRETTO_[A-Z_]+\b", text))


def test_every_public_name_is_told_of(repo: Path) -> None:
    page = (repo / "docs" / "python.md").read_text("utf-8")
    for name in ristretto.__all__:
        assert re.search(rf"(?m)^\| `ristretto\.{name}\b", page), name


def test_every_method_is_told_of_and_says_what_it_does(repo: Path) -> None:
    page = (repo / "docs" / "python.md").read_text("utf-8")
    for kind in (Model, QuantizedModel, FinetunedModel):
        (row,) = re.findall(rf"(?m)^\| `ristretto\.{kind.__name__}`.*$", page)
        for name, member in vars(kind).items():
            if not name.startswith("_"):
                assert f"`{name}`" in row, f"{kind.__name__}.{name}"
                assert not callable(member) or inspect.getdoc(member), name
        for name in kind.__dataclass_fields__:
            assert f"`{name}`" in page, name


def test_every_environment_variable_is_told_of(repo: Path) -> None:
    read = variables(repo / "ristretto", "**/*.py")
    assert "RISTRETTO_TIER" in read
    assert read <= set(ENVIRONMENT)
    page = (repo / "docs" / "cli.md").read_text("utf-8")
    for name in ENVIRONMENT:
        assert f"| `{name}` |" in page
    contributing = (repo / "CONTRIBUTING.md").read_text("utf-8")
    for name in (variables(repo / "scripts", "*", "*/*.py") | variables(repo / "tests", "**/*.py")) - set(ENVIRONMENT):
        assert f"`{name}`" in contributing, f"{name}: CONTRIBUTING.md says nothing of it"


def test_the_readme_lists_every_command_and_page(repo: Path) -> None:
    readme = (repo / "README.md").read_text("utf-8")
    for command in COMMANDS:
        assert re.search(rf"(?m)^\| `{command.NAME}` \|", readme), command.NAME
    for page in (repo / "docs").glob("*.md"):
        if page.name not in ("index.md", "decisions.md"):
            assert f"docs/{page.name}" in readme, page.name
