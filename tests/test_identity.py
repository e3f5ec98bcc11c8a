"""Digests: equal for what is equal, different for what is not, the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.caffe.reader import read_model
from ristretto.identity import digest, digest_of, hash_files


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Taste(Enum):
    RED = "red"


@dataclass(frozen=True)
class Pair:
    first: object
    second: object = 0


@dataclass(frozen=True)
class Couple:
    first: object
    second: object = 0


DIFFERENT: list[Any] = [
    None, False, True, 0, 1, -1, 0.0, -0.0, 1.0, "", "0", "None", b"", b"0", (), (0,), (0, 0), ((0,), 0), (0, (0,)),
    ("a", "bc"), ("ab", "c"), {}, {"a": 1}, {"a": 2}, {"b": 1}, {1: "a"}, {"a": 1, "b": 2}, {"a": 2, "b": 1},
    frozenset(), frozenset({0}), frozenset({0, 1}), Colour.RED, Colour.BLUE, Taste.RED, Pair(0), Pair(1), Pair(0, 1),
    Couple(0), np.zeros(0), np.zeros(1), np.zeros(1, np.float32), np.zeros((1, 1)), np.zeros(2), np.float64(0),
    np.array(0), np.arange(4), np.arange(4).reshape(2, 2), np.arange(4).reshape(2, 2).T, np.zeros(1, bool), "\udcff",
]  # fmt: skip


def test_what_differs_has_another_digest() -> None:
    assert len({digest(thing) for thing in DIFFERENT}) == len(DIFFERENT)
    assert digest(np.float64(0)) == digest(np.array(0.0)), "a number of numpy's is an array without axes"
    assert digest(1, 2) != digest((1, 2))


def test_what_is_equal_has_the_same_digest() -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert digest(x) == digest(np.asfortranarray(x)) == digest(x.T.copy().T)
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest([1, (2, "x")]) == digest((1, [2, "x"]))
    assert digest({3, 1, 2}) == digest(frozenset((2, 3, 1)))
    assert digest(Pair(x)) == digest(Pair(x.copy()))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(values, values)
def test_digests_tell_values_apart(one: object, other: object) -> None:
    assert (digest(one) == digest(other)) is (repr(_sorted(one)) == repr(_sorted(other)))


def _sorted(value: object) -> object:
    """Give a value in a form in which dictionaries have an order."""
    if isinstance(value, dict):
        return "dict", sorted((repr(key), repr(_sorted(item))) for key, item in value.items())
    return tuple(map(_sorted, value)) if isinstance(value, tuple) else value


def test_the_order_of_sets_and_the_process_make_no_difference() -> None:
    code = "from ristretto.identity import digest; print(digest({'stages': frozenset('abcdefgh'), 'x': 1.5}))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "0123"
    }
    assert found == {digest({"x": 1.5, "stages": frozenset("abcdefgh")}) + "\n"}


def test_an_array_that_may_change_is_looked_at_each_time() -> None:
    x = np.zeros(4)
    before = digest(x)
    x[0] = 1
    assert digest(x) != before
    x.flags.writeable = False
    assert digest(x) == digest(x.copy()) == digest(x)


def test_another_array_at_the_same_place_is_another() -> None:
    found = set()
    for number in range(50):
        x = np.full(1000, number)
        x.flags.writeable = False
        found.add(digest(x))
        del x
    assert len(found) == 50


@pytest.mark.parametrize("thing", [object(), Path("x"), np.array([None]), Pair, 1j, [object()]])
def test_what_has_no_digest_is_refused(thing: object) -> None:
    with pytest.raises(TypeError, match="has no digest"):
        digest(thing)


def test_every_operation_of_the_zoo_has_a_digest_of_its_own(repo: Path) -> None:
    """Frozen dataclasses of plain settings: one that could not be told from another would be taken for it."""
    found: dict[str, str] = {}
    for model in sorted((repo / "models").glob("*/train_val.prototxt")):
        for layer in read_model(model).net:
            found.setdefault(digest(layer.op), repr(layer.op))
            assert found[digest(layer.op)] == repr(layer.op)
    assert len(set(found.values())) == len(found) > 50


def test_files_count_by_what_they_hold_and_where_one_ends(tmp_path: Path) -> None:
    for name, content in (("a", "12"), ("b", "3"), ("c", "1"), ("d", "23"), ("e", "12"), ("f", "")):
        (tmp_path / name).write_text(content)

    def of(names: str) -> str:
        return hash_files([tmp_path / name for name in names])

    assert of("ab") == of("eb")
    assert len({of("ab"), of("cd"), of("ba"), of("a"), of("af"), of("")}) == 6
    assert hash_files([tmp_path / "none"], "part", lambda: "made") == "made"
    with pytest.raises(FileNotFoundError):
        of("x")


def test_pieces_need_not_stay() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"a"
        yield b"bc"

    assert digest_of(pieces()) == digest_of([b"a", b"bc"])
    assert digest_of([b"ab", b"c"]) != digest_of([b"a", b"bc"])
