"""Words, sums and biases at the ends of what files hold."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ristretto.errors import DataError, ModelError
from ristretto.export import EXPORTERS, Subject
from ristretto.export.sums import rounded
from ristretto.formats import EMULATIONS, EXACT, HALF_EVEN, Arithmetic, FixedPoint, MiniFloat, PowerOfTwo
from ristretto.hardware import trace
from ristretto.layers import InnerProduct, Input, Reshape
from ristretto.net import Layer, LayerQuant, Net, Phase, Scheme
from tests.export import readers
from tests.export.small import chain, exported

F8, F31 = FixedPoint(8, 0), FixedPoint(31, 0)
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)


def golden(net: Net, x: np.ndarray, **options: Arithmetic) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Give the codes of a net's one layer by name, and the notes."""
    done = exported(net, x, **options)
    tables = readers.manifest_of(done)["golden"]["tables"]
    return {table["name"]: readers.codes(done.files, table) for table in tables}, done.notes


@given(
    st.lists(st.one_of(INT64, st.integers(-5, 5)), min_size=1),
    st.integers(-40, 64),
    st.integers(0, 2),
    st.integers(1, 31),
    st.sampled_from([EXACT, HALF_EVEN]),
)
@example([*range(-9, 10)], 1, 0, 8, EXACT)
@example([*range(-9, 10)], 1, 0, 8, HALF_EVEN)
def test_rounding_of_many_is_that_of_one(
    totals: list[int], right: int, half: int, bits: int, arithmetic: Arithmetic
) -> None:
    """At and around halves, too: all of what is shifted out is replaced by a half, or by one more or less."""
    if right > 1 and half:
        totals = [(t >> right << right) + (1 << (right - 1)) + half - 1 for t in totals]
        totals = [max(min(t, (1 << 63) - 1), -(1 << 63)) for t in totals]
    net = chain(np.ones((1, 1)), None, F8, F8, FixedPoint(bits, -right))
    path = trace(net, {"data": (1, 1)})["ip"].mac
    assert path is not None
    assert path.out_shift == right
    found = rounded(path, np.array(totals, np.int64), arithmetic)
    assert found.tolist() == [path.rounded(total, arithmetic) for total in totals]


@pytest.mark.parametrize("bits", [22, 24, 27])
def test_sums_beyond_float64_are_exact(bits: int) -> None:
    fmt, rng = FixedPoint(bits, 0), np.random.default_rng(bits)
    most = min(2 ** (bits - 1), 2**24)
    weights, x = (rng.integers(-most, most, (rows, 64)) for rows in (3, 5))
    weights[0], x[0] = -most, -most
    found, _ = golden(chain(weights, [1, -2, 3], fmt, fmt, F31, pictures=5), x)
    sums = x.astype(object) @ weights.T.astype(object) + [1, -2, 3]
    assert found["accumulators"].tolist() == sums.tolist()
    assert max(map(abs, sums.flat)) > 2**43


def test_accumulators_of_more_than_64_bits_are_left_out_and_named() -> None:
    found, _ = golden(chain(np.full((1, 32), 2.0**24), None, F31, F31, F31), np.ones((1, 32)))
    assert set(found) == {"inputs", "accumulators", "outputs"}
    found, notes = golden(chain(np.full((1, 64), 2.0**30), None, F31, F31, F31), np.ones((1, 64)))
    assert set(found) == {"inputs", "outputs"}
    assert any("layer 'ip': its accumulators, of 67 bits" in note for note in notes)


