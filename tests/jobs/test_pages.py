"""What users copy: the guide, the example workflows, the hooks of pre-commit."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ristretto.cli.arguments import normalise
from ristretto.cli.build import STALE
from ristretto.cli.commands import build_parser
from ristretto.jobs import job_file
from tests.jobs.project import LENET, Project

HOOK_KEYS = {
    "id",
    "name",
    "description",
    "entry",
    "language",
    "files",
    "pass_filenames",
    "require_serial",
    "stages",
    "minimum_pre_commit_version",
}
"""Of those that pre-commit knows, the ones in use."""


def blocks(repo: Path, language: str) -> list[str]:
    text = (repo / "docs" / "ci-jobs.md").read_text("utf-8")
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text)


def words(text: str) -> list[list[str]]:
    """Give what stands on each line; spaces and rules of tables depend on their widest cells."""
    return [line.split() for line in text.splitlines() if line.strip(" ─")]


@pytest.mark.slow
def test_the_guide_shows_what_happens(repo: Path, tmp_path: Path) -> None:
    (toml,) = blocks(repo, "toml")
    project = Project.of(repo, tmp_path, toml, defaults="")
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for block in blocks(repo, "console"):
        for step in re.split(r"(?m)^\$ ", block)[1:]:
            command, _, expected = step.partition("\n")
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=project.folder,
                env={**os.environ, "PATH": programs},
                capture_output=True,
                text=True,
                timeout=300,
            )
            assert words(done.stdout) == words(expected), f"{command}\n{done.stdout}\n{done.stderr}"
    comment = (project / "comment.md").read_text()
    assert "| conv2 | params | 4.6 | 4.5 |" in comment
    assert '<testsuite name="lenet" tests=' in (project / "junit.xml").read_text()


def test_the_guide_names_every_key_of_a_job(repo: Path) -> None:
    text = (repo / "docs" / "ci-jobs.md").read_text("utf-8")
    table = text[text.index("| key of") : text.index("Of these, `[defaults]`")]
    named = set(re.findall(r"`(?:\[+job\.)?(\w+)\]*`", "\n".join(re.findall(r"(?m)^\| ([^|]+) \|", table))))
    assert named == set(job_file.JOB_KEYS)


def test_the_example_needs_nothing_but_what_the_guide_says(repo: Path) -> None:
    (toml,) = blocks(repo, "toml")
    assert set(re.findall(r'"(models/[^"]+)"', toml)) == {f"{LENET}/train_val.prototxt", f"{LENET}/lenet.caffemodel"}


def commands_of(script: str) -> list[list[str]]:
    """Give the calls of ristretto in a script."""
    lines = [line for line in script.replace("\\\n", " ").splitlines() if line.split()[:1] == ["ristretto"]]
    return [shlex.split(line)[1:] for line in lines]


def parsed(command: list[str]) -> Any:
    """Read a command line as the program does; SystemExit where an option is none."""
    return build_parser().parse_args(normalise(command))


def test_the_workflow_of_github_calls_what_there_is(repo: Path) -> None:
    workflow = yaml.safe_load((repo / "docs/examples/github-actions.yml").read_text("utf-8"))
    # YAML 1.1 reads `on` as true.
    assert set(workflow) == {"name", True, "permissions", "env", "jobs"}
    (job,) = workflow["jobs"].values()
    assert set(job) == {"runs-on", "steps"}
    assert all(("uses" in step) != ("run" in step) for step in job["steps"])
    calls = [call for step in job["steps"] for call in commands_of(step.get("run", ""))]
    (check,) = map(parsed, calls)
    assert (check.command, check.junit, check.markdown) == ("check", "junit.xml", "comment.md")
    used = "\n".join(str(step) for step in job["steps"])
    assert used.count("comment.md") >= 4, "the summary, the comment and the artifact are of the file that is written"


def test_the_pipeline_of_gitlab_calls_what_there_is(repo: Path) -> None:
    (job,) = yaml.safe_load((repo / "docs/examples/gitlab-ci.yml").read_text("utf-8")).values()
    known = {"image", "rules", "variables", "cache", "script", "after_script", "artifacts"}
    assert set(job) == known
    calls = [call for line in [*job["script"], *job["after_script"]] for call in commands_of(line)]
    (check,) = map(parsed, calls)
    assert check.command == "check"
    assert job["artifacts"]["reports"]["junit"] == check.junit
    assert job["artifacts"]["paths"] == [check.markdown]
    for line in [*job["script"], *job["after_script"]]:
        subprocess.run(["bash", "-n", "-c", line], check=True)


@pytest.mark.parametrize("example", ["github-actions.yml", "gitlab-ci.yml"])
def test_workflows_install_this_version(repo: Path, example: str) -> None:
    from ristretto import __version__

    assert f"ristretto-cnn=={__version__}" in (repo / "docs" / "examples" / example).read_text("utf-8")


def test_the_hooks_call_what_there_is(repo: Path) -> None:
    hooks = yaml.safe_load((repo / ".pre-commit-hooks.yaml").read_text("utf-8"))
    calls = {}
    for hook in hooks:
        assert set(hook) <= HOOK_KEYS
        assert {"id", "name", "entry", "language"} <= set(hook)
        assert hook["language"] == "python"
        assert hook["pass_filenames"] is False
        ((_, *words),) = [shlex.split(hook["entry"])]
        calls[hook["id"]] = parsed(words)
        pattern = re.compile(hook["files"])
        for name in ("ristretto.toml", "nets/ristretto.lock", "a.prototxt", "nets/a.caffemodel"):
            assert pattern.search(name)
        assert not pattern.search("src/main.py")
    assert {name: call.command for name, call in calls.items()} == {
        "ristretto-stale": "build",
        "ristretto-check": "check",
    }
    assert calls["ristretto-stale"].dry_run is True
    (config,) = blocks(repo, "yaml")
    (source,) = yaml.safe_load(config)["repos"]
    assert [hook["id"] for hook in source["hooks"]] == list(calls)


def test_the_exit_code_is_documented_where_users_look(repo: Path) -> None:
    pages = [(repo / page).read_text("utf-8") for page in ("README.md", "docs/cli.md")]
    for text in [build_parser().format_help(), *pages]:
        assert re.search(rf"{STALE}[ |]+compared,? and not the same", " ".join(text.split()))
