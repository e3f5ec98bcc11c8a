"""What a job reads, as digests: exactly the batches that are read, whatever files are called."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ristretto.api import DataDigests, data_digests
from tests.jobs.project import LENET

READ: dict[str, Any] = {"iterations": 1, "skip": 0, "calibration_batches": 1, "cached": False}


@pytest.fixture(scope="module")
def model(repo: Path) -> Path:
    return repo / LENET / "train_val.prototxt"


def digests(model: Path, **other: Any) -> DataDigests:
    return data_digests(model, **{**READ, **other})


def test_of_the_data_the_batches_that_are_read_count(model: Path) -> None:
    one, two = digests(model), digests(model, iterations=2)
    assert one == digests(model)
    assert one.scoring != two.scoring
    assert one.calibration == two.calibration
    assert digests(model, skip=1) == two
    more = digests(model, calibration_batches=2)
    assert (more.scoring, more.calibration != one.calibration) == (one.scoring, True)


def test_pictures_of_golden_vectors_count_too(model: Path) -> None:
    # A batch holds 100.
    assert digests(model, pictures=100) == digests(model)
    assert digests(model, pictures=101) == digests(model, iterations=2)
    assert digests(model, pictures=101, iterations=3) == digests(model, iterations=3)


def test_the_place_of_the_data_does_not_count(model: Path, repo: Path, tmp_path: Path) -> None:
    shutil.copytree(repo / LENET / "digits_test_lmdb", tmp_path / "other_name")
    assert digests(model, data=tmp_path / "other_name").scoring == digests(model).scoring


def test_other_data_count(model: Path, repo: Path) -> None:
    train = repo / LENET / "digits_train_lmdb"
    swapped = digests(model, data=train, calibration_data=repo / LENET / "digits_test_lmdb")
    plain = digests(model)
    assert swapped.scoring != plain.scoring
    assert swapped.calibration != plain.calibration
