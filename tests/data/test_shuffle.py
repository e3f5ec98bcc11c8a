from __future__ import annotations

import pytest

from ristretto.data.shuffle import permutation, skipped


def test_an_order_holds_everything_once() -> None:
    for epoch in range(5):
        assert sorted(permutation(20, epoch).tolist()) == list(range(20))


def test_epochs_and_streams_have_orders_of_their_own() -> None:
    orders = {tuple(permutation(20, epoch, stream).tolist()) for epoch in range(4) for stream in range(4)}
    assert len(orders) == 16
    assert tuple(range(20)) not in orders


def test_the_order_never_changes() -> None:
    assert permutation(10, 0).tolist() == [7, 5, 3, 4, 0, 2, 9, 6, 1, 8]
    with pytest.raises(ValueError, match="read-only"):
        permutation(10, 0)[0] = 1


def test_what_is_skipped_lies_below_the_most() -> None:
    assert skipped(0) == skipped(1) == 0
    assert all(0 <= skipped(most) < most for most in range(1, 50))
    assert len({skipped(most) for most in range(1, 50)}) > 5
