"""Golden vectors of many pictures are no longer than their words."""

from __future__ import annotations

import numpy as np

from ristretto.export.base import Subject
from ristretto.export.golden import golden_vectors
from ristretto.export.word_layers import words_of
from ristretto.formats import FixedPoint
from tests.export.small import chain


def test_words_of_all_pictures_are_kept_in_the_shortest_integers() -> None:
    fmt = FixedPoint(8, 0)
    x = np.arange(-12, 12).reshape(6, 4)
    net = chain(np.array([[100.0, -90, 80, 7]]), [3.0], fmt, fmt, fmt)
    subject = Subject(net, {"data": (1, 4)}, {"data": np.float32(x)})
    found = {table.name: table.words for table in golden_vectors(subject, words_of(subject).layers).tables}
    assert {name: words.dtype.itemsize for name, words in found.items()} == {
        "inputs": 1, "accumulators": 4, "outputs": 1
    }  # fmt: skip
    assert (found["inputs"] == x).all()
    assert found["accumulators"][:, 0].tolist() == (x @ [100, -90, 80, 7] + 3).tolist()
