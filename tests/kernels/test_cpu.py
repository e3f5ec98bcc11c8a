"""Which tier a processor gets, and what is said of a tier that it cannot have."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ristretto.errors import RistrettoError
from ristretto.kernels import cpu
from ristretto.kernels.cpu import TIERS, VARIABLE, choose, runnable

ANCIENT = {"sse2"}
HASWELL = {*ANCIENT, "sse4.1", "avx", "avx2", "fma"}
SKYLAKE_X = {*HASWELL, "avx512f", "avx512bw", "avx512vl", "avx512dq"}
PROCESSORS = {
    "Pentium 4": (ANCIENT, "sse2"),
    "Haswell, Zen 3": (HASWELL, "avx2"),
    "Alder Lake": ({*HASWELL, "avxvnni"}, "avx-vnni"),
    "Skylake-X": (SKYLAKE_X, "avx512bw"),
    "Ice Lake, Zen 4": ({*SKYLAKE_X, "avx512vnni"}, "avx512-vnni"),
    "Sapphire Rapids": ({*SKYLAKE_X, "avx512vnni", "avxvnni"}, "avx512-vnni"),
    "Knights Mill": ({*HASWELL, "avx512f", "avx512vnni"}, "avx2"),
    "without 512 bits": ({*HASWELL, "avx512vl", "avx512vnni"}, "avx512vl-vnni"),
    "Raspberry Pi 4": ({"neon"}, "neon"),
    "Graviton 2, M1": ({"neon", "dotprod", "fullfp16"}, "neon-dotprod"),
    "POWER": ({"altivec"}, "portable"),
}


def pretend(monkeypatch: pytest.MonkeyPatch, features: set[str]) -> None:
    monkeypatch.setattr(cpu, "features", lambda: frozenset(features))


@pytest.mark.parametrize(("features", "tier"), PROCESSORS.values(), ids=PROCESSORS)
def test_a_processor_gets_the_fastest_tier_that_it_runs(
    monkeypatch: pytest.MonkeyPatch, features: set[str], tier: str
) -> None:
    pretend(monkeypatch, features)
    assert choose("").name == tier
    fastest, *_, last = (*runnable(), TIERS[-1])
    assert (fastest.name, last.name) == (tier, "portable")
    for one in runnable():
        assert choose(one.name) is one
        assert set(one.needs) <= features


def test_every_tier_is_some_processors_choice() -> None:
    assert {tier for _, tier in PROCESSORS.values()} == {tier.name for tier in TIERS}


def test_this_process_has_a_tier_that_its_machine_runs() -> None:
    assert choose(os.environ.get(VARIABLE, "")) is cpu.TIER
    assert cpu.TIER in runnable()
    # numba would not start without one of them.
    assert cpu.features() & {"sse2", "neon", "altivec", "vsx"}


@pytest.mark.parametrize(
    ("forced", "message"),
    [
        ("neon", "RISTRETTO_TIER=neon: this machine does not run it"),
        ("avx512-vnni", "RISTRETTO_TIER=avx512-vnni: this machine does not run it"),
        ("AVX2", "RISTRETTO_TIER=AVX2: there is no such tier"),
    ],
)
def test_a_tier_that_cannot_be_had_is_refused(monkeypatch: pytest.MonkeyPatch, forced: str, message: str) -> None:
    pretend(monkeypatch, HASWELL)
    with pytest.raises(RistrettoError) as caught:
        choose(forced)
    assert caught.value.message == message
    assert caught.value.hint == "here run: avx2, sse2, portable"


@pytest.mark.parametrize("tier", ["nonsense", next(tier.name for tier in TIERS if tier not in runnable())])
def test_the_command_line_says_so_in_one_line(tier: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ristretto", "--help"],
        env=os.environ | {VARIABLE: tier},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    error, hint = done.stderr.splitlines()
    assert error.startswith(f"error: RISTRETTO_TIER={tier}: ")
    assert hint == f"hint: here run: {', '.join(one.name for one in runnable())}"
    assert not done.stdout


def test_a_forced_tier_is_taken() -> None:
    last = runnable()[-1].name
    done = subprocess.run(
        [sys.executable, "-c", "from ristretto.kernels import cpu; print(cpu.TIER.name)"],
        env=os.environ | {VARIABLE: last},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == f"{last}\n"
