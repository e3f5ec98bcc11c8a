"""What is said where a program waits for its kinds of jobs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from ristretto.kernels import helper, jit, loading
from ristretto.kernels.job import JobKind

RECORD = np.dtype([("number", np.int64)])


def count(job: Any, run: Any, image: int) -> None:
    job.number += image


def hopeless(job: Any, run: Any, image: int) -> None:
    job.number = image.nonsense


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Makes the one kind of job that there is, in a cache of its own."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(jit, "ENTRIES", [])

    def make(function: Any = count) -> JobKind:
        kind = JobKind(function, RECORD)
        for module, name, value in ((loading, "KINDS", (kind,)), (helper, "units", lambda: (kind,))):
            monkeypatch.setattr(module, name, value)
        return kind

    return make


def test_compiling_is_announced_and_loading_is_not(kinds: Any) -> None:
    said: list[str] = []
    kind = kinds()
    with loading.announced_compilation(said.append):
        assert loading.addresses(iter([kind, kind])) == {kind: kind.address}
        assert [line.split(" for ")[0].split(" in ")[0] for line in said] == [
            "compiling the kernels",
            "compiled the kernels",
        ]
        loading.addresses([kind])
        loading.addresses([kinds()])
    assert len(said) == 2


def test_nobody_is_told_behind_the_block(kinds: Any) -> None:
    said: list[str] = []
    with loading.announced_compilation(said.append):
        pass
    loading.addresses([kinds()])
    assert not said


def test_a_compilation_that_fails_is_not_called_done(kinds: Any) -> None:
    said: list[str] = []
    with loading.announced_compilation(said.append), pytest.raises(numba.TypingError):
        loading.addresses([kinds(hopeless)])
    assert [line.split()[0] for line in said] == ["compiling"]


def test_only_what_is_wanted_is_compiled(kinds: Any) -> None:
    kind = kinds()
    assert loading.addresses([]) == {}
    assert not kind.is_loaded


def test_a_kind_that_is_not_in_the_list_is_noticed(kinds: Any) -> None:
    kinds()
    with pytest.raises(ValueError, match="not in tuple"):
        loading.addresses([JobKind(count, RECORD)])


def test_programs_that_are_made_at_once_compile_once(kinds: Any) -> None:
    said: list[str] = []
    kind = kinds()
    with loading.announced_compilation(said.append), ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: loading.addresses([kind]), range(4)))
    assert len(said) == 2
    assert all(addresses == found[0] for addresses in found)
