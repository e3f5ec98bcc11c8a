"""Kernels compiled by two processes, and by one where the other is missing."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ristretto.kernels import helper


class Recorded:
    """A unit that writes down that it was loaded here."""

    def __init__(self, number: int, loaded: list[int], seconds: float) -> None:
        self.number, self.loaded, self.seconds = number, loaded, seconds

    def load(self) -> None:
        """Take a while."""
        time.sleep(self.seconds)
        self.loaded.append(self.number)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What this process has loaded of five units, each of which takes a moment."""
    seen: list[int] = []
    recorded = tuple(Recorded(number, seen, 0.05) for number in range(5))
    monkeypatch.setattr(helper, "units", lambda: recorded)
    monkeypatch.setattr(helper, "cores", lambda: 2)
    return seen


ECHO = "import sys; [print(line.strip(), flush=True) for line in sys.stdin]"
"""A helper that says at once that all is done."""


def test_the_helper_takes_the_last_and_each_is_told_of_once(loaded: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper, "PROGRAM", ECHO)
    # Until the helper has started, this process is busy with its first.
    monkeypatch.setattr(helper.units()[0], "seconds", 2)
    assert sorted(helper.compiled([0, 2, 3, 4])) == [0, 2, 3, 4]
    assert loaded == [0]


@pytest.mark.parametrize(
    ("program", "answers"),
    [
        ("", 0),
        ("raise SystemExit(3)", 0),
        ("input()", 0),
        ("input(); import time; time.sleep(1)", 0),
        ("print(input(), flush=True); input()", 1),
        ("import os; print(input(), flush=True); os.close(0)", 1),
        ("import os; print(input(), flush=True); os.close(0); import time; time.sleep(1)", 1),
        ("print('a remark', flush=True); print(input(), flush=True)", 0),
    ],
    ids=[
        *(
            "at once",
            "with an error",
            "at its first",
            "when all else is done",
            "at its second",
            "deaf",
            "deaf for long",
        ),
        *("talking of other things",),
    ],
)
def test_what_a_helper_leaves_is_done_here(
    program: str, answers: int, loaded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helper, "PROGRAM", program)
    # Until the helper has started, this process is busy with its first.
    monkeypatch.setattr(helper.units()[0], "seconds", 1)
    told = list(helper.compiled(range(5)))
    assert sorted(told) == [0, 1, 2, 3, 4]
    assert len(loaded) == 5 - answers


def test_no_helper_is_no_harm(loaded: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper, "get_executable", lambda: "/nowhere/python")
    assert list(helper.compiled(range(5))) == loaded == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        *(("cores", lambda: 1), ("cache_folder", lambda: None), ("units", None)),
        *(("get_executable", lambda: None), ("sys", SimpleNamespace(frozen=True, path=[]))),
    ],
    ids=["one core", "nowhere to cache", "one unit", "no interpreter", "one file"],
)
def test_a_helper_of_no_use_is_not_started(
    name: str, given: Any, loaded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helper.subprocess, "Popen", lambda *_, **__: pytest.fail("a process is started"))
    numbers = [3, 1] if given else [3]
    if given:
        monkeypatch.setattr(helper, name, given)
    assert list(helper.compiled(numbers)) == loaded == numbers


def test_a_helper_ends_with_who_asked_for_it(loaded: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[str]] = []

    class Noted(subprocess.Popen[str]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(helper.subprocess, "Popen", Noted)
    monkeypatch.setattr(helper, "PROGRAM", "import time; time.sleep(600)")
    running = helper.compiled(range(5))
    assert next(running) == 0
    running.close()
    (process,) = started
    assert process.returncode is not None
    assert loaded == [0]


SCRIPT = """
import time
from ristretto.kernels import ahead, helper
here = []
def load(call):
    here.append(call)
    time.sleep(3 if len(here) == 1 else 0)
    call.kernel(*call.arguments)
ahead.Call.load = load
helper.cores = lambda: 2
wanted = ahead.units()
numbers = [i for i, unit in enumerate(wanted) if isinstance(unit, ahead.Call) and unit.kernel.__name__ == "encode"][:3]
assert not any(wanted[i].is_cached for i in numbers)
assert sorted(helper.compiled(numbers)) == numbers
assert all(wanted[i].is_cached for i in numbers)
print(len(here))
"""


@pytest.mark.slow
def test_what_the_helper_compiles_is_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 3
