"""Lines of a window that lie outside the picture are left out of sums, and nothing but those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.execute import IntegerExecutor
from ristretto.execute.compiled.accumulator import Accumulator, Walk
from ristretto.execute.compiled.lines_met import LinesMet
from ristretto.formats import FixedPoint
from ristretto.kernels.tile import Operand
from ristretto.layers import Convolution, Deconvolution, Input
from ristretto.net import Geometry, Layer, LayerQuant, Net, Phase

RUNS_OF_A_LINE = 3


def accumulator(lines: int, *, wide: bool = False, weight: float = 1) -> Accumulator:
    """Give one of a window with so many lines."""
    runs = lines * RUNS_OF_A_LINE
    walk = Walk(np.arange(runs), np.arange(runs)[:, None], lines)
    return Accumulator(walk, [np.full((1, runs), weight)], wide, runs, Operand.FLOATS)


def lines_met(walk: Geometry, line: int) -> list[int]:
    """Give the lines of the window that meet the picture, one by one."""
    height = (walk.in_shape[1] - 1) * walk.spread[0] + 1
    tops = [line * walk.stride[0] - walk.pad[0] + k * walk.dilation[0] for k in range(walk.kernel[0])]
    return [k for k, top in enumerate(tops) if 0 <= top < height]


SIZES = st.integers(1, 6)


@settings(deadline=None)
@given(height=SIZES, kernel=SIZES, stride=st.integers(1, 3), pad=st.integers(0, 9), dilation=st.integers(1, 3))
def test_lines_that_meet_the_picture_are_multiplied(
    height: int, kernel: int, stride: int, pad: int, dilation: int
) -> None:
    count = (height + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
    if count < 1:
        return
    walk = Geometry(1, (1, height, 1), (1, count, 1), (kernel, 1), (stride, 1), (pad, 0), (dilation, 1))
    table = LinesMet.of(walk, accumulator(kernel)).table(0)
    assert table.shape == (count, 3)
    for line, (first, runs, _) in enumerate(table):
        whole = range(first // RUNS_OF_A_LINE, (first + runs) // RUNS_OF_A_LINE)
        assert first % RUNS_OF_A_LINE == runs % RUNS_OF_A_LINE == 0
        met = lines_met(walk, line)
        # A sum has at least one run, and dilated windows are multiplied from the first line met to the last.
        assert list(whole) == met or (not met and len(whole) == 1 and 0 <= whole[0] < kernel)


def test_most_lines_of_a_large_window_are_left_out_at_the_edges() -> None:
    walk = Geometry(1, (1, 8, 8), (1, 8, 8), (5, 5), (1, 1), (2, 2), (1, 1))
    lines_met = LinesMet.of(walk, accumulator(5))
    assert (lines_met.table(0)[:, 1] // RUNS_OF_A_LINE).tolist() == [3, 4, 5, 5, 5, 5, 4, 3]
    assert (lines_met.table(0)[:, 0] // RUNS_OF_A_LINE).tolist() == [2, 1, 0, 0, 0, 0, 0, 0]
    # Five kinds of lines, each with first values of its own.
    assert sorted(set(lines_met.table(64)[:, 2].tolist())) == [0, 64, 128, 192, 256]


@pytest.mark.parametrize(
    "chosen",
    [
        accumulator(5, wide=True),
        accumulator(5, weight=np.inf),
        accumulator(5, weight=np.nan),
        replace(accumulator(5), walk=replace(accumulator(5).walk, lines=1)),
    ],
    ids=["sums in pieces", "infinite", "no number", "a run of several lines"],
)
def test_all_runs_are_kept_where_one_must_not_be_left_out(chosen: Accumulator) -> None:
    walk = Geometry(1, (1, 8, 8), (1, 8, 8), (5, 5), (1, 1), (2, 2), (1, 1))
    assert LinesMet.of(walk, chosen).table(64).tolist() == [[0, 15, 0]] * 8


def test_weights_that_are_met_are_added_up() -> None:
    walk = Geometry(1, (1, 2, 1), (1, 2, 1), (3, 1), (1, 1), (1, 0), (1, 1))
    terms = Walk(np.arange(3), np.array([[0, 1, -1], [2, 3, -1], [4, 5, -1]]), 3)
    rows = np.array([[1, 2, 4, 8, 16, 32], [1, 1, 1, 1, 1, -3]], np.int16)
    lines_met = LinesMet.of(walk, Accumulator(terms, [rows], False, 3, Operand.BYTES))
    met = lines_met.weights_met(rows, terms)
    assert met[lines_met.of_line].tolist() == [[4 + 8 + 16 + 32, 0], [1 + 2 + 4 + 8, 4]]


OPS = {
    "pad beyond the window": (Convolution(3, (3, 3), pad=(7, 0)), (2, 4, 5)),
    "strides": (Convolution(3, (5, 2), stride=(3, 1), pad=(4, 1)), (2, 7, 5)),
    "dilated": (Convolution(3, (3, 3), pad=(4, 4), dilation=(4, 4)), (2, 5, 5)),
    "groups": (Convolution(4, (5, 5), pad=(2, 2), group=2), (4, 3, 5)),
    "deconvolution": (Deconvolution(3, (5, 5), stride=(3, 3), pad=(1, 1)), (2, 4, 4)),
    "deconvolution without a pad": (Deconvolution(3, (4, 4), stride=(2, 2)), (2, 3, 3)),
}


@pytest.mark.parametrize("bits", [None, (8, 8), (8, 16), (16, 8), (16, 16)])
@pytest.mark.parametrize(("op", "shape"), OPS.values(), ids=OPS)
def test_sums_are_those_of_all_products(
    op: Convolution | Deconvolution,
    shape: Sequence[int],
    bits: tuple[int, int] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Bit for bit: in float32, and of codes with weights of so many bits; the last bias is -0."""
    rng = np.random.default_rng(0)
    shape = (2, *shape)
    blobs = tuple(rng.normal(size=size).astype(np.float32) for size in op.blob_shapes([shape]))
    blobs[1][-1] = -0.0
    quant = None
    if bits:
        of_codes, of_weights = bits
        codes = FixedPoint(of_codes, of_codes - 4)
        quant = LayerQuant(codes, FixedPoint(of_codes, of_codes - 5), FixedPoint(of_weights, of_weights - 3))
    layers = Layer("data", Input((shape,)), (), ("data",)), Layer("it", op, ("data",), ("top",), blobs, quant=quant)
    net = Net("n", layers).for_phase(Phase.TEST)
    batch = {"data": rng.normal(size=shape).astype(np.float32)}
    # A sum of zeros alone.
    batch["data"][1] = 0
    found = IntegerExecutor(net, {"data": shape}).run(batch).outputs["top"]
    used, whole = [], LinesMet.of

    def all_runs(geometry: Geometry, chosen: Accumulator) -> LinesMet:
        used.append(len(whole(geometry, chosen).kinds))
        return whole(geometry, replace(chosen, wide=True))

    monkeypatch.setattr(LinesMet, "of", all_runs)
    wanted = IntegerExecutor(net, {"data": shape}).run(batch).outputs["top"]
    np.testing.assert_array_equal(found.view(np.uint32), wanted.view(np.uint32))
    assert max(used) > 1


def test_a_zero_has_one_sign_whether_the_rim_is_multiplied_or_not() -> None:
    """All that the upper window meets of the picture is zero times a negative weight, and the bias is -0."""
    op, shape = Convolution(1, (3, 1), pad=(1, 0)), (1, 1, 3, 2)
    weights = np.array([1, -1, -1], np.float32).reshape(1, 1, 3, 1)
    layers = (
        Layer("data", Input((shape,)), (), ("data",)),
        Layer("it", op, ("data",), ("top",), (weights, np.array([-0.0], np.float32))),
    )
    net = Net("n", layers).for_phase(Phase.TEST)
    top = IntegerExecutor(net, {"data": shape}).run({"data": np.zeros(shape, np.float32)}).outputs["top"]
    assert not np.signbit(top).any()
