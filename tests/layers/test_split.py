"""Split: copies of its bottom."""

from __future__ import annotations

import numpy as np
import pytest

from ristretto.errors import ModelError


@pytest.mark.parametrize("count", [1, 3])
def test_every_top_is_the_bottom(layer, check, rng, count: int) -> None:
    x = rng.normal(size=(2, 3)).astype(np.float32)
    tops = "".join(f' top: "t{i}"' for i in range(count))
    check(layer(f'type: "Split" {tops}'), [x], [x.astype(np.float64)] * count)


def test_without_tops_there_is_nothing_to_do(layer) -> None:
    with pytest.raises(ModelError, match="no top"):
        layer('type: "Split"')
