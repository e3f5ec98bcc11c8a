"""The words of every format: one for each number, and what their bits say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.formats import FORMATS, FixedPoint, Format, MiniFloat, PowerOfTwo
from tests.execute.exact import fractions
from tests.export.readers import number

EXAMPLES: list[Format] = [
    *(FixedPoint(1, 0), FixedPoint(8, 5), FixedPoint(6, -3), FixedPoint(4, 9)),
    *(MiniFloat(4, 3), MiniFloat(1, 0), MiniFloat(3, 2), MiniFloat(5, 0)),
    *(PowerOfTwo(-8, -1), PowerOfTwo(0, 0), PowerOfTwo(-3, 4)),
]
FLOATS = st.lists(st.floats(-1e6, 1e6, width=32) | st.sampled_from([0.0, -0.0, 2.0**-7, -(2.0**-7)]), min_size=1)


def entries(fmt: Format) -> tuple[dict, dict]:
    return {"bits": fmt.word_bits, "packing": fmt.packing, "fl": getattr(fmt, "fl", None)}, vars(fmt)


def test_every_format_has_examples() -> None:
    assert {type(fmt) for fmt in EXAMPLES} == set(FORMATS)


@pytest.mark.parametrize("fmt", EXAMPLES, ids=repr)
@given(FLOATS)
def test_a_word_says_its_number(fmt: Format, values: list[float]) -> None:
    x = np.float32(values)
    words = fmt.pack(fmt.encode(x))
    assert words.shape == x.shape
    if fmt.packing != "twos_complement":
        assert words.min() >= 0
    entry, parameters = entries(fmt)
    unsigned = [int(word) % (1 << fmt.word_bits) for word in words]
    assert all(int(word) in (bits, bits - (1 << fmt.word_bits)) for word, bits in zip(words, unsigned, strict=True))
    assert [number(word, entry, parameters) for word in unsigned] == list(fractions(fmt.trim(x)))


@pytest.mark.parametrize("fmt", [fmt for fmt in EXAMPLES if fmt.bits <= 8], ids=repr)
def test_numbers_have_words_of_their_own(fmt: Format) -> None:
    grid = np.unique(fmt.trim(np.float32(np.ldexp(np.arange(-4096, 4096), -9)[:, None] * 2.0 ** np.arange(-8, 24))))
    words = fmt.pack(fmt.encode(grid))
    assert len(np.unique(words)) == len(grid)


def test_zero_of_a_minifloat_is_all_zeros_and_its_smallest_number_is_not() -> None:
    fmt = MiniFloat(4, 3)
    assert fmt.word_bits == 9
    words = fmt.pack(fmt.encode(np.float32([0, 2.0**-7, -(2.0**-7), 480, -480, 1])))
    assert [f"{word:09b}" for word in words] == [
        *("000000000", "100000000", "110000000"),
        *("101111111", "111111111", "100111000"),
    ]


def test_a_power_of_two_is_its_sign_above_its_shift() -> None:
    fmt = PowerOfTwo(-8, -1)
    words = fmt.pack(fmt.encode(np.float32([0.5, -0.5, 2.0**-8, -(2.0**-8), 0])))
    assert [f"{word:04b}" for word in words] == ["0111", "1111", "0000", "1000", "0000"]
