"""What of the kernels is cached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numba
import pytest

from ristretto.kernels import ahead, jit


def double(x: float) -> float:
    return 2 * x


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A kernel that is cached in a folder of its own, the only one that there is."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(jit, "ENTRIES", [])
    return jit.kernel(double)


def test_a_kernel_is_cached_for_the_types_that_it_was_compiled_for(kernel: Any) -> None:
    assert not jit.is_cached(kernel, (1.0,))
    assert kernel(1.5) == 3
    assert jit.is_cached(kernel, (7.0,))
    assert not jit.is_cached(kernel, (1,))


def test_a_kernel_is_not_cached_for_another_state_of_the_sources(kernel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel(1.5)
    monkeypatch.setattr(jit, "STAMP", "another")
    assert not jit.is_cached(kernel, (1.0,))


def test_an_index_without_the_code_is_no_cache(kernel: Any) -> None:
    kernel(1.5)
    folder = jit.cache_folder()
    assert folder is not None
    (code,) = folder.glob("*.nbc")
    code.unlink()
    assert not jit.is_cached(kernel, (1.0,))


def test_the_cache_is_counted(kernel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "units", lambda: (ahead.Call(kernel, (1.0,)), ahead.Call(kernel, (1,))))
    before = ahead.cache_state()
    assert (before.wanted, before.compiled, before.files, before.size) == (2, 0, 0, 0)
    kernel(1.5)
    after = ahead.cache_state()
    assert (after.compiled, after.files, after.complete) == (1, 2, False)
    assert after.folder is not None
    assert after.size == sum(file.stat().st_size for file in after.folder.iterdir())
    kernel(1)
    assert ahead.cache_state().complete


def test_nothing_is_cached_where_there_is_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "ENTRIES", [])
    state = ahead.cache_state()
    assert (state.folder, state.compiled, state.files, state.complete) == (None, 0, 0, False)
