"""The program's float32 in integers, and its powers, against numpy's and the executors' own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.formats import EXACT, HALF_EVEN, Arithmetic, FixedPoint
from ristretto.kernels.power import GREATEST, LEAST, power
from tests.export.programs import build, needs_compiler, sources, write
from tests.export.test_program import everything

DRIVER = r"""
#include <inttypes.h>
#include <stdio.h>
#include "binary32.h"
#include "power.h"
int main(int count, char **arguments)
{
    uint32_t a;
    int64_t b, c;
    (void)count;
    while (scanf("%" SCNu32 " %" SCNi64 " %" SCNi64, &a, &b, &c) == 3)
        switch (arguments[1][0]) {
        case '+': printf("%" PRIu32 "\n", add_b32(a, (uint32_t)b)); break;
        case '*': printf("%" PRIu32 "\n", multiply_b32(a, (uint32_t)b)); break;
        case '/': printf("%" PRIu32 "\n", divide_b32(a, (uint32_t)b)); break;
        case '<': printf("%d\n", less_b32(a, (uint32_t)b)); break;
        case 'f': printf("%" PRIu32 "\n", from_code((int32_t)b, (int)c)); break;
        case 't': printf("%" PRId32 "\n", to_code(a, (int)b, -((int32_t)1 << c), ((int32_t)1 << c) - 1)); break;
        default: printf("%" PRIu32 "\n", power_b32(a, (uint64_t)b)); break;
        }
    return 0;
}
"""

Run = Callable[..., np.ndarray]


@pytest.fixture(scope="module", params=[EXACT, HALF_EVEN], ids=["away", "even"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs one operation on columns of integers."""
    folder = tmp_path_factory.mktemp("binary32")
    files, _ = sources(replace(everything(), arithmetic=request.param))
    write({name: files[name] for name in ("binary32.h", "binary32.c", "power.h", "power.c")}, folder)
    write({"driver.c": DRIVER.encode()}, folder)
    build(folder, ["driver.c", "binary32.c", "power.c"], "-O1")

    def apply(operation: str, *columns: np.ndarray) -> np.ndarray:
        three = [*(column.tolist() for column in columns), *[[0] * len(columns[0])] * (3 - len(columns))]
        text = "\n".join(" ".join(map(str, row)) for row in zip(*three, strict=True))
        done = subprocess.run([folder / "net", operation], input=text.encode(), capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        return np.array(done.stdout.split(), np.int64)

    apply.arithmetic = request.param  # type: ignore[attr-defined]
    return apply


def words_of(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32).view(np.uint32).astype(np.int64)


SEEDS = st.integers(0, (1 << 32) - 1)
ROWS = 2000


def numbers(rng: np.random.Generator) -> np.ndarray:
    """Give finite numbers of every size: any bits, integers, those next to zero, and neighbours of powers of two."""
    bits = rng.integers(0, 1 << 32, ROWS, np.uint32).view(np.float32)
    powers = np.nextafter(np.ldexp(np.float32(1), rng.integers(-126, 128, ROWS)), np.float32(0))
    kinds = (
        np.where(np.isfinite(bits), bits, np.float32(0)),
        rng.integers(-(1 << 24), (1 << 24) + 1, ROWS),
        rng.integers(0, 1 << 24, ROWS) * 2.0**-149,
        powers,
    )
    return np.choose(rng.integers(0, len(kinds), ROWS), kinds).astype(np.float32)


@needs_compiler
@given(SEEDS)
@settings(max_examples=4)
def test_sums_products_and_quotients_are_rounded_as_float32(run: Run, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = numbers(rng), numbers(rng)
    # Near each other, too: what is left of them is short.
    b[::3] = np.nextafter(a[::3], np.float32(np.inf)) * np.where(np.arange(len(a[::3])) % 2, -1, 1)
    b[~np.isfinite(b)] = 1
    divisors = np.where(b == 0, np.float32(3), b)
    with np.errstate(over="ignore", under="ignore"):
        owed = {"+": a + b, "*": a * b, "/": a / divisors}
    for operation, result in owed.items():
        second = divisors if operation == "/" else b
        assert run(operation, words_of(a), words_of(second)).tolist() == words_of(result).tolist(), operation
    assert run("<", words_of(a), words_of(b)).tolist() == (a < b).tolist()


@needs_compiler
@given(SEEDS)
@settings(max_examples=4)
def test_codes_are_those_of_the_format(run: Run, seed: int) -> None:
    arithmetic: Arithmetic = run.arithmetic  # type: ignore[attr-defined]
    rng = np.random.default_rng(seed)
    fl, bits, single = rng.integers(-60, 61, ROWS), rng.integers(0, 25, ROWS), numbers(rng)
    # Halves and quarters of steps.
    single[::2] = np.ldexp(rng.integers(-4000, 4000, ROWS) / 4, -fl)[::2]
    owed = [
        int(FixedPoint(int(width) + 1, int(length)).encode(np.array([number]), arithmetic)[0])
        for number, length, width in zip(single, fl, bits, strict=True)
    ]
    assert run("t", words_of(single), fl, bits).tolist() == owed
    codes = np.array(owed, np.int64)
    back = (codes.astype(np.float64) * 2.0**-fl).astype(np.float32)
    assert run("f", 0 * codes, codes, fl).tolist() == [word & 0xFFFFFFFF for word in words_of(back).tolist()]


@needs_compiler
@pytest.mark.parametrize("exponent", [-0.75, -0.5, -3.0, 2.5, 0.3, 0.0])
def test_powers_are_those_of_the_executors(run: Run, exponent: float) -> None:
    rng = np.random.default_rng(5)
    x = np.exp(rng.uniform(np.log(LEAST), np.log(GREATEST), 1500)).clip(LEAST, GREATEST).astype(np.float32)
    x[:500] = 1 + rng.integers(0, 1 << 23, 500) * np.float32(2.0**-23)
    x[:6] = LEAST, GREATEST, 1, 2, np.nextafter(np.float32(1), np.float32(0)), 0.7
    owed = np.empty_like(x)
    power(x, owed, exponent)
    word = int(np.float64(np.float32(exponent)).view(np.int64))
    assert run("^", words_of(x), np.full(len(x), word)).tolist() == words_of(owed).tolist()
