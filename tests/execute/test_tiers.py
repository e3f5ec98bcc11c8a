"""Every tier of instructions that this machine runs, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ristretto.kernels.cpu import TIER, VARIABLE, Tier, features, runnable

TIERS = runnable()
# Where this process runs the tests with one tier, nobody need run them with it again.
OTHERS = [tier for tier in TIERS if tier != TIER]
every_other_tier = pytest.mark.parametrize("tier", OTHERS, ids=[tier.name for tier in OTHERS])

FLOAT_SUMS = """
import hashlib, sys
import numpy as np
from ristretto.execute import IntegerExecutor
from ristretto.kernels.cpu import TIER
from tests.execute.compiled.test_step import mixed, values

assert TIER.name == sys.argv[1], TIER
for pictures in (1, 5):
    net, batch = mixed(pictures, None)
    kept = IntegerExecutor(net, {}, keep=values(net)).run(batch).kept
    for name, value in kept.items():
        print(name, hashlib.sha256(value.tobytes()).hexdigest())
"""


def run(repo: Path, tier: Tier, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with a tier; the first run of each compiles its kernels."""
    environment = os.environ | {VARIABLE: tier.name}
    return subprocess.run(
        [sys.executable, *arguments], cwd=repo, env=environment, capture_output=True, text=True, timeout=900
    )


def check_tests_pass(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


@pytest.mark.slow
@every_other_tier
def test_a_tier_gives_the_numbers_of_the_simulation(repo: Path, tier: Tier) -> None:
    # What is planned is the same on every tier; what is computed stands in these.
    tests = [f"tests/execute/test_{name}.py" for name in ("integer", "exact_sums", "finished")]
    options = ("-m", "not slow", "-q", "-p", "no:cacheprovider")
    check_tests_pass(run(repo, tier, "-m", "pytest", *tests, *options))


@pytest.mark.slow
@pytest.mark.shared
@every_other_tier
def test_a_tier_gives_the_forks_blobs(repo: Path, shared: Path, tier: Tier) -> None:
    options = ("-k", "IntegerExecutor", "-q", "-p", "no:cacheprovider")
    done = run(repo, tier, "-m", "pytest", "tests/execute/test_golden.py", *options)
    check_tests_pass(done)
    assert "skipped" not in done.stdout


@pytest.mark.slow
@pytest.mark.skipif("fma" not in features() and "neon" not in features(), reason="no fused multiplication and addition")
def test_sums_in_float32_are_the_same_on_every_tier(repo: Path) -> None:
    printed = {}
    for tier in TIERS:
        done = run(repo, tier, "-c", FLOAT_SUMS, tier.name)
        assert done.returncode == 0, done.stderr
        printed[tier.name] = done.stdout
    first = printed[TIERS[0].name]
    assert first.count("\n") == 2 * 11
    assert printed == dict.fromkeys(printed, first)
