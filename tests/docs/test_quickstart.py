"""docs/quickstart.md, followed word for word."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FENCE = re.compile(r"(?ms)^```\n(.*?)^```")
COMMAND = re.compile(r"ristretto |mkdir |diff |scripts/")
INSTALLED = "scripts/setup && source .venv/bin/activate\n"
"""What the tests' environment has behind it."""


@pytest.mark.slow
def test_each_command_prints_what_stands_below_it(repo: Path, tmp_path: Path) -> None:
    shutil.copytree(repo / "models" / "lenet", tmp_path / "models" / "lenet")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(repo),
        "RISTRETTO_CACHE_DIR": str(tmp_path / "cache"),
    }
    printed, shown = "", 0
    for block in FENCE.findall((repo / "docs" / "quickstart.md").read_text("utf-8")):
        if COMMAND.match(block):
            done = subprocess.run(
                ["bash", "-c", block.replace(INSTALLED, "")],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
            )
            # diff says by 1 that files differ.
            assert done.returncode == (1 if block.startswith("diff ") else 0), done.stderr
            printed = done.stdout + done.stderr
            continue
        shown += 1
        lines = {line.strip() for line in printed.splitlines()}
        for line in block.splitlines():
            assert line.strip() in lines, f"{line!r} is not in what was printed:\n{printed}"
    assert shown >= 4
    quantized = (tmp_path / "build" / "quickstart.prototxt").read_text("utf-8")
    assert quantized.count("Ristretto") == 4
