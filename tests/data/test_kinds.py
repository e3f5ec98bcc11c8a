from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ristretto.caffe.datum import Datum
from ristretto.data import KINDS, open_sources
from ristretto.errors import DataError
from ristretto.layers import LAYERS
from ristretto.layers.data import Data
from ristretto.layers.input import Input
from ristretto.net import Layer, Phase

MakeLmdb = Callable[[Sequence[Datum]], Path]


def data(name: str, source: str, tops: tuple[str, ...], batch_size: int = 2) -> Layer:
    return Layer(name, Data(source, batch_size, "LMDB"), tops=tops)


@pytest.fixture
def digits(make_lmdb: MakeLmdb) -> Path:
    return make_lmdb([Datum(1, 1, 2, bytes([i, i]), i) for i in range(3)])


def test_layers_of_a_phase_make_one_batch(digits: Path, make_lmdb: MakeLmdb) -> None:
    masks = make_lmdb([Datum(2, 1, 1, bytes([9, 8]), 5)])
    layers = [data("a", str(digits), ("data", "label")), data("b", str(masks), ("mask",), 4)]
    source = open_sources(layers, phase=Phase.TEST)
    assert source.names == (str(digits), str(masks))
    assert source.shapes == {"data": (2, 1, 1, 2), "label": (2,), "mask": (4, 2, 1, 1)}
    batches = list(source.batches(2))
    assert [batch["label"].tolist() for batch in batches] == [[0, 1], [2, 0]]
    assert all(batch["mask"][:, 0].reshape(-1).tolist() == [9] * 4 for batch in batches)


def test_source_is_found_from_the_prototxts_folder(digits: Path) -> None:
    nested = digits.parent / "nets" / "lenet"
    nested.mkdir(parents=True)
    source = open_sources([data("a", digits.name, ("data",))], phase=Phase.TEST, search_path=[nested])
    assert next(source.batches(1))["data"].shape == (2, 1, 1, 2)


def test_a_phase_without_data_is_refused() -> None:
    with pytest.raises(DataError, match="no data layer in the TRAIN phase") as caught:
        open_sources([], phase=Phase.TRAIN)
    assert caught.value.hint


def test_a_layer_without_a_source_is_refused(digits: Path) -> None:
    layers = [data("a", str(digits), ("data",)), Layer("blob", Input(shapes=((1, 2),)), tops=("blob",))]
    with pytest.raises(DataError, match="layer 'blob': Input has no source that can be opened") as caught:
        open_sources(layers, phase=Phase.TEST)
    assert "--data" in caught.value.hint
    assert "ImageData" in caught.value.hint


def test_kinds_are_data_layers() -> None:
    assert set(KINDS) <= set(LAYERS)
    assert all(kind.is_data for kind in KINDS)
