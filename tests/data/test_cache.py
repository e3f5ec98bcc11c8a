from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ristretto.data import Batch, CachedSource, MergedSource
from ristretto.net import Shape


class Counted:
    """Batches of 40 bytes that hold their number, and a note of each that was made."""

    def __init__(self, blob: str = "data", period: int | None = None) -> None:
        self.made: list[int] = []
        self.blob = blob
        self.period = period

    @property
    def names(self) -> tuple[str, ...]:
        return (f"{self.blob}_db",)

    @property
    def shapes(self) -> Mapping[str, Shape]:
        return {self.blob: (10,)}

    def batches(self, count: int, start: int = 0) -> Iterator[Batch]:
        for number in range(start, start + count):
            self.made.append(number)
            yield {self.blob: np.full(10, number % (self.period or 1000), np.float32)}


def numbers(batches: Iterator[Batch]) -> list[float]:
    return [float(batch["data"][0]) for batch in batches]


def test_a_second_pass_makes_nothing() -> None:
    source = Counted()
    cached = CachedSource(source, 1000)
    assert (cached.names, cached.shapes) == (("data_db",), {"data": (10,)})
    first = list(cached.batches(5))
    second = list(cached.batches(5))
    assert source.made == [0, 1, 2, 3, 4]
    assert [batch["data"].tolist() for batch in second] == [batch["data"].tolist() for batch in first]


def test_a_longer_pass_makes_the_rest() -> None:
    source = Counted()
    cached = CachedSource(source, 1000)
    list(cached.batches(2))
    assert numbers(cached.batches(4)) == [0, 1, 2, 3]
    assert numbers(cached.batches(3, 1)) == [1, 2, 3]
    assert source.made == [0, 1, 2, 3]
    assert numbers(cached.batches(0)) == []


@pytest.mark.parametrize(("max_bytes", "kept"), [(0, 0), (39, 0), (40, 1), (119, 2), (120, 3)])
def test_no_more_is_kept_than_there_is_room(max_bytes: int, kept: int) -> None:
    source = Counted()
    cached = CachedSource(source, max_bytes)
    assert numbers(cached.batches(5)) == numbers(cached.batches(5)) == [0, 1, 2, 3, 4]
    assert source.made == [*range(5), *range(kept, 5)]


def test_a_pass_that_starts_later_keeps_nothing_out_of_order() -> None:
    source = Counted()
    cached = CachedSource(source, 1000)
    assert numbers(cached.batches(2, 3)) == [3, 4]
    assert numbers(cached.batches(5)) == [0, 1, 2, 3, 4]


def test_a_pass_may_be_left_early() -> None:
    source = Counted()
    cached = CachedSource(source, 1000)
    next(cached.batches(5))
    assert numbers(cached.batches(3)) == [0, 1, 2]
    assert source.made == [0, 1, 2]


@pytest.mark.parametrize("max_bytes", [0, 1000])
def test_arrays_cannot_be_changed(max_bytes: int) -> None:
    for batch in CachedSource(Counted(), max_bytes).batches(2):
        with pytest.raises(ValueError, match="read-only"):
            batch["data"][0] = 7


def test_repeats_are_kept_once() -> None:
    source = Counted(period=3)
    cached = CachedSource(source, 120)
    assert numbers(cached.batches(8)) == [0, 1, 2, 0, 1, 2, 0, 1]
    assert source.made == [0, 1, 2]
    assert numbers(cached.batches(5, 4)) == [1, 2, 0, 1, 2]
    assert source.made == [0, 1, 2]
    assert cached.period == 3


@pytest.mark.parametrize("max_bytes", [0, 40, 80, 1000])
@pytest.mark.parametrize("start", [0, 1, 5])
def test_repeats_come_in_order_however_little_is_kept(max_bytes: int, start: int) -> None:
    cached = CachedSource(Counted(period=3), max_bytes)
    for _ in range(2):
        assert numbers(cached.batches(9, start)) == [number % 3 for number in range(start, start + 9)]


class Surprised(Counted):
    """Learns its period when it comes past its end."""

    def batches(self, count: int, start: int = 0) -> Iterator[Batch]:
        for number in range(start, start + count):
            if number >= 3:
                self.period = 3
            self.made.append(number)
            yield {self.blob: np.full(10, number % 3, np.float32)}


def test_a_source_may_learn_its_length_on_the_way() -> None:
    source = Surprised()
    cached = CachedSource(source, 1000)
    assert numbers(cached.batches(10)) == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    assert source.made == [0, 1, 2, 3]


def test_sources_side_by_side_repeat_together() -> None:
    assert MergedSource([Counted(period=4), Counted(period=6)]).period == 12
    assert MergedSource([Counted(period=4), Counted()]).period is None


def test_passes_may_run_side_by_side() -> None:
    cached = CachedSource(Counted(), 40 * 30)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: numbers(cached.batches(50)), range(20)))
    assert results == [list(range(50))] * 20


def test_sources_side_by_side_make_one_batch() -> None:
    merged = MergedSource([Counted("data"), Counted("mask")])
    assert merged.names == ("data_db", "mask_db")
    assert merged.shapes == {"data": (10,), "mask": (10,)}
    batches = list(merged.batches(2, 5))
    assert [{blob: array[0] for blob, array in batch.items()} for batch in batches] == [
        {"data": 5, "mask": 5},
        {"data": 6, "mask": 6},
    ]
