"""Rules that the whole project keeps, checked over its files."""

from __future__ import annotations

import ast
import re
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

LONGEST_MODULE = 400
"""Lines; past this a module wants a second room."""

MADE = {".git", ".venv", "build", "dist", "__pycache__"}
"""Folders that hold nothing of the project's own."""

MACHINE_PATH = re.compile(rb"(?<![\w.\-/$}])/(?:work|root|tmp|home|Users)/")


def tracked(repo: Path) -> list[Path]:
    """Every file of the project: those that git tracks, or all of them in an unpacked source distribution."""
    if (repo / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=repo, capture_output=True, check=True, text=True)
        files = [repo / name for name in listed.stdout.split("\0") if name]
    else:
        files = list(repo.rglob("*"))
    own = [f for f in files if f.is_file() and not MADE.intersection(f.relative_to(repo).parts)]
    assert own
    return sorted(f for f in own if not any(part.endswith((".egg-info", "_cache")) for part in f.parts))


def modules(repo: Path) -> list[Path]:
    """Every module of the package."""
    found = sorted((repo / "ristretto").rglob("*.py"))
    assert found
    return found


def configuration(repo: Path) -> ConfigParser:
    """setup.cfg, read."""
    parser = ConfigParser(interpolation=None)
    parser.read(repo / "setup.cfg", encoding="utf-8")
    return parser


def test_no_file_names_a_path_of_one_machine(repo: Path) -> None:
    found = []
    for path in tracked(repo):
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
            if match := MACHINE_PATH.search(line):
                found.append(f"{path.relative_to(repo)}:{number}: {match.group().decode()}")
    assert not found


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (b"see /" + b"tmp/x", True),
        (b'"/' + b'home/anne/net.prototxt"', True),
        (b"#!/usr/bin/env bash", False),
        (b"https://example.org/home/", False),
        (b"../shared/data/mnist", False),
    ],
)
def test_machine_path_is_told_from_others(text: bytes, named: bool) -> None:
    assert bool(MACHINE_PATH.search(text)) is named


def test_every_module_has_a_docstring(repo: Path) -> None:
    bare = [m.relative_to(repo) for m in modules(repo) if not ast.get_docstring(ast.parse(m.read_text("utf-8")))]
    assert not bare


def test_every_package_folder_has_an_init(repo: Path) -> None:
    bare = {m.parent.relative_to(repo) for m in modules(repo) if not (m.parent / "__init__.py").exists()}
    assert not bare


def test_no_module_is_too_long(repo: Path) -> None:
    sizes = {str(m.relative_to(repo)): len(m.read_text("utf-8").splitlines()) for m in modules(repo)}
    assert not {name: size for name, size in sizes.items() if size > LONGEST_MODULE}


def test_the_package_says_that_it_is_typed(repo: Path) -> None:
    assert (repo / "ristretto" / "py.typed").exists()
    assert "py.typed" in configuration(repo)["options.package_data"]["ristretto"].split()


def test_requirements_are_lower_bounds(repo: Path) -> None:
    parser = configuration(repo)
    lists = [parser["options"]["install_requires"], *parser["options.extras_require"].values()]
    lines = [line for text in lists for line in text.splitlines() if line and not line.startswith("#")]
    assert len(lines) > 5
    assert not [line for line in lines if not re.fullmatch(r'[\w.-]+>=\d+(\.\d+)*(; python_version < "3\.\d+")?', line)]


def test_constraints_name_every_requirement(repo: Path) -> None:
    parser = configuration(repo)
    lists = [parser["options"]["install_requires"], parser["options.extras_require"]["test"]]
    wanted = {line.split(">=")[0].lower() for text in lists for line in text.splitlines() if ">=" in line}
    pinned = dict(re.findall(r"(?m)^([\w.-]+)==(.+)$", (repo / "constraints.txt").read_text("utf-8")))
    assert wanted <= {name.lower().replace("_", "-") for name in pinned}


def test_decisions_have_their_three_parts(repo: Path) -> None:
    decisions = sorted((repo / "docs" / "decisions").glob("*.md"))
    assert decisions
    for number, path in enumerate(decisions, 1):
        text = path.read_text("utf-8")
        assert path.name.startswith(f"{number:04d}-"), f"{path.name}: decisions are numbered without gaps"
        assert re.findall(r"(?m)^## (.+)$", text) == ["Context", "Decision", "Consequences"], path.name


def test_changelog_ends_at_the_version_of_setup_cfg(repo: Path) -> None:
    version = configuration(repo)["metadata"]["version"]
    headings = re.findall(r"(?m)^## (\d\S*)", (repo / "CHANGELOG.md").read_text("utf-8"))
    assert headings
    assert headings[0] == version


def test_package_and_setup_cfg_name_one_version(repo: Path) -> None:
    stated = re.search(r'(?m)^__version__ = "(.+)"$', (repo / "ristretto" / "__init__.py").read_text("utf-8"))
    assert stated
    assert stated[1] == configuration(repo)["metadata"]["version"]


def test_documents_link_to_files_that_exist(repo: Path) -> None:
    broken = []
    for page in (path for path in tracked(repo) if path.suffix == ".md"):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(repo)}: {target}")
    assert not broken


@pytest.mark.parametrize("script", ["setup", "demo", "test", "bench", "docs", "pack-digits", "train-lenet"])
def test_scripts_can_be_run(repo: Path, script: str) -> None:
    path = repo / "scripts" / script
    assert path.stat().st_mode & 0o111 == 0o111
    subprocess.run(["bash", "-n", str(path)], check=True)
