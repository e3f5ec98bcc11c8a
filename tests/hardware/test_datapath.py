"""The trace of a net's integers: every number that a run makes lies on its grid, and integers alone make them."""

from __future__ import annotations

import math
from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from ristretto.execute import IntegerExecutor
from ristretto.formats import EXACT, HALF_EVEN, Arithmetic, FixedPoint, Format
from ristretto.hardware import Grid, Stage, trace
from ristretto.net import Net
from ristretto.net.form import Clamp, Join, Same, Stack, Window
from tests.execute.exact import summed
from tests.execute.nets import nets, other_quants, partial_quants, values


def codes_on(grid: Grid, x: np.ndarray) -> np.ndarray:
    """Give the codes of numbers that must lie on a grid, as Python's integers."""
    scaled = np.ldexp(x.astype(np.float64), grid.fl)
    assert (scaled == np.floor(scaled)).all(), "a number lies between two codes"
    return np.array([int(code) for code in scaled.flat], object).reshape(x.shape)


@settings(deadline=None, max_examples=120)
@given(
    st.one_of(nets(), nets(quants=partial_quants(16)), nets(quants=other_quants())),
    st.sampled_from((EXACT, HALF_EVEN)),
)
def test_all_numbers_lie_within_their_grids(made: tuple[Net, dict[str, np.ndarray]], arithmetic: Arithmetic) -> None:
    net, batch = made
    inputs = {blob: x.shape for blob, x in batch.items()}
    path = trace(net, inputs, arithmetic)
    kept = IntegerExecutor(net, inputs, keep=values(net), arithmetic=arithmetic).run(batch).kept
    for name, x in kept.items():
        grid = path.grids[name]
        if grid is not None:
            codes = codes_on(grid, x)
            assert grid.low <= codes.min()
            assert codes.max() <= grid.high


class Machine:
    """Runs a data path on Python's integers, from the data's first codes on.

    It knows integers by the grids alone; numbers that have none are taken from the executor.
    """

    def __init__(self, net: Net, batch: dict[str, np.ndarray], arithmetic: Arithmetic) -> None:
        self.arithmetic = arithmetic
        inputs = {blob: x.shape for blob, x in batch.items()}
        self.path = trace(net, inputs, arithmetic)
        whole = values(self.path.net)
        self.kept = IntegerExecutor(self.path.net, inputs, keep=whole, arithmetic=arithmetic).run(batch).kept
        self.blobs: dict[str, np.ndarray] = {}
        self.reals: dict[str, np.ndarray] = {}
        self.checked = 0
        for layer in self.path.net.data_layers:
            self.reals |= {top: self.kept[f"{layer.name}.top{index}"] for index, top in enumerate(layer.tops)}
        for stage in self.path.stages:
            self.run(stage)

    def run(self, stage: Stage) -> None:
        layer = stage.layer
        if stage.trim_in:
            self.trim(stage.trim_in.blob, stage.trim_in.source, stage.trim_in.format)
        if stage.mac:
            made = self.multiplied(stage)
        elif stage.work:
            made = self.worked(stage)
        else:
            made = None
        for index, top in enumerate(layer.tops):
            self.reals[top] = self.kept[f"{layer.name}.top{index}"]
            self.blobs.pop(top, None)
            grid = stage.tops[index]
            if grid is None:
                continue
            real = codes_on(grid, self.reals[top])
            if made is not None:
                codes = made[index]
                if stage.trim_out and index == 0 and not stage.mac:
                    codes = self.rounded(codes, stage.work.top.fl - grid.fl, stage.trim_out.format)
                assert (codes == real).all(), (layer.name, codes, real)
                self.checked += 1
            self.blobs[top] = real

    def trim(self, blob: str, source: Grid | None, fmt: Format) -> None:
        before = self.reals[blob]
        self.reals[blob] = fmt.trim(before, self.arithmetic)
        if not isinstance(fmt, FixedPoint):
            self.blobs.pop(blob, None)
        elif source is None:
            self.blobs[blob] = fmt.encode(before, self.arithmetic).astype(object)
        else:
            self.blobs[blob] = self.rounded(self.blobs[blob], source.fl - fmt.fl, fmt)

    def rounded(self, codes: np.ndarray, right: int, fmt: FixedPoint) -> np.ndarray:
        def one(code: int) -> int:
            exact = Fraction(code) / Fraction(2) ** right
            away = math.floor(abs(exact) + Fraction(1, 2)) * (-1 if exact < 0 else 1)
            return min(max(round(exact) if self.arithmetic.half_even else away, fmt.low_code), fmt.high_code)

        return np.array([one(code) for code in codes.flat], object).reshape(codes.shape)

    def multiplied(self, stage: Stage) -> list[np.ndarray]:
        mac = stage.mac
        x = self.blobs[stage.layer.bottoms[0]]
        totals = summed(stage.layer.op, x, mac.weights) * (1 << mac.lift)
        if mac.bias is not None:
            bias = np.array([b << mac.bias_shift for b in mac.bias], object)
            totals = totals + bias.reshape(-1, *[1] * (totals.ndim - 2))
        assert mac.low <= totals.min()
        assert totals.max() <= mac.high
        return [self.rounded(totals, mac.out_shift, mac.layer_out)]

    def worked(self, stage: Stage) -> list[np.ndarray]:
        layer, form, top = stage.layer, stage.layer.op.form(stage.shapes), stage.work.top
        bottoms = [self.blobs[blob] for blob in layer.bottoms]
        if isinstance(form, Clamp):
            low, high = (float(np.float32(end)) for end in (form.low, form.high))
            finer = bottoms[0] * (1 << (top.fl - stage.bottoms[0].fl))
            scaled = [end if math.isinf(end) else Fraction(end) * Fraction(2) ** top.fl for end in (low, high)]
            return [np.array([int(min(max(c, scaled[0]), scaled[1])) for c in finer.flat], object).reshape(finer.shape)]
        if isinstance(form, Join):
            if form.operation == "PROD":
                return [math.prod(bottoms[1:], start=bottoms[0])]
            aligned = [x * (1 << shift) for x, shift in zip(bottoms, stage.work.alignment, strict=True)]
            if form.operation == "MAX":
                return [np.maximum.reduce(aligned)]
            return [sum(int(np.sign(f)) * x for f, x in zip(form.factors, aligned, strict=True))]
        if isinstance(form, Window) and form.mean:
            means = layer.op.forward([bottoms[0].astype(np.float64)], ())[0] * 2.0**stage.work.right_shift
            return [means.astype(np.int64).astype(object)]
        shifts = stage.work.alignment or (0,)
        aligned = [x * (1 << shift) for x, shift in zip(bottoms, shifts, strict=False)] + bottoms[len(shifts) :]
        if isinstance(form, Same):
            return [aligned[0].reshape(self.path.shapes[layer.name][0])] * len(layer.tops)
        if isinstance(form, Stack):
            return [np.concatenate(aligned, axis=1)]
        return [
            top.astype(np.int64).astype(object) for top in layer.op.forward([x.astype(np.float64) for x in aligned], ())
        ]


@settings(deadline=None, max_examples=150)
@given(
    st.one_of(nets(), nets(quants=partial_quants(12)), nets(quants=other_quants())),
    st.sampled_from((EXACT, HALF_EVEN)),
)
def test_integers_and_shifts_alone_make_what_the_executor_makes(
    made: tuple[Net, dict[str, np.ndarray]], arithmetic: Arithmetic
) -> None:
    net, batch = made
    Machine(net, batch, arithmetic)