def test_outputs_that_float64_rounds_are_counted() -> None:
    """The sum lies a step below a half; float64 has no room for that step, and rounds it to the half."""
    fmt = FixedPoint(29, 0)
    net = chain(np.array([[2.0**27, 1.0]]), [0], fmt, fmt, FixedPoint(8, -54))
    found, notes = golden(net, np.array([[2.0**26, -1.0]]))
    assert found["accumulators"].tolist() == [[2**53 - 1]]
    assert found["outputs"].tolist() == [[0]]
    assert notes == ()
    net = chain(np.array([[2.0**27, 2.0**27, 1.0]]), [0], fmt, fmt, FixedPoint(8, -56))
    found, notes = golden(net, np.array([[2.0**27, 2.0**27, -1.0]]))
    assert found["accumulators"].tolist() == [[2**55 - 1]]
    assert found["outputs"].tolist() == [[1]]
    assert len(notes) == 1
    assert "layer 'ip': 1 outputs are not what its accumulators round to" in notes[0]


POWERS = PowerOfTwo(-8, -1)


def words_of_bias(net: Net) -> tuple[dict, np.ndarray, tuple[str, ...]]:
    done = exported(net)
    (layer,) = readers.manifest_of(done)["layers"]
    (table,) = (table for table in layer["tables"] if table["name"] == "bias")
    return layer["datapath"], readers.numbers(done.files, table), done.notes


def test_a_bias_without_a_format_is_exact() -> None:
    bias = [2.0**-30, -3.0, 0.1]
    datapath, numbers, notes = words_of_bias(chain(np.ones((3, 4)), bias, F8, POWERS, F8))
    assert list(numbers) == [Fraction(float(np.float32(b))) for b in bias]
    assert datapath["bias"] == {"fl": 30, "left_shift": 0}
    assert datapath["product"]["left_shift"] == 30 - 8
    assert notes == ()


@pytest.mark.parametrize("bias", [[1e-30, 0.5], [3e-20, 1e-3]])
def test_a_bias_that_is_too_fine_is_rounded_and_named(bias: list[float]) -> None:
    datapath, numbers, notes = words_of_bias(chain(np.ones((2, 4)), bias, F8, POWERS, F8))
    assert datapath["accumulator"]["bits"] <= 64
    step = Fraction(2) ** -datapath["bias"]["fl"]
    for number, real in zip(numbers, np.float32(bias), strict=True):
        assert abs(number - Fraction(float(real))) <= step / 2
    (note,) = notes
    assert "its bias, which has no format, is rounded to fl" in note


@pytest.mark.parametrize("bias", [[3e38, 1e-3], [1e30, 0.75], [np.inf, 1.0], [-np.inf, 0.1], [-1e30, 2.0**-20]])
def test_a_bias_that_saturates_leaves_the_others_exact(bias: list[float]) -> None:
    net = chain(np.ones((2, 4)), bias, F8, POWERS, F8)
    datapath, (large, other), notes = words_of_bias(net)
    assert datapath["accumulator"]["bits"] <= 64
    # No input gives a sum of more than 4 * 128.
    assert abs(large) >= 2 * 4 * 128
    assert (large > 0) is (bias[0] > 0)
    assert other == Fraction(float(np.float32(bias[1])))
    assert notes == ()
    x = np.array([[8.0, -8.0, 7.9, 1.0], [-8.0, -8.0, -8.0, -8.0]])
    done = exported(net, x)
    assert not any("round to" in note for note in done.notes)
    (outputs,) = (t for t in readers.manifest_of(done)["golden"]["tables"] if t["name"] == "outputs")
    assert set(readers.codes(done.files, outputs)[:, 0]) == {127 if bias[0] > 0 else -128}


@pytest.mark.parametrize("shape", [(1, 1, 3, 4), (3, 4)])
def test_weights_of_old_files_have_the_shape_of_the_prototxt(shape: tuple[int, ...]) -> None:
    net = chain(np.arange(12).reshape(3, 4), None, F8, F8, F8)
    layer = net["ip"]
    old = Layer(layer.name, layer.op, layer.bottoms, layer.tops, (layer.blobs[0].reshape(shape),), quant=layer.quant)
    done = exported(Net("old", (net.layers[0], old)).for_phase(Phase.TEST))
    (table,) = readers.manifest_of(done)["layers"][0]["tables"]
    assert table["shape"] == [3, 4]
    assert readers.codes(done.files, table).tolist() == np.arange(12).reshape(3, 4).tolist()


