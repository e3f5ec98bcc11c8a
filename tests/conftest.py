"""What every test may ask for, and the settings that make a run repeatable."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# Compiling takes longer than hypothesis allows one example. In CI the examples are the same in every run; elsewhere
# each run tries new ones.
settings.register_profile("ristretto", deadline=None, derandomize=bool(os.environ.get("CI")), print_blob=True)
settings.load_profile("ristretto")


def _kernel_cache() -> Path:
    """Give a folder for compiled kernels that belongs to the kernels' present sources.

    Tests leave nothing beside the sources so, and a run on new ones does not look through what the old ones left.
    """
    digest = hashlib.sha256()
    for source in sorted((ROOT / "ristretto" / "kernels").rglob("*.py")):
        digest.update(source.read_bytes())
    return ROOT / "build" / "numba" / digest.hexdigest()[:16]


# Before numpy is imported: its BLAS waits for threads of its own by spinning, and tests run side by side on all cores.
# A product of matrices took 5 ms in place of 0.1 so.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Before any kernel is imported; the programs that tests start inherit it.
os.environ.setdefault("NUMBA_CACHE_DIR", str(_kernel_cache()))
# No journal, but where a test names a folder: else a test may look at what an earlier one has scored.
os.environ["RISTRETTO_CACHE_DIR"] = ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Hold the mark and the fixture together, so that ``-m "not shared"`` leaves out exactly what would be skipped."""
    for item in items:
        uses = "shared" in getattr(item, "fixturenames", ())
        marked = item.get_closest_marker("shared") is not None
        if uses != marked:
            lacks = "the mark @pytest.mark.shared" if uses else "the fixture 'shared'"
            raise pytest.UsageError(f"{item.nodeid}: lacks {lacks}; a test has both or neither")


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root folder of the project."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the real nets and data; a test that needs it is skipped where it is absent."""
    folder = Path(os.environ.get("RISTRETTO_SHARED") or ROOT.parent / "shared")
    if not (folder / "data").is_dir():
        # Who says where they are does not want tests left out.
        if os.environ.get("RISTRETTO_SHARED"):
            pytest.fail(f"no real nets and data in {folder}, which $RISTRETTO_SHARED names")
        pytest.skip("no real nets and data here (../shared, or $RISTRETTO_SHARED)")
    return folder.resolve()
