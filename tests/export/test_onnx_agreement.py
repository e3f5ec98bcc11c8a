"""The comparison with a runtime: it counts what differs, and finds no cause where there is none."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
import onnx
import pytest

from ristretto.errors import ModelError, RistrettoError
from ristretto.export import Subject
from ristretto.export.onnx.agreement import Agreement, compare
from ristretto.export.onnx.runners import in_onnxruntime, in_qonnx
from ristretto.formats import FixedPoint
from ristretto.net import LayerQuant, Net
from tests.export.onnx_nets import compared, exporter, in_formats, lenet, net_of

SMALL = """name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 40 dim: 6 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 5 } }
"""
FMT = FixedPoint(8, 3)
PLAIN = in_onnxruntime()


@pytest.fixture(scope="module")
def small() -> tuple[Net, dict[str, np.ndarray]]:
    net = in_formats(net_of(SMALL), FMT, FMT)
    # Half of them half-way between codes.
    x = np.random.default_rng(5).integers(-60, 60, (40, 6)).astype(np.float32) / 16
    return net, {"data": x}


def rounded(value: Fraction, *, even: bool) -> int:
    """Round a fraction, halves as asked."""
    low = value.numerator // value.denominator
    rest = value - low
    half = Fraction(1, 2)
    up = rest > half or (rest == half and (low % 2 == 1 if even else value > 0))
    return low + up


def test_ties_are_counted_as_fractions_say(small: tuple[Net, dict[str, np.ndarray]]) -> None:
    net, batch = small
    entered, made = compared("onnx", net, batch, PLAIN).places
    scaled = [Fraction(float(value)) * 8 for value in batch["data"].ravel()]
    ties = sum(rounded(value, even=True) != rounded(value, even=False) for value in scaled)
    assert entered == Agreement("ip", "layer_in", 240, ties, 0, ties, 0, 0)
    assert ties > 20
    codes = np.array([rounded(value, even=False) for value in scaled]).reshape(40, 6)
    weights, bias = (FMT.encode(blob).astype(int) for blob in net["ip"].blobs)
    sums = codes @ weights.T + bias * 8  # on a grid of 1/64
    ties = sum(
        rounded(Fraction(int(s), 8), even=True) != rounded(Fraction(int(s), 8), even=False) for s in sums.ravel()
    )
    assert made == Agreement("ip", "layer_out", 200, ties, 0, ties, 0, 0)
    assert ties > 5


@pytest.mark.parametrize(("steps", "off_by_one", "further"), [(1, 1, 0), (-1, 1, 0), (2, 0, 1), (100, 0, 1)])
def test_a_number_that_is_wrong_has_no_cause(
    small: tuple[Net, dict[str, np.ndarray]], steps: int, off_by_one: int, further: int
) -> None:
    net, batch = small
    right = compared("onnx", net, batch, PLAIN)

    def wrong(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        (y,) = PLAIN(model, feeds)
        y = y.copy()
        # An odd code, which no tie becomes here.
        spot = tuple(np.argwhere(np.abs(y) == 1 / 8)[0])
        y[spot] += np.float32(steps / 8)
        return [y]

    found = compared("onnx", net, batch, wrong)
    for place, before in zip(found.places, right.places, strict=True):
        assert place.unexplained == 1
        assert place.off_by_one - before.off_by_one == off_by_one
        assert place.further - before.further == further
    assert found.outputs[0].differ == right.outputs[0].differ + 1


def test_another_scale_is_found(small: tuple[Net, dict[str, np.ndarray]]) -> None:
    net, batch = small

    def coarser(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        for constant in changed.graph.initializer:
            if constant.name == "ip/w0_scale":
                constant.CopyFrom(onnx.numpy_helper.from_array(np.array(0.25, np.float32), constant.name))
        return PLAIN(changed, feeds)

    entered, made = compared("onnx", net, batch, coarser).places
    assert entered.unexplained == 0
    assert made.unexplained > 100


def test_float32_sums_are_no_cause_where_they_are_exact(small: tuple[Net, dict[str, np.ndarray]]) -> None:
    """Of 8-bit words; the same sums in words of 16 bits and more may be off by a little."""
    net, batch = small
    fine = FixedPoint(16, 12)
    long = in_formats(net, fine, fine)

    def nudged(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        """Move each number by one step towards zero."""
        (y,) = PLAIN(model, feeds)
        return [(y - np.sign(y) / 8).astype(np.float32)]

    for quantized in (net, long):
        made = compared("onnx", quantized, batch, nudged).places[1]
        assert made.sums == 0
        assert made.unexplained > 100


def test_outputs_are_told_in_steps_of_their_format(small: tuple[Net, dict[str, np.ndarray]]) -> None:
    net, batch = small
    (output,) = compared("onnx", net, batch, PLAIN).outputs
    assert (output.blob, output.numbers, output.step) == ("ip", 200, 0.125)
    assert output.largest % 0.125 == 0


def test_blobs_that_only_scores_read_may_be_missing() -> None:
    fmt = FixedPoint(8, 4)
    net = in_formats(lenet(), fmt, fmt)
    x = {"data": np.zeros((1, 1, 28, 28), np.float32)}
    found = compare(exporter("onnx"), Subject(net, {"label": (1,)}), x, PLAIN)
    assert len(found.places) == 8


def test_a_float_net_has_nothing_to_compare() -> None:
    with pytest.raises(ModelError, match="no layer of net 'small' is quantized"):
        compared("onnx", net_of(SMALL), {"data": np.zeros((40, 6), np.float32)}, PLAIN)


def test_layers_get_our_numbers_and_not_those_before() -> None:
    """So that a layer is not blamed for what an earlier one did."""
    text = (
        SMALL + 'layer { name: "two" type: "InnerProduct" bottom: "ip" top: "b" inner_product_param { num_output: 4 } }'
    )
    net = in_formats(net_of(text), FMT, FMT)
    batch = {"data": np.random.default_rng(5).normal(0, 2, (40, 6)).astype(np.float32)}

    def first_is_wrong(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        (y,) = PLAIN(model, feeds)
        return [y + 1] if y.shape == (40, 5) and any(n.name == "ip.top0" for n in model.graph.node) else [y]

    places = {(place.layer, place.place): place for place in compared("onnx", net, batch, first_is_wrong).places}
    assert places["ip", "layer_out"].unexplained > 100
    assert places["two", "layer_in"].unexplained == places["two", "layer_out"].unexplained == 0
    assert isinstance(net["two"].quant, LayerQuant)


def test_without_qonnx_the_hint_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "qonnx.core.modelwrapper", None)
    with pytest.raises(RistrettoError, match="qonnx is not installed") as caught:
        in_qonnx()
    assert caught.value.hint == "pip install qonnx"
