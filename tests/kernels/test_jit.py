"""numba's flags, and what becomes of them where nothing can be written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ristretto.kernels import jit
from ristretto.kernels.trim import trim


def double(x: float) -> float:
    return 2 * x


def test_sums_are_not_reordered_and_nan_is_not_assumed_away() -> None:
    assert "fastmath" not in trim.targetoptions
    assert trim.targetoptions["nogil"]
    assert trim.targetoptions["error_model"] == "numpy"
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
