from __future__ import annotations

import numpy as np
import pytest

from ristretto.data import BatchSource, open_sources
from ristretto.errors import DataError
from ristretto.layers.dummy_data import DummyData
from ristretto.net import Filler, Layer, Phase


def opened(*fillers: Filler, shapes: tuple[tuple[int, ...], ...] = ((4, 3),)) -> BatchSource:
    return open_sources([Layer("dummy", DummyData(shapes, fillers), tops=("a", "b"))], phase=Phase.TEST)


def test_constants_fill_the_declared_shapes() -> None:
    source = opened(Filler(value=2.5), Filler(value=-1), shapes=((4, 3), (2,)))
    assert source.names == ("DummyData layer 'dummy'",)
    assert source.shapes == {"a": (4, 3), "b": (2,)}
    assert source.period == 1
    for batch in source.batches(2):
        assert batch["a"].tolist() == [[2.5] * 3] * 4
        assert batch["b"].tolist() == [-1, -1]
        assert batch["a"].dtype == np.float32


@pytest.mark.parametrize("kind", ["uniform", "gaussian", "xavier", "msra", "positive_unitball"])
def test_random_numbers_differ_from_batch_to_batch_and_from_top_to_top(kind: str) -> None:
    source = opened(Filler(kind))
    assert source.period is None
    batches = [[batch[top].tobytes() for top in ("a", "b")] for batch in source.batches(4)]
    assert len({blob for batch in batches for blob in batch}) == 8
    assert [[batch[top].tobytes() for top in ("a", "b")] for batch in opened(Filler(kind)).batches(2, 2)] == batches[2:]


def test_they_follow_the_filler() -> None:
    (batch,) = opened(
        Filler("uniform", min=3, max=4), Filler("gaussian", mean=5, std=0.1), shapes=((100, 100),)
    ).batches(1)
    assert 3 <= batch["a"].min() < 3.01 < 3.99 < batch["a"].max() <= 4
    assert abs(batch["b"].mean() - 5) < 0.01
    assert abs(batch["b"].std() - 0.1) < 0.01


@pytest.mark.parametrize(
    ("filler", "says"), [(Filler("magic"), "unknown filler 'magic'"), (Filler("bilinear"), "bilinear filler for")]
)
def test_fillers_that_cannot_be_used_are_named(filler: Filler, says: str) -> None:
    with pytest.raises(DataError, match=f"layer 'dummy': .*{says}"):
        opened(filler)
