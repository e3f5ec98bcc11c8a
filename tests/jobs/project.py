"""A project of a user: the embedded LeNet, a job file, and the command line in its folder."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ristretto.cli.main import main

LENET = "models/lenet"
DEFAULTS = f"""[defaults]
model = "{LENET}/train_val.prototxt"
weights = "{LENET}/lenet.caffemodel"

[defaults.quantize]
preset = "original"
bits = "8/8/8"
iterations = 2
calibration_batches = 1
"""
LENET_JOB = """
[[job]]
name = "lenet"
model_quantized = "out/lenet.prototxt"
json = "out/lenet.json"
"""


class Done(NamedTuple):
    """What a command line has come to."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Project:
    """A folder with a job file."""

    folder: Path

    @classmethod
    def of(cls, repo: Path, folder: Path, jobs: str = LENET_JOB, defaults: str = DEFAULTS) -> Project:
        """Make one."""
        (folder / LENET).mkdir(parents=True)
        for name in ("train_val.prototxt", "lenet.caffemodel", "digits_train_lmdb", "digits_test_lmdb"):
            source, place = repo / LENET / name, folder / LENET / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, place)
        project = cls(folder)
        project.write(defaults + jobs)
        return project

    def copied(self, folder: Path) -> Project:
        """Give a project that is just the same, elsewhere."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Project(folder)

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    @property
    def toml(self) -> str:
        """The job file."""
        return (self / "ristretto.toml").read_text("utf-8")

    def write(self, toml: str) -> None:
        """Write the job file."""
        (self / "ristretto.toml").write_text(toml, "utf-8")

    def replace(self, before: str, after: str) -> None:
        """Change the job file."""
        assert before in self.toml
        self.write(self.toml.replace(before, after))

    def edit(self, name: str, before: str, after: str) -> None:
        """Change another file, once."""
        text = (self / name).read_text("utf-8")
        assert before in text
        (self / name).write_text(text.replace(before, after, 1), "utf-8")

    def run(self, *words: object) -> Done:
        """Run the command line in the project's folder, in this process: to start one takes longer than the work."""
        out, err = io.StringIO(), io.StringIO()
        with chdir(self.folder), redirect_stdout(out), redirect_stderr(err):
            code = main(list(map(str, words)))
        return Done(code, out.getvalue(), err.getvalue())

    def start(self, *words: object, **env: str) -> subprocess.Popen[str]:
        """Start the command line in the project's folder, as a process of its own."""
        command = [sys.executable, "-m", "ristretto", *map(str, words)]
        return subprocess.Popen(
            command, cwd=self.folder, stdout=-1, stderr=-1, text=True, env={**os.environ, **env}, process_group=0
        )

    def build(self, *words: object) -> dict[str, Any]:
        """Build, and give the one job's plain data."""
        done = self.run("build", "--json", "-", *words)
        (job,) = json.loads(done.stdout)["jobs"]
        assert isinstance(job, dict)
        return job

    def reasons(self) -> list[str]:
        """Give why the one job is stale."""
        return list(self.build("--dry_run")["reasons"])

    @property
    def lock(self) -> dict[str, Any]:
        """What the lock says."""
        content = json.loads((self / "ristretto.lock").read_text("utf-8"))
        assert isinstance(content, dict)
        return content

    def files(self) -> dict[str, bytes]:
        """Give all files, by path."""
        paths = (path for path in self.folder.rglob("*") if path.is_file() and path.name != "lock.mdb")
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}