def test_a_net_of_one_batch_size_is_run_on_whole_batches() -> None:
    one = LayerQuant(F8, F8, F8)
    layers = (
        Layer("data", Input(((4, 6),)), (), ("data",)),
        Layer("shape", Reshape(dims=(4, 3, 2)), ("data",), ("cube",)),
        Layer("ip", InnerProduct(2, bias_term=False), ("cube",), ("top",), (np.ones((2, 6), np.float32),), quant=one),
    )
    net = Net("fixed", layers).for_phase(Phase.TEST)
    x = np.arange(24).reshape(4, 6)
    done = exported(net, x)
    told = readers.manifest_of(done)["golden"]
    assert told["pictures"] == 4
    by_name = {table["name"]: readers.codes(done.files, table) for table in told["tables"]}
    assert by_name["accumulators"].tolist() == np.repeat(x.sum(axis=1)[:, None], 2, axis=1).tolist()
    with pytest.raises(ModelError, match="shape"):
        exported(net, x[:3])


@pytest.mark.parametrize("count", [1, 3])
def test_pictures_are_counted(count: int) -> None:
    net = chain(np.ones((2, 4)), None, F8, F8, F8, pictures=7)
    assert readers.manifest_of(exported(net, np.ones((count, 4))))["golden"]["pictures"] == count


def test_no_pictures() -> None:
    net = chain(np.ones((2, 4)), None, F8, F8, F8)
    with pytest.raises(DataError, match="there are no pictures"):
        exported(net, np.ones((0, 4)))
    with pytest.raises(DataError, match="there are no pictures"):
        EXPORTERS["integers"]().export(Subject(net, {"data": (1, 4)}, {}))


@pytest.mark.parametrize("fmt", [F8, POWERS, MiniFloat(4, 3)])
@pytest.mark.parametrize("place", [0, 1])
def test_nan_among_the_weights_names_the_layer(fmt: FixedPoint | PowerOfTwo | MiniFloat, place: int) -> None:
    weights, bias = np.ones((2, 4)), np.ones(2)
    (weights, bias)[place].flat[1] = np.nan
    ends = fmt if isinstance(fmt, MiniFloat) else F8
    with pytest.raises(ModelError, match=r"layer 'ip': its weights: NaN has no code"):
        exported(chain(weights, bias, ends, fmt, ends))


def test_nan_among_the_pictures_names_the_layer() -> None:
    net = chain(np.ones((2, 4)), None, F8, F8, F8)
    with pytest.raises(ModelError, match=r"layer 'ip'.*NaN"):
        exported(net, np.full((1, 4), np.nan))


def test_stochastic_rounding_and_defects_are_refused() -> None:
    net = chain(np.ones((2, 4)), None, F8, F8, F8)
    layer = net["ip"]
    quant = LayerQuant(F8, F8, F8, Scheme.STOCHASTIC)
    other = Layer(layer.name, layer.op, layer.bottoms, layer.tops, layer.blobs, quant=quant)
    with pytest.raises(ModelError, match="STOCHASTIC"):
        exported(Net("random", (net.layers[0], other)).for_phase(Phase.TEST))
    for arithmetic in EMULATIONS.values():
        with pytest.raises(ModelError, match="defects"):
            exported(net, arithmetic=arithmetic)


def test_a_net_in_float_has_no_words() -> None:
    layers = (
        Layer("data", Input(((1, 4),)), (), ("data",)),
        Layer("ip", InnerProduct(2), ("data",), ("top",), (np.ones((2, 4), np.float32), np.ones(2, np.float32))),
    )
    with pytest.raises(ModelError, match="net 'float' has no layer whose words are integers") as caught:
        exported(Net("float", layers).for_phase(Phase.TEST))
    assert "`ristretto quantize`" in caught.value.hint
