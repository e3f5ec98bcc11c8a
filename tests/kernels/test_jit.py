"""numba's flags, what makes compiled code stale, and what becomes of it where nothing can be written."""

from __future__ import annotations

import ctypes
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.ccallback import CFunc

from ristretto.kernels import jit
from ristretto.kernels.trim import trim


def double(x: float) -> float:
    return 2 * x


@pytest.mark.parametrize("make", [jit.kernel, jit.inner])
def test_flags_are_the_same_for_all(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "ENTRIES", [])
    flags = make(double).targetoptions
    assert "fastmath" not in flags
    assert flags["nogil"]
    assert flags["error_model"] == "numpy"
    assert not flags["boundscheck"]


def test_what_only_kernels_call_is_no_kernel_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "ENTRIES", [])
    once = jit.inner(double)

    def twice(x: float) -> float:
        return once(once(x))

    assert jit.kernel(twice)(1.5) == 6
    assert [entry.py_func for entry in jit.ENTRIES] == [twice]


@pytest.fixture
def callback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Makes a function that is called by its address; all that it makes share a cache of their own."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(jit, "ENTRIES", [])
    return lambda: jit.Callback(double, numba.float64(numba.float64))


def test_a_callback_is_compiled_when_it_is_asked_for(callback: Any) -> None:
    made = callback()
    assert not (made.is_loaded or made.is_cached)
    called = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(made.address)
    assert called(1.5) == 3
    assert made.is_loaded
    assert made.is_cached


def test_a_callback_is_loaded_from_the_cache(callback: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    callback().load()
    again = callback()
    assert again.is_cached
    assert not again.is_loaded
    monkeypatch.setattr(CFunc, "_compile_uncached", lambda compiled: pytest.fail("it is compiled"))
    again.load()
    assert again.is_loaded


def test_a_callback_is_not_cached_for_another_state_of_the_sources(
    callback: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = callback()
    made.load()
    monkeypatch.setattr(jit, "STAMP", "another")
    assert not made.is_cached


def test_sums_are_not_reordered_and_nan_is_not_assumed_away() -> None:
    out = np.empty(1, np.float32)
    trim(np.float32([np.nan]), out, -1.0, 1.0, 0, False)
    assert np.isnan(out[0])


def test_kernels_compile_where_nothing_can_be_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(function: Any) -> None:
        raise RuntimeError("cannot cache function 'double': no locator available")

    monkeypatch.setattr(jit, "StampedCache", nowhere)
    monkeypatch.setattr(jit, "ENTRIES", [])
    assert jit.kernel(double)(3.5) == 7
    assert jit.cache_folder() is None


@pytest.fixture
def stamp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The stamp of a copy of the kernels, which a test may change."""
    source = Path(jit.__file__).parent
    for file in source.glob("*.py"):
        shutil.copy(file, tmp_path)
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "jit.py"))
    assert jit._stamp() == jit.STAMP
    return jit._stamp


def test_the_stamp_changes_with_any_source_and_with_the_tier(
    stamp: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = {stamp()}
    for name in ("tile.py", "cpu.py"):
        with (tmp_path / name).open("a") as file:
            file.write("# another line\n")
        seen.add(stamp())
    (tmp_path / "new.py").write_text("# a new file\n")
    seen.add(stamp())
    monkeypatch.setattr(jit, "TIER", replace(jit.TIER, name="another"))
    seen.add(stamp())
    monkeypatch.setattr(numba, "__version__", "another")
    seen.add(stamp())
    assert len(seen) == 6


def test_code_of_another_stamp_is_not_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(jit, "ENTRIES", [])
    loaded = []
    for now in ("one", "one", "two", "one"):
        monkeypatch.setattr(jit, "STAMP", now)
        compiled: Any = jit.kernel(double)
        assert compiled(1.5) == 3
        loaded.append(bool(compiled.stats.cache_hits))
    assert loaded == [False, True, False, True]


def test_signatures_that_are_saved_at_once_do_not_take_each_others_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each process reads the index before the other has written it."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(jit, "ENTRIES", [])
    with monkeypatch.context() as others:
        others.setattr(jit.IndexDataCacheFile, "_load_index", lambda file: {})
        compiled: Any = jit.kernel(double)
        assert (compiled(1.5), compiled(1)) == (3, 2)
    again: Any = jit.kernel(double)
    assert (again(1.5), again(1)) == (3, 2)
    assert again.stats.cache_hits
    assert not again.stats.cache_misses
